"""The plugin beside other plugins, options and projects: docs/neighbours.md."""
