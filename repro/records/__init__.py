"""What was measured, where, and with which software."""
