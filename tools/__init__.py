"""Programs for those who work on repro; not installed with it."""
