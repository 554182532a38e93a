"""Check that the tables of a release fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from repro.published.loader_names import find_entry_point, loader_names
from repro.published.located import Located
from repro.published.release import Reference, Release

#: Loaders that read no file of a release besides the weights.
_WITHOUT_FILES = ("timm", "torchvision")


def check_consistency(
    release: Release,
    header: Located,
    tables: Mapping[str, Mapping[str, Located]],
    references: Iterable[tuple[Located, Reference]],
) -> None:
    """Check that what one table names is defined by another, once, and fits.

    Args:
        release: what was read.
        header: where the release's own table stands.
        tables: where every other table stands: `{table: {name: place}}`.
        references: the references of the release, each with its place.

    Raises:
        ExpectedError: the message names the table that has to be changed.
    """
    _check_known(header, "default_dataset", [release.default_dataset], release.datasets)
    for name, model in release.models.items():
        if find_entry_point(model.loader) is None:
            raise tables["model"][name].error(
                f"there is no loader {model.loader!r}; known are "
                f"{', '.join(loader_names())}"
            )
        for key, file in (("config", model.config), ("tokenizer", model.tokenizer)):
            if file and not (path := release.location / file).is_file():
                raise tables["model"][name].error(
                    f"{key} names {path}, which does not exist"
                )
            if file and model.loader in _WITHOUT_FILES:
                raise tables["model"][name].error(
                    f"{key} has no effect with loader {model.loader!r}; it belongs to "
                    "open_clip, so remove it"
                )
            if key == "tokenizer" and file and _is_supervised(name, release):
                raise tables["model"][name].error(
                    "tokenizer has no effect, since the families of this model have "
                    "no zero-shot protocol; remove it"
                )
    for name, protocol in release.protocols.items():
        located = tables["protocol"][name]
        _check_known(located, "source", [protocol.source], release.sources)
    for name in release.families:
        _check_family(tables["family"][name], name, release)
    for name, checksum in release.checksums.items():
        located = tables["checksum"][name]
        _check_known(located, "the name", [checksum.family], release.families)
    seen: dict[tuple[object, ...], str] = {}
    costs: dict[tuple[object, ...], Reference] = {}
    for located, reference in references:
        _check_reference(located, reference, release)
        _check_cost(located, reference, costs)
        measurement = (
            frozenset(reference.families),
            reference.checkpoint,
            reference.dataset,
            reference.protocol,
            reference.source,
            reference.metric,
        )
        if measurement in seen:
            raise located.error(
                f"{reference.metric} of the same checkpoint, dataset, protocol and "
                f"source stands in {seen[measurement]} already; remove one of them"
            )
        seen[measurement] = reference.defined_in


def _is_supervised(model: str, release: Release) -> bool:
    """Tell whether families use a model, and none of them describes classes by text."""
    protocols = [
        protocol
        for family in release.families.values()
        if family.model == model
        for protocol in family.protocols
    ]
    kinds = [release.protocols[p].kind for p in protocols if p in release.protocols]
    return bool(kinds) and "clip" not in kinds


def _check_family(located: Located, name: str, release: Release) -> None:
    family = release.families[name]
    _check_known(located, "model", [family.model], release.models)
    _check_known(located, "protocols", family.protocols, release.protocols)
    _check_known(located, "datasets", family.datasets, release.datasets)
    kinds = {p: release.protocols[p].kind for p in family.protocols}
    if len(set(kinds.values())) > 1:
        mixed = ", ".join(f"{protocol!r} is {kind}" for protocol, kind in kinds.items())
        raise located.error(f"protocols must be of one kind, but {mixed}")
    for protocol in family.protocols:
        for dataset in family.datasets:
            _check_class_names(located, protocol, dataset, release)


def _check_reference(located: Located, reference: Reference, release: Release) -> None:
    _check_known(located, "family", reference.families, release.families)
    _check_known(located, "dataset", [reference.dataset], release.datasets)
    _check_known(located, "protocol", [reference.protocol], release.protocols)
    _check_known(located, "source", [reference.source], release.sources)
    _check_class_names(located, reference.protocol, reference.dataset, release)
    kind = release.protocols[reference.protocol].kind
    for name in reference.families:
        own = release.protocols[release.families[name].protocols[0]].kind
        if own != kind:
            raise located.error(
                f"protocol {reference.protocol!r} is {kind}, but the family {name!r} "
                f"has {own} checkpoints"
            )


def _check_cost(
    located: Located, reference: Reference, costs: dict[tuple[object, ...], Reference]
) -> None:
    """Refuse two costs for one case, of which only the first would count."""
    if reference.gflops is None:
        return
    for family in reference.families:
        case = family, reference.checkpoint, reference.protocol, reference.dataset
        known = costs.setdefault(case, reference)
        if known.gflops != reference.gflops:
            raise located.error(
                f"gflops is {reference.gflops}, but {known.defined_in} says "
                f"{known.gflops} of the same case; give one of them"
            )


def _check_class_names(
    located: Located, protocol: str, dataset: str, release: Release
) -> None:
    """Refuse a list of class names that is longer or shorter than the classes."""
    text = release.protocols[protocol].text
    spec = release.datasets[dataset]
    classes = len(spec.outputs or spec.classes)
    if text and isinstance(text.classnames, tuple) and len(text.classnames) != classes:
        raise located.error(
            f"protocol {protocol!r} has {len(text.classnames)} classnames, but the "
            f"dataset {dataset!r} has {classes} classes"
        )


def _check_known(
    located: Located, key: str, names: Sequence[str], known: Mapping[str, object]
) -> None:
    if not names:
        raise located.error(f"{key} is empty; name at least one")
    for position, name in enumerate(names):
        if name not in known:
            raise located.error(
                f"{key} names {name!r}, which is not defined; "
                f"defined are {', '.join(known) or 'none'}"
            )
        if name in names[:position]:
            raise located.error(f"{key} names {name!r} twice; once is right")
