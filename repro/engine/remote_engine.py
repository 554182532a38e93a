"""The engine of a process on a node; importing it imports torch."""

from __future__ import annotations

import torch

from repro.engine.local import LocalEngine
from repro.engine.remote import Job, bare_case

_ENGINES: dict[str, LocalEngine] = {}


def engine_for(job: Job) -> LocalEngine:
    """Give the engine of a job, made by the first case that this process gets."""
    if job.uid not in _ENGINES:
        planned = [bare_case(job, key) for key in job.planned]
        engine = LocalEngine(job.settings, planned)
        if engine.device.type == "cpu":
            # Clusters limit threads themselves; the share is that of the case.
            torch.set_num_threads(job.cores)
        _ENGINES.clear()
        _ENGINES[job.uid] = engine
    return _ENGINES[job.uid]
