"""Compare what was measured with what was published; needs no torch."""
