"""The options of both faces: pytest's `--repro-NAME` and the `--NAME` of `repro`."""
