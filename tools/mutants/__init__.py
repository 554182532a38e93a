"""Small changes in the code, and whether tests notice: `python -m tools.mutants`."""
