"""Runs that are killed at any moment: `python -m tools.kills`."""
