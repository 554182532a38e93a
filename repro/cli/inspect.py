"""`repro inspect`: what is in a weights file, without running anything from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from repro.cli.options import EXISTING_FILE, Command, expected_option
from repro.cli.output import echo, echo_lines
from repro.errors import ReproError
from repro.files import shown_size
from repro.models.architecture import Architecture
from repro.models.inspection import Inspection, inspect_weights
from repro.models.naming import fitting_models, options_text
from repro.published import Release, read_releases

_ASSUMED = {"heads", "text heads"}


@click.command(cls=Command)
@click.argument("file", type=EXISTING_FILE)
@expected_option
def inspect(file: Path, expected: tuple[Path | str, ...]) -> None:
    """Say what a weights file holds and would load as.

    Nothing in it is executed; a file that would need that is refused with the reason.
    """
    found = inspect_weights(file)
    for label, text in _rows(found):
        echo(f"  {label:<14}{text}" if label else text)
    if found.graph:
        echo('  loads as      a model of loader = "onnx"')
        return
    echo_lines(_fits(found, read_releases(expected)))


def _rows(found: Inspection) -> Iterator[tuple[str, str]]:
    yield "", f"{found.path}: {shown_size(found.size)}, {found.format}"
    if found.graph:
        yield "input", "; ".join(map(str, found.graph.inputs))
        yield "output", "; ".join(map(str, found.graph.outputs))
    elif found.entry:
        beside = f"; beside it {', '.join(found.others)}" if found.others else ""
        yield "state dict", f"in the entry {found.entry!r}{beside}"
    else:
        yield "state dict", "the file itself"
    if found.rivals:
        rivals = ", ".join(repr(name) if name else "the file" for name in found.rivals)
        yield "weights_key", f"has to be named: {rivals} holds tensors too"
    if found.done:
        yield "read with", "; ".join(found.done)
    types = ", ".join(
        dtype if len(found.dtypes) == 1 else f"{count:,} of {dtype}"
        for dtype, count in found.dtypes.items()
    )
    tensors = f"{len(found.shapes):,} with {found.parameters:,} parameters"
    yield "tensors", f"{tensors}, {types}"
    if found.architecture:
        yield "architecture", _described(found.architecture)
    specs = [] if found.graph else [*fitting_models(found.shapes)]
    named = [f"{s.architecture} in {s.loader}{options_text(s)}" for s in specs]
    if named:
        yield "name", "; or ".join(named)
    elif not found.architecture:
        names = ", ".join(list(found.shapes)[:3])
        yield "architecture", f"not known; names such as {names}"
    if found.logit_scale is not None:
        yield "logit scale", f"{found.logit_scale:.6g}"


def _described(architecture: Architecture) -> str:
    kind = "CLIP" if architecture.kind == "clip" else "supervised"
    facts = ", ".join(
        f"{name} {count:,}" + " (of 64 channels, as usual)" * (name in _ASSUMED)
        for name, count in architecture.facts.items()
    )
    said = f"{architecture.family}: {facts}" if facts else architecture.family
    return f"{kind}, {said}"


def _fits(found: Inspection, releases: Sequence[Release]) -> Iterator[str]:
    """Try every model of the releases, and say which of them it loads as."""
    import torch

    from repro.models.building import load_checkpoint

    misfits: list[str] = []
    fitting = 0
    for release in releases:
        for spec in release.models.values():
            if "{" in spec.architecture:
                continue  # An architecture for each checkpoint, known by its name.
            label = f"{spec.id} of {release.id} ({spec.loader} {spec.architecture})"
            try:
                load_checkpoint(spec, release.location, found.path, torch.device("cpu"))
            except ReproError as error:
                said = str(error).removeprefix(f"{found.path} ").split(". ")
                # What would make it load is worth a sentence more.
                why = [said[0], *(one for one in said[1:] if "weights_key" in one)]
                misfits.append(f"  not as        {label}: it {'. '.join(why)}")
                continue
            fitting += 1
            yield f"  loads as      {label}"
    yield from misfits
    if not fitting:
        yield "  loads as      no model of the releases"
