"""Check that the tables of a release fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

import msgspec

from repro.published.files import Definition, Located
from repro.published.release import Reference, Release
from repro.published.statements import Claim
from repro.published.vocabulary import LOADERS

#: Keys of the files of a release that our loaders read besides the weights.
_FILES: dict[str, tuple[str, ...]] = {
    "timm": (),
    "torchvision": (),
    "open_clip": ("config", "tokenizer"),
    "python": ("code",),
}


class Places(msgspec.Struct, frozen=True):
    """Where each part of a release stands, for the errors about it.

    `header` is the table `[release]`; `tables` are the others that have names:
    `{table: {name: place}}`.
    """

    header: Located
    tables: Mapping[str, Mapping[str, Located]]
    references: Sequence[tuple[Located, Reference]]
    claims: Sequence[tuple[Located, Claim]]


def check_consistency(release: Release, places: Places) -> None:
    """Check that what one table names is defined by another, once, and fits.

    Raises:
        ExpectedError: the message names the table that has to be changed.
    """
    _check_known(
        places.header, "default_dataset", [release.default_dataset], release.datasets
    )
    for table, check in _CHECKS.items():
        for name, located in places.tables.get(table, {}).items():
            check(located, name, release)
    _check_references(places.references, release)
    _check_claims(places.claims, release)


def _check_model(located: Located, name: str, release: Release) -> None:
    model = release.models[name]
    if LOADERS.find(model.loader) is None:
        raise located.error(
            f"there is no loader {model.loader!r}; there are "
            f"{', '.join(LOADERS.names())}"
        )
    taken = _FILES.get(model.loader)
    for key, file in model.files.items():
        path = release.location / file
        if not path.is_file() and not (key == "code" and model.code_url):
            raise located.error(f"{key} names {path}, which does not exist")
        if taken is not None and key not in taken:
            (owner,) = (name for name, keys in _FILES.items() if key in keys)
            raise located.error(
                f"{key} has no effect with loader {model.loader!r}; it belongs to "
                f"{owner}, so remove it"
            )
    if model.loader == "python" and not model.code.endswith(".py"):
        raise located.error(
            f"code is {model.code!r}; loader 'python' needs the file beside this one "
            'that holds the model, such as "model.py"'
        )
    if model.tokenizer and _is_supervised(name, release):
        raise located.error(
            "tokenizer has no effect, since the families of this model have no "
            "zero-shot protocol; remove it"
        )


def _is_supervised(model: str, release: Release) -> bool:
    """Tell whether families use a model, and none of them describes classes by text."""
    protocols = [
        protocol
        for family in release.families.values()
        if model in (family.model, *family.models.values())
        for protocol in family.protocols
    ]
    kinds = [release.protocols[p].kind for p in protocols if p in release.protocols]
    return bool(kinds) and "clip" not in kinds


def _check_protocol(located: Located, name: str, release: Release) -> None:
    source = release.protocols[name].source
    _check_known(located, "source", [source], release.sources)


def _check_family(located: Located, name: str, release: Release) -> None:
    family = release.families[name]
    _check_known(located, "model", [family.model], release.models)
    if family.models:
        _check_known(
            located, "models", sorted(set(family.models.values())), release.models
        )
    _check_known(located, "protocols", family.protocols, release.protocols)
    _check_known(located, "datasets", family.datasets, release.datasets)
    kinds = {p: release.protocols[p].kind for p in family.protocols}
    if len(set(kinds.values())) > 1:
        mixed = ", ".join(f"{protocol!r} is {kind}" for protocol, kind in kinds.items())
        raise located.error(f"protocols must be of one kind, but {mixed}")
    for protocol, dataset in product(family.protocols, family.datasets):
        _check_class_names(located, protocol, dataset, release)


def _check_checksum(located: Located, name: str, release: Release) -> None:
    family = release.checksums[name].family
    _check_known(located, "the name", [family], release.families)


#: In this order, so that an error is about what others rest on.
_CHECKS: Mapping[str, Callable[[Located, str, Release], None]] = {
    "model": _check_model,
    "protocol": _check_protocol,
    "family": _check_family,
    "checksum": _check_checksum,
}


def _check_references(
    references: Iterable[tuple[Located, Reference]], release: Release
) -> None:
    """Check every reference, and that no two say the same of the same case."""
    seen: dict[tuple[object, ...], Definition | None] = {}
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


def _check_reference(located: Located, reference: Reference, release: Release) -> None:
    _check_known(located, "family", reference.families, release.families)
    _check_measured(located, reference, release)
    _check_class_names(located, reference.protocol, reference.dataset, release)
    _check_kind(located, reference.protocol, reference.families, release)


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


def _check_claims(claims: Iterable[tuple[Located, Claim]], release: Release) -> None:
    """Check that what claims name is defined, and that no two have the same id."""
    seen: dict[str, Located] = {}
    for located, claim in claims:
        if claim.id in seen:
            raise located.error(
                f"id {claim.id!r} stands in {seen[claim.id].file}, "
                f"{seen[claim.id].key} already; each claim has an id of its own"
            )
        seen[claim.id] = located
        _check_measured(located, claim, release)
        for families in claim.places():
            _check_known(located, "family", families, release.families)
            _check_kind(located, claim.protocol, families, release)


def _check_measured(
    located: Located, stated: Reference | Claim, release: Release
) -> None:
    """Check that what a number or a claim was measured with is defined."""
    _check_known(located, "dataset", [stated.dataset], release.datasets)
    _check_known(located, "protocol", [stated.protocol], release.protocols)
    _check_known(located, "source", [stated.source], release.sources)


def _check_kind(
    located: Located, protocol: str, families: Iterable[str], release: Release
) -> None:
    kind = release.protocols[protocol].kind
    for family in families:
        own = release.protocols[release.families[family].protocols[0]].kind
        if own != kind:
            raise located.error(
                f"protocol {protocol!r} is {kind}, but the family {family!r} has "
                f"{own} checkpoints"
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
    seen: set[str] = set()
    for name in names:
        if name not in known:
            raise located.error(
                f"{key} names {name!r}, which is not defined; "
                f"defined are {', '.join(known) or 'none'}"
            )
        if name in seen:
            raise located.error(f"{key} names {name!r} twice; once is right")
        seen.add(name)
