"""What a run measured, as in-toto statements about weights files."""
