"""Where evaluation runs."""
