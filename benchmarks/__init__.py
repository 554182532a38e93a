"""What is fast, measured side by side: `python -m benchmarks`."""

import os

from repro.machine import let_threads_sleep

# As a run does, before any of this imports torch.
let_threads_sleep(os.environ)
