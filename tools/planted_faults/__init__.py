"""Plant each known fault in turn, and look whether diagnosis names it first.

`python -m tools.planted_faults` evaluates checkpoints of the embedded release with a
plain pipeline that shares no code with `repro` and does one thing otherwise, publishes
what comes out, and has `repro` measure and diagnose the case as its protocol says.
"""
