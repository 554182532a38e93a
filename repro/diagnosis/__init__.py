"""What could have been done otherwise when a number was measured, as data."""
