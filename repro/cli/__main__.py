"""Run the command line with `python -m repro.cli`."""

from repro.cli import main

main()
