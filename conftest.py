"""This repository's own wiring: pytest's plugin for testing plugins."""

pytest_plugins = ["pytester"]
