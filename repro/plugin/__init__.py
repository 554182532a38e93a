"""The pytest plugin: hooks, options and fixtures."""
