"""What strangers may give us, attacked by machine: `python -m tools.attack`."""
