"""A model card of the Hub with what a run measured, and all else as it was.

Entries are made by huggingface_hub. They are put into the text of the YAML instead of
writing all of it anew, which would lose comments, the order of keys and digits (79.10
would be 79.1); what is read of the new card is compared with what was there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from repro.errors import OptionError
from repro.judgement.verdict import ReferenceCheck
from repro.published import METRICS
from repro.records.result import CaseResult
from repro.report.texts import value_text

if TYPE_CHECKING:
    import yaml
    from huggingface_hub import EvalResult

#: By this source entries of an earlier run are known, and replaced.
SOURCE = "pytest-repro"
_SOURCE_URL = "https://pypi.org/project/pytest-repro/"
#: What the Hub calls datasets: id, name, split.
_DATASETS = {"imagenet-val": ("imagenet-1k", "ImageNet-1k", "validation")}
_TASKS = {
    "supervised": "image-classification",
    "clip": "zero-shot-image-classification",
}
#: Types of metrics that the Hub knows; others keep their name.
_TYPES = {"top1": "accuracy", "top5": "accuracy"}


def eval_results(results: Iterable[CaseResult]) -> list[EvalResult]:
    """Write the measured values of results as the Hub has them."""
    return [
        _eval_result(result, check)
        for result in results
        for check in result.comparisons
        if check.measured is not None
    ]


def _eval_result(result: CaseResult, check: ReferenceCheck) -> EvalResult:
    from huggingface_hub import EvalResult

    measurement = result.measurement
    assert measurement is not None
    assert result.kind is not None
    type_, name, split = _DATASETS.get(
        result.dataset, (result.dataset, result.dataset, None)
    )
    return EvalResult(
        task_type=_TASKS[result.kind],
        dataset_type=type_,
        dataset_name=name,
        dataset_split=split,
        metric_type=_TYPES.get(check.metric, check.metric),
        metric_name=METRICS[check.metric].title,
        metric_value=float(value_text(check)),
        metric_config=result.protocol,
        metric_args={
            "geometry": result.geometry,
            "conditions": result.conditions,
            "computed_in": measurement.arithmetic,
            "images": measurement.metrics.images,
            "dataset_fingerprint": measurement.dataset_fingerprint,
            "weights_sha256": measurement.weights_sha256,
            "published": check.printed,
            "verdict": check.verdict.value,
        },
        source_name=SOURCE,
        source_url=_SOURCE_URL,
    )


def card_with(text: str, name: str, measured: Sequence[EvalResult]) -> str:
    """Put results into a card in place of those of an earlier run.

    Args:
        text: the card; empty for a new one.
        name: of the model, where the card has no model-index yet.
        measured: what is put in.

    Raises:
        OptionError: the card cannot be read, or its model-index is of several models
            or written in braces.
    """
    import yaml
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    mark = "\ufeff" * text.startswith("\ufeff")
    plain = text.removeprefix(mark)
    block = REGEX_YAML_BLOCK.search(plain)
    if block is None:
        return f"{mark}---\n{_index(name, measured)}---\n{plain}"
    break_ = "\r\n" if "\r\n" in block[1] else "\n"
    try:
        refuse_aliases(block[2])
        head = _with_results(block[2].splitlines(), name, measured)
        new = plain[: block.start(2)] + break_.join(head) + plain[block.end(2) :]
        before, after = ModelCard(plain), ModelCard(new)
    except (
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        yaml.YAMLError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise OptionError(f"the card's head is none of the Hub's: {reason}") from error
    if _said(after, ()) != _said(before, measured):
        raise OptionError(
            "the card's model-index is laid out in a way that nothing can be put into "
            "it without changing what is there; write it as a list with dashes"
        )
    return mark + new


def refuse_aliases(head: str) -> None:
    """Refuse YAML whose aliases would make a few lines very large, or without end.

    Raises:
        ValueError: it has some.
        YAMLError: it is no YAML.
    """
    import yaml

    # That of C says within a second that brackets without end are too deep.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(head, loader)):
        raise ValueError(
            "its YAML has aliases (*), which are not followed; write out what they "
            "stand for"
        )


def _said(card: Any, added: Sequence[EvalResult]) -> tuple[Any, ...]:
    """Give all that a card says, as if it had some results for those of before."""
    others = card.data.to_dict()
    others.pop("model-index", None)
    found = card.data.eval_results or []
    if added:
        found = [one for one in found if one.source_name != SOURCE] + list(added)
    return card.text, others, sorted(map(repr, found))


def _with_results(
    lines: list[str], name: str, measured: Sequence[EvalResult]
) -> list[str]:
    """Put results into the lines of a head of YAML."""
    import yaml

    source = "\n".join(lines) + "\n"
    index = _child(yaml.compose(source, yaml.SafeLoader), "model-index")
    if index is None:
        return lines + _index(name, measured).splitlines()
    models = index.value if isinstance(index, yaml.SequenceNode) else []
    results = _child(models[0], "results") if len(models) == 1 else None
    if not isinstance(results, yaml.SequenceNode) or results.flow_style:
        raise ValueError("its model-index is not that of one model, listed with dashes")
    # Of the parsed list each entry begins in a line, and ends where the next begins.
    starts = [entry.start_mark.line for entry in results.value]
    ends = [*starts[1:], results.end_mark.line]
    said = yaml.safe_load(source)["model-index"][0]["results"]
    ours = {
        line
        for start, end, entry in zip(starts, ends, said, strict=True)
        if (entry.get("source") or {}).get("name") == SOURCE
        for line in range(start, end)
    }
    indent = " " * results.start_mark.column
    added = textwrap.indent(_listed(name, measured), indent).splitlines()
    return [
        *(line for number, line in enumerate(lines[: ends[-1]]) if number not in ours),
        *added,
        *lines[ends[-1] :],
    ]


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    found: dict[str, yaml.Node] = {name.value: value for name, value in node.value}
    return found.get(key)


def _index(name: str, measured: Sequence[EvalResult]) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(model_name=name, eval_results=list(measured))
    return f"{data.to_yaml()}\n"


def _listed(name: str, measured: Sequence[EvalResult]) -> str:
    """Write the entries alone, as huggingface_hub writes a card."""
    import yaml
    from huggingface_hub import ModelCardData

    data = ModelCardData(model_name=name, eval_results=list(measured))
    entries = yaml.safe_load(data.to_yaml())["model-index"][0]["results"]
    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    return text
