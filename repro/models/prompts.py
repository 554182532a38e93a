"""The prompts of a text classifier: lists of a release, or of a library."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from typing import Any, Literal

import msgspec

from repro.errors import ExpectedError
from repro.files import file_shipped_with
from repro.published import TextSpec

_BENCHMARK = re.compile(r"clip_benchmark==(?P<version>[^:]+):(?P<name>\w+)")
_FILES = {
    "classnames": "datasets/en_classnames.json",
    "templates": "datasets/en_zeroshot_classification_templates.json",
}

Kind = Literal["classnames", "templates"]


def prompts_of(text: TextSpec) -> tuple[list[str], int]:
    """List the prompts, class by class, and say how many each class has.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    fillers: list[Callable[[str], str]] = [
        template.format if isinstance(template, str) else template
        for template in _texts(text.templates, "templates")
    ]
    names = _texts(text.classnames, "classnames")
    return [fill(name) for name in names for fill in fillers], len(fillers)


def spelt_out(text: TextSpec) -> TextSpec:
    """Give the same prompts with lists of our own, whoever ships the protocol's.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    templates = _texts(text.templates, "templates")
    return TextSpec(
        classnames=tuple(_texts(text.classnames, "classnames")),
        templates=tuple(t if isinstance(t, str) else t("{}") for t in templates),
    )


def count_classes(text: TextSpec) -> int:
    """Count the classes that prompts are made for.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    return len(_texts(text.classnames, "classnames"))


def _texts(named: Sequence[str] | str, kind: Kind) -> Sequence[Any]:
    """Give a list; what open_clip ships are strings or functions of a class name."""
    if not isinstance(named, str):
        return named
    if match := _BENCHMARK.fullmatch(named):
        return _of_benchmark(match["version"], match["name"], kind)
    import open_clip

    name = named.removeprefix("open_clip:")
    if not hasattr(open_clip, name):
        raise ExpectedError(
            f"open_clip {open_clip.__version__} has no list {name}; "
            "OPENAI_IMAGENET_TEMPLATES and IMAGENET_CLASSNAMES are two that it has"
        )
    texts: Sequence[Any] = getattr(open_clip, name)
    return texts


@cache
def _of_benchmark(version: str, name: str, kind: Kind) -> tuple[str, ...]:
    """Read a list of CLIP_benchmark, whose package is not imported.

    Its templates have `{c}` for the class name.
    """
    try:
        found = metadata.version("clip-benchmark")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != version:
        raise ExpectedError(
            f"{kind} are those of clip-benchmark {version}, and {found} is installed; "
            f"pip install --no-deps clip-benchmark=={version}, of which only lists of "
            "text are read"
        )
    file = file_shipped_with("clip_benchmark", _FILES[kind])
    content = file.read_bytes() if file else b"{}"
    lists = msgspec.json.decode(content, type=dict[str, tuple[str, ...]])
    if name not in lists:
        raise ExpectedError(
            f"clip-benchmark {version} has no {kind} {name}; it has those of "
            f"{', '.join(lists)}"
        )
    return tuple(text.replace("{c}", "{}") for text in lists[name])
