"""What is fast, measured side by side: `python -m benchmarks`."""

import os

from repro.machine import prepare_for_torch

# As a run does, before any of this imports torch.
prepare_for_torch(os.environ)
