"""All that a measurement depends on, as one key.

It is made here and nowhere else. Whatever keeps, shares, resumes or joins measurements
goes by its digest, so that nobody has to think of a field that was added later.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import repro
from repro.cases import Case
from repro.published import (
    GUARDED,
    METRICS,
    DatasetSpec,
    ModelSpec,
    Protocol,
    Reference,
)
from repro.records.environment import Environment, GitState, git_state

_OF_CHECKPOINT = (
    *("case", "model", "model_files", "weights_sha256", "ends_with", "decides"),
)
_OF_SOFTWARE = ("environment", "code", "changes")


class MeasurementKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the predictions of a case depend on.

    `settings` are those of the engine that count (`EngineSettings.counted`);
    `model_files` are SHA-256 of the files that describe the model; `code` is that of
    repro itself, `changes` those of the working tree that the run was started in, whose
    commit is in the environment; `ends_with` are the published numbers that may end an
    evaluation early, none where that is not allowed; `decides` are those that guarded
    precision computes as much in float32 for as they need.
    """

    case: str
    release: str
    model: ModelSpec
    model_files: tuple[str, ...]
    protocol: Protocol
    dataset: DatasetSpec
    weights_sha256: str
    dataset_fingerprint: str
    settings: dict[str, Any]
    environment: Environment
    code: str
    changes: str
    ends_with: tuple[Reference, ...] = ()
    decides: tuple[Reference, ...] = ()

    @property
    def digest(self) -> str:
        """Name of the measurement: 64 hexadecimal digits."""
        return digest_of(self)

    @property
    def conditions(self) -> str:
        """Name what measurements of several checkpoints have in common, or have not.

        All but the checkpoint and what is the software's counts.
        """
        fields = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in _OF_CHECKPOINT and name not in _OF_SOFTWARE
        }
        return digest_of(fields)[:32]

    @property
    def whole(self) -> MeasurementKey:
        """The key of the measurement if it is not ended early: no number matters."""
        return msgspec.structs.replace(self, ends_with=())

    @property
    def unguarded(self) -> MeasurementKey:
        """The key of the measurement if every image is computed in float32."""
        if self.settings.get("precision") != GUARDED:
            return self
        settings = {**self.settings, "precision": "fp32"}
        return msgspec.structs.replace(self, settings=settings, decides=())

    @property
    def as_good(self) -> tuple[str, ...]:
        """Digests of measurements of all images that serve as this one."""
        # That in the same arithmetic comes first, since it has the very numbers that
        # this one would have; that of float32 decides as much, and knows its loss
        # exactly.
        return self.whole.digest, self.unguarded.whole.digest


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a test asks for, which is known before anything is read.

    `settings` are those of the engine that somebody has set, for people to read; the
    `digest` is of all that counts, and empty where it is not known. A run has one
    result for each thing that is asked.
    """

    settings: dict[str, str] = {}
    digest: str = ""


#: Where nobody knows any more what was asked for.
UNKNOWN = Asked()


def measurement_key(
    case: Case,
    settings: Mapping[str, Any],
    *,
    model_files: tuple[str, ...],
    weights_sha256: str,
    dataset_fingerprint: str,
    environment: Environment,
    may_end_early: bool = False,
    code: GitState | None = None,
) -> MeasurementKey:
    """Gather all that a measurement of a case depends on.

    Args:
        case: what is measured.
        settings: of the engine, those that count.
        model_files: SHA-256 of the files that the model names.
        weights_sha256: of the weights file.
        dataset_fingerprint: of the images.
        environment: that it is measured in.
        may_end_early: whether published numbers can end the evaluation.
        code: that the run was started with; what is found here by default.
    """
    return MeasurementKey(
        case=case.id,
        release=case.release.id,
        model=case.model,
        model_files=model_files,
        protocol=case.protocol,
        dataset=case.dataset,
        weights_sha256=weights_sha256,
        dataset_fingerprint=dataset_fingerprint,
        settings=dict(settings),
        environment=environment,
        code=code_digest(),
        changes=(code or git_state(Path.cwd())).changes,
        # Only then do published numbers matter to what is predicted: else a number that
        # is corrected would have everything measured again.
        ends_with=_plain(case.references) if may_end_early else (),
        decides=_plain(decided_by(case)) if settings["precision"] == GUARDED else (),
    )


def asked(case: Case, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> Asked:
    """Write down what is asked for.

    Args:
        case: with its published numbers.
        settings: of the engine, those that may change what is measured.
        chosen: those of them that are not as they are by default.
    """
    release = case.release
    content = (
        *(case.id, release.id, release.location, case.model, case.protocol),
        *(case.dataset, _plain(case.references), settings),
    )
    texts = {name: _in_words(value) for name, value in chosen.items()}
    return Asked(settings=texts, digest=digest_of(content))


def digest_of(content: object) -> str:
    """Digest structs, mappings and paths: 64 hexadecimal digits."""
    # Sorted: equal mappings have one digest, in whatever order they were written down.
    text = msgspec.json.encode(content, order="sorted", enc_hook=str)
    return hashlib.sha256(text).hexdigest()


# Once: what this process computes with are the sources that it has imported, also when
# somebody edits the files while it runs.
@functools.cache
def code_digest() -> str:
    """Digest the source files of the package."""
    package = Path(repro.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def decided_by(case: Case) -> list[Reference]:
    """List the published means that say how well guarded precision has to know it."""
    return [r for r in case.published if METRICS[r.metric].bound == "mean"]


def _plain(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Give published numbers, wherever they are written down."""
    return tuple(
        msgspec.structs.replace(reference, defined_in=None) for reference in references
    )


def _in_words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
