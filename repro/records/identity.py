"""All that a measurement depends on, as one digest."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

import repro
from repro.cases import Case
from repro.records.environment import Environment
from repro.records.git import GitState, git_state


def measurement_identity(
    case: Case,
    *,
    weights_sha256: str,
    dataset_fingerprint: str,
    environment: Environment,
    precision: str,
    limit: int | None,
    accelerate: Sequence[str] = (),
    code: GitState | None = None,
) -> str:
    """Digest what the predictions of a case depend on: 64 hexadecimal digits.

    That is the code (repro's own, and the commit and changes of the working tree that
    the run was started in), the weights, the images, the protocol with the model that
    it is applied to, the accelerators that are wanted, and the environment. The size of
    batches and how the work was spread over processes change nothing and do not count.
    """
    location = case.release.location
    content = {
        "code": code_digest(),
        "changes": (code or git_state(Path.cwd())).changes,
        "weights": weights_sha256,
        "dataset": dataset_fingerprint,
        "columns": case.dataset.columns,
        "protocol": case.protocol,
        "model": case.model,
        "model_files": [
            hashlib.sha256((location / file).read_bytes()).hexdigest()
            for file in (case.model.config, case.model.tokenizer)
            if file
        ],
        "environment": environment,
        "precision": precision,
        "limit": limit,
        "accelerate": sorted(accelerate),
    }
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


@functools.cache
def code_digest() -> str:
    """Digest the source files of the package."""
    package = Path(repro.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()
