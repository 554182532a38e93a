"""What reports say, computed once, and its faces; needs no torch."""
