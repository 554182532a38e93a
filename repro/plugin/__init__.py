"""The pytest plugin: hooks, options and fixtures."""

#: What tests of cases and claims are marked with.
MARKER = "repro"
