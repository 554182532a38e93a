"""Find the weights file of a case on this machine."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from repro.cases import Case
from repro.errors import NotAvailableError, WeightsError
from repro.models.libraries import find_loader
from repro.published import split_weights_name

_DOWNLOAD_TO = "--repro-download and --repro-checkpoints=DIR"


def find_weights(case: Case, checkpoints: Path | None) -> Path:
    """Find the weights file of a case.

    What a library publishes is looked for in that library's own cache too.

    Args:
        case: which checkpoint.
        checkpoints: folder with one folder of weights a family, if the user has one.

    Raises:
        NotAvailableError: there is none; the message says where it was looked for and
            the command that gets it.
        WeightsError: there are several files of that name.
    """
    folder = case.weights_folder(checkpoints)
    names = case.weights_names
    found = [path for name in names if folder and (path := folder / name).is_file()]
    if len(found) > 1:
        raise WeightsError(
            f"{folder} holds {' and '.join(path.name for path in found)}; "
            "keep one of them, it is not said which is meant"
        )
    if found:
        return found[0]
    if cached := find_loader(case.model.loader).cached(case.model):
        return cached
    usual = f"{case.checkpoint}.pt"
    raise _not_here(case, folder, usual if usual in names else names[0])


def check_code(case: Case) -> None:
    """See that the code which builds a model is here.

    Raises:
        NotAvailableError: it is not; the message has the command that gets it.
    """
    model = case.model
    if not model.code_url:
        return
    file = case.release.location / model.code
    command = model.code_command(case.release.location)
    if not file.is_file():
        raise NotAvailableError(
            f"no code: the model {model.id!r} is built by {file.name}, which is not "
            f"beside the numbers; run {command!r}, and read it before it is run",
            "code",
            command,
        )


def _not_here(case: Case, folder: Path | None, name: str) -> NotAvailableError:
    """Say what is missing, and the command that brings it where there is one."""
    lacking = "weights"
    family = case.family.id
    missing = f"{folder} has no {name}" if folder else "no folder of weights is named"
    if near := _nearly(folder, case, name):
        return NotAvailableError(f"no weights: {missing}; {near}", lacking)
    files = {
        split_weights_name(file)[0]: link for file, link in case.family.files.items()
    }
    link = files.get(case.checkpoint, case.family.folder)
    if not link:
        place = folder or f"DIR/{family}"
        then = "" if folder else ", and name DIR with --repro-checkpoints"
        return NotAvailableError(
            f"no weights: {missing}; get {name} from its publisher, put it into {place}"
            f"{then}",
            lacking,
        )
    if case.checkpoint in files:
        # `repro fetch` would bring all of the family, which may be a thousand.
        options = "--repro-download" if folder else _DOWNLOAD_TO
        return NotAvailableError(
            f"no weights: {missing}; add {options} to fetch it (from {link})",
            lacking,
            f"add {options}",
        )
    if folder is None:
        root, then = "DIR", "then name DIR with --repro-checkpoints"
    else:
        root = str(folder).removesuffix(family).rstrip("/")
        then = "or add --repro-download"
    command = shlex.join(["repro", "fetch", family, "--checkpoints", root])
    return NotAvailableError(
        f"no weights: {missing}; run {command!r}, {then} (from {link})",
        lacking,
        f"repro fetch {{}} --checkpoints {shlex.quote(root)}",
    )


def _nearly(folder: Path | None, case: Case, wanted: str) -> str:
    """Say what lies where a checkpoint is looked for and cannot be read; or nothing."""
    checkpoint, names = case.checkpoint, case.weights_names
    with contextlib.suppress(OSError):
        for file in sorted(folder.iterdir()) if folder else ():
            stem, suffix = split_weights_name(file.name)
            if file.name in names and not file.exists():
                return f"{file.name} there leads to {file.readlink()}, which is gone"
            if stem == checkpoint and suffix and file.name not in names:
                return (
                    f"{file.name} is there, which loader {case.model.loader} does not "
                    f"read: get {wanted}, or name the loader that does"
                )
            if not suffix and file.stem == checkpoint and file.is_file():
                return (
                    f"{file.name} is there, but no file with that suffix is looked "
                    f"for: rename it to {checkpoint}.pt if it holds weights"
                )
    return ""
