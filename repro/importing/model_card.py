"""Model cards of the Hub: what the `model-index` of a README.md publishes.

The block of YAML at its head says task, dataset, metric and value, but not how the
value was measured; so the protocol is that of the library which `config.json` or
`open_clip_config.json` beside the card is for. Numbers are read as text: 0.790 stays
so. What the block may hold is said in
https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import ExpectedError, OptionError
from repro.fetching.obtaining import MissingError, file_of_hub
from repro.fetching.transfer import NoNetworkError
from repro.importing.checkpoints import CardModel, model_of
from repro.importing.labels import metric_named, simplified
from repro.importing.tables import Row, Table
from repro.published import METRICS, Shares
from repro.published.files import read_text
from repro.report.for_programs import SOURCE, refuse_aliases
from repro.words import shortened

CARD = "README.md"
_IMAGENET = "imagenet imagenet1k ilsvrc2012 ilsvrcimagenet1k timmimagenet1kwds"
# Trainers write floats in full: up to 17 digits that count.
_NUMBER = re.compile(r"(\d{1,3}(?:\.\d{1,20})?) ?(%?)")
_TASKS = {
    "supervised": ("image-classification",),
    "clip": ("zero-shot-image-classification", "zero-shot-classification"),
}
_PAGE = re.compile(
    r"https://huggingface\.co/(?P<repository>[\w.-]+/[\w.-]+)/blob/"
    r"(?P<revision>[\w.-]+)/README\.md"
)


class _Task(msgspec.Struct, frozen=True):
    type: str


class _Dataset(msgspec.Struct, frozen=True):
    type: str
    name: str = ""
    split: str = ""


class _Metric(msgspec.Struct, frozen=True):
    type: str
    value: Any
    name: str = ""


class _Source(msgspec.Struct, frozen=True):
    name: str = ""


class _Result(msgspec.Struct, frozen=True):
    task: _Task
    dataset: _Dataset
    metrics: tuple[_Metric, ...]
    source: _Source = _Source()


class _Entry(msgspec.Struct, frozen=True):
    name: str
    results: tuple[_Result, ...] = ()


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A card on this machine, and where it can be read."""

    file: Path
    url: str
    repository: str = ""
    revision: str = ""

    @property
    def title(self) -> str:
        """What it is called in sentences."""
        return self.repository or str(self.file)


class _Published(msgspec.Struct, frozen=True):
    metric: str
    digits: str
    is_percent: bool


def find_card(what: str, url: str) -> Card:
    """Find a card: a file, or `hf://owner/name[@revision]`, which is downloaded.

    Raises:
        OptionError: it is neither, or nobody says where the file can be read.
        FetchError: the Hub does not give it.
    """
    if what.startswith("hf://"):
        if url:
            raise OptionError(f"--url has no effect with {what}; leave it out")
        return _of_hub(what)
    file = Path(what)
    if not file.is_file():
        raise OptionError(
            f"{what} is no file; name a README.md, or hf://OWNER/NAME for one of the "
            "Hub"
        )
    if not url:
        raise OptionError(
            f"nothing says where {what} can be read; name it with --url, such as "
            "https://huggingface.co/OWNER/NAME/blob/COMMIT/README.md"
        )
    page = _PAGE.fullmatch(url)
    return Card(file=file, url=url, **(page.groupdict() if page else {}))


def _of_hub(text: str) -> Card:
    repository, _, wanted = text.removeprefix("hf://").rstrip("/").partition("@")
    if repository.count("/") != 1:
        raise OptionError(f"{text} must be hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    file = file_of_hub(text, repository, CARD, wanted or None)
    revision = file.parent.name
    for name in ("config.json", "open_clip_config.json"):
        # A card that was kept is read without a network, with what was kept of these.
        with contextlib.suppress(MissingError, NoNetworkError):
            file_of_hub(text, repository, name, revision)
    return Card(
        file=file,
        url=f"https://huggingface.co/{repository}/blob/{revision}/{CARD}",
        repository=repository,
        revision=revision,
    )


def card_table(card: Card) -> Table:
    """Read the numbers of a card as a table.

    Raises:
        ExpectedError: it has none that can be measured, or cannot be read.
    """
    data = _metadata(card.file)
    entries = _entries(card.file, data)
    model = model_of(card.file, str(data.get("library_name", "")), card.repository)
    left_out: list[str] = []
    found = {
        entry.name: numbers
        for entry in entries
        if (numbers := list(_published(entry, model, left_out)))
    }
    if len(found) != 1:
        said = f". Left out: {shortened('; '.join(left_out), 250)}" if left_out else ""
        what = f"numbers of {len(found)} models" if found else "no number to measure"
        raise ExpectedError(
            f"{card.file}: its model-index has {what}; one model with accuracies on "
            f"ImageNet-1k is read{said}"
        )
    ((name, numbers),) = found.items()
    name = re.sub(r"[^\w.+-]", "-", (card.repository or name).rpartition("/")[2])
    unit, digits = _in_one_unit(card.file, numbers)
    table = _table(card, model, name, unit, digits)
    return msgspec.structs.replace(table, left_out=tuple(left_out))


def _table(
    card: Card, model: CardModel, name: str, unit: Shares, digits: dict[str, str]
) -> Table:
    at = f"@{card.revision}" if card.revision else ""
    row = Row(
        checkpoint=name,
        preprocessing=model.preprocessing,
        numbers=digits,
        gflops=1.0,
        file=f"hf://{card.repository}{at}/{model.weights}" if card.repository else "",
    )
    home = f"https://huggingface.co/{card.repository}"
    return Table(
        name=re.sub(r"[^A-Za-z0-9_-]", "-", name),
        library=model.library,
        version=model.version,
        title=f"Model card of {card.repository or name}",
        code=home if card.repository else card.url,
        source=f"model-index of the model card of {card.repository or name}",
        url=card.url,
        kind=model.kind,
        rows=(row,),
        precision="fp32",
        precision_note="float32, since the card does not say otherwise",
        unit=unit,
        protocol_note=f"the card says no protocol, so it is {model.protocol_note}",
        note=f"read at revision {card.revision}" if card.revision else "",
        architecture=model.architecture,
        options=model.options,
        config=model.config,
        training_data="as the model card says",
    )


def _metadata(file: Path) -> dict[str, Any]:
    """Read the YAML at the head of a card, all scalars as text."""
    import yaml
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    block = REGEX_YAML_BLOCK.search(read_text(file).removeprefix("\ufeff"))
    if block is None:
        raise ExpectedError(
            f"{file}: does not begin with a block of YAML between two lines ---, so "
            "it publishes no number that a program can read"
        )
    try:
        refuse_aliases(block[2])
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        data = yaml.load(block[2], Loader=loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = shortened(" ".join(str(error).split()), 200)
        raise ExpectedError(f"{file}: its head is no YAML: {reason}") from error
    if not isinstance(data, dict):
        raise ExpectedError(f"{file}: its head must be a table of YAML, with keys")
    return data


def _entries(file: Path, data: dict[str, Any]) -> tuple[_Entry, ...]:
    if "model-index" not in data:
        raise ExpectedError(
            f"{file}: has no model-index, so it publishes no number that a program can "
            "read; enter a table of its text with 'repro import table'"
        )
    try:
        return msgspec.convert(data["model-index"], tuple[_Entry, ...])
    except msgspec.ValidationError as error:
        raise ExpectedError(
            f"{file}: model-index is not as the Hub has it: {error}"
        ) from error


def _published(
    entry: _Entry, model: CardModel, left_out: list[str]
) -> Iterator[_Published]:
    """Yield the numbers of an entry that are of cases, and note the others."""
    for result in entry.results:
        reason = _reason(result, model)
        for metric in result.metrics:
            name = metric_named(_heading(metric))
            number = _NUMBER.fullmatch(str(metric.value).strip())
            why = reason or ("" if name else "no metric that is known")
            if not why and number is None:
                why = "no plain number"
            if name and number and not why:
                yield _Published(name, number[1], bool(number[2]))
                continue
            label = metric.name or metric.type
            dataset = result.dataset.name or result.dataset.type
            left_out.append(f"{label!r} of {dataset!r} = {metric.value!r}: {why}"[:160])


def _reason(result: _Result, model: CardModel) -> str:
    """Say why no number of a result is one of a case; empty where they are."""
    task, dataset = result.task.type, result.dataset
    if result.source.name == SOURCE:
        return "measured by repro, not published"
    if task not in _TASKS[model.kind]:
        return f"{task}, and {model.library} is measured in {_TASKS[model.kind][0]}"
    names = (simplified(dataset.type), _without_split(dataset.name or dataset.type))
    if not set(names) <= set(_IMAGENET.split()):
        return "not ImageNet-1k, whose classes and images are known"
    if dataset.split.casefold() not in {"", "val", "validation"}:
        return f"the split {dataset.split!r}, not the validation images"
    return ""


def _without_split(name: str) -> str:
    return re.sub(r"val(idation)?(set)?$", "", simplified(re.sub(r"[()]", "", name)))


def _heading(metric: _Metric) -> str:
    """Say what a metric is called, without the task, which the result has."""
    name = metric.name or metric.type
    return re.sub(r"(?i)^zero[- ]?shot\s+|^imagenet(-1k)?\s+", "", name)


def _in_one_unit(
    file: Path, numbers: list[_Published]
) -> tuple[Shares, dict[str, str]]:
    """Tell fractions from percent, and give each metric's digits."""
    digits: dict[str, str] = {}
    for number in numbers:
        known = digits.setdefault(number.metric, number.digits)
        if known != number.digits:
            raise ExpectedError(
                f"{file}: says {number.metric} twice, {known} and {number.digits}; "
                "leave the wrong one out"
            )
    shares = [one for one in numbers if METRICS[one.metric].unit.whole is not None]
    percent = [one for one in shares if one.is_percent or float(one.digits) > 1]
    if percent and len(percent) != len(shares):
        raise ExpectedError(
            f"{file}: some shares are percent and others look like fractions "
            f"({', '.join(one.digits for one in shares)}); write all in one unit"
        )
    return ("percent" if percent or not shares else "fraction"), digits
