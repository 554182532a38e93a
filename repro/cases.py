"""Which cases there are, their ids and their order."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from repro.errors import ExpectedError
from repro.files import is_there
from repro.published import (
    DatasetSpec,
    Family,
    Kind,
    ModelSpec,
    Protocol,
    Reference,
    Release,
    check_name,
    list_weights,
    split_weights_name,
    training_images,
    weights_suffixes,
)


class Case(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A checkpoint, measured with a protocol on a dataset: one pytest case.

    `references` are the published numbers that it must meet; there may be none.
    `place` is that of its checkpoint among those that the release speaks of.
    """

    release: Release
    family: Family
    checkpoint: str
    protocol: Protocol
    dataset: DatasetSpec
    references: tuple[Reference, ...] = ()
    place: int = 0

    def __repr__(self) -> str:
        """Give its name: all of its release would be thousands of lines."""
        return f"<case {self.id}>"

    @property
    def id(self) -> str:
        """Readable and stable: `family/checkpoint@protocol`, then `:dataset`.

        The dataset is left out where it is the release's default one.
        """
        default = self.dataset.id == self.release.default_dataset
        suffix = "" if default else f":{self.dataset.id}"
        return f"{self.family.id}/{self.checkpoint}@{self.protocol.id}{suffix}"

    @property
    def kind(self) -> Kind:
        """`supervised` or `clip`."""
        return self.protocol.kind

    @property
    def model(self) -> ModelSpec:
        """The architecture that the weights fit into."""
        name = self.family.model_of(self.checkpoint)
        return self.release.models[name].of_checkpoint(self.checkpoint)

    @property
    def training_images(self) -> int | None:
        """How many images the checkpoint was trained on, where its name says so."""
        return training_images(self.checkpoint)

    @property
    def rank(self) -> int:
        """Its place in a family: by training images, else as the release has it."""
        return self.training_images or self.place

    @property
    def gflops(self) -> float:
        """Estimated cost of the whole evaluation, for ordering; text is left out."""
        own = (reference.gflops for reference in self.references if reference.gflops)
        return self.dataset.images * next(own, self.model.gflops)

    @property
    def published(self) -> tuple[Reference, ...]:
        """All published numbers of it, whether or not it has to meet them."""
        wanted = self.checkpoint, self.protocol.id, self.dataset.id
        found = (
            reference
            for reference in self.release.references
            if self.family.id in reference.families
            and wanted == (reference.checkpoint, reference.protocol, reference.dataset)
        )
        return self.references or tuple(found)

    @property
    def pixel_key(self) -> tuple[str, str]:
        """Which pixels it needs: geometry and dataset; cases share those of a name."""
        return self.protocol.geometry, self.dataset.id

    @property
    def weights_names(self) -> list[str]:
        """What its weights file may be called."""
        return [f"{self.checkpoint}{s}" for s in weights_suffixes(self.model.loader)]

    def weights_folder(self, checkpoints: Path | None) -> Path | None:
        """Where the family's weights lie, below the user's or the release's folder."""
        root = checkpoints or self.release.own_checkpoints
        return root / self.family.id if root else None

    def with_family(self, family: str) -> Case:
        """The same measurement of the checkpoint of that name in another family."""
        return msgspec.structs.replace(self, family=self.release.families[family])

    def command(self) -> str:
        """A shell command that runs the checkpoint's cases."""
        return f"pytest -k {shlex.quote(self.id.split('@')[0])}"


def list_cases(
    releases: Iterable[Release], checkpoints: Path | None = None
) -> list[Case]:
    """List all cases, those of the same pixels one after the other.

    What begins with the longest case comes first, in each part the longest first; ties
    are by family, size and protocol.

    A weights file in a family's folder that no reference speaks of is a case too,
    without references, for each protocol and dataset that its family names. Hidden
    files are none.

    Args:
        releases: what was published.
        checkpoints: folder with one folder of weights a family; releases that ship
            their own weights use those when it is None.

    Raises:
        ExpectedError: two releases have a case of the same id, or a folder of weights
            cannot be read, or a file in it has a name that no case id can hold.
    """
    cases: dict[str, Case] = {}
    for release in releases:
        for case in _release_cases(release, checkpoints):
            if case.id in cases:
                raise ExpectedError(
                    f"case {case.id} stands in release {cases[case.id].release.id!r} "
                    f"and in {release.id!r}; rename the family in one of them"
                )
            cases[case.id] = case
    return order_for_running(cases.values(), lambda case: case.gflops)


def order_for_reading(cases: Iterable[Case]) -> list[Case]:
    """Sort as tables show them: release, family and checkpoint as published."""
    return sorted(cases, key=_reading_key())


def _release_cases(release: Release, checkpoints: Path | None) -> Iterator[Case]:
    places = _places(release)
    known: set[tuple[str, str]] = set()
    for case in published_cases(release):
        yield msgspec.structs.replace(case, place=places[case.checkpoint])
        known.add((case.family.id, case.checkpoint))
    root = checkpoints or release.own_checkpoints
    for family, spec in release.families.items() if root else ():
        files = _weights_files(root / family) if root else []
        for checkpoint in sorted({split_weights_name(name)[0] for name in files}):
            loader = release.models[spec.model_of(checkpoint)].loader
            names = {f"{checkpoint}{suffix}" for suffix in weights_suffixes(loader)}
            if (family, checkpoint) not in known and not names.isdisjoint(files):
                place = places.get(checkpoint, len(places))
                for protocol in spec.protocols:
                    for dataset in spec.datasets:
                        yield named_case(
                            release, family, checkpoint, protocol, dataset, (), place
                        )


def _places(release: Release) -> dict[str, int]:
    """Number the checkpoints that a release speaks of, as they stand in it."""
    names = [reference.checkpoint for reference in release.references]
    for family in release.families.values():
        names += [*family.models, *(split_weights_name(f)[0] for f in family.files)]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def published_cases(release: Release) -> list[Case]:
    """List the cases that a release has numbers of, as these were written down."""
    references: dict[tuple[str, str, str, str], list[Reference]] = {}
    for reference in release.references:
        for family in reference.families:
            key = family, reference.checkpoint, reference.protocol, reference.dataset
            references.setdefault(key, []).append(reference)
    return [named_case(release, *key, met) for key, met in references.items()]


def named_case(
    release: Release,
    family: str,
    checkpoint: str,
    protocol: str,
    dataset: str,
    references: Sequence[Reference] = (),
    place: int = 0,
) -> Case:
    """Make a case of a release from the names of its parts."""
    return Case(
        release=release,
        family=release.families[family],
        checkpoint=checkpoint,
        protocol=release.protocols[protocol],
        dataset=release.datasets[dataset],
        references=tuple(references),
        place=place,
    )


def _weights_files(folder: Path) -> list[str]:
    try:
        is_folder = is_there(folder) and folder.is_dir()
        files = list_weights(folder) if is_folder else []
    except OSError as error:
        raise ExpectedError(
            f"{folder}: cannot be read ({error.strerror}); make it readable"
        ) from error
    for file in files:
        try:
            check_name(split_weights_name(file.name)[0])
        except ValueError as error:
            raise ExpectedError(f"{file}: {error}; rename the file") from error
    return [file.name for file in files]


def order_for_running(
    cases: Collection[Case], cost: Callable[[Case], float]
) -> list[Case]:
    """Sort so that pixels are needed for a while and then no more, longest first."""
    rows = [(case.pixel_key, -cost(case), case) for case in cases]
    first: dict[tuple[str, str], float] = {}
    for pixels, place, _ in rows:
        first[pixels] = min(first.get(pixels, 0), place)
    reading_key = _reading_key()
    rows.sort(key=lambda row: (first[row[0]], *row[:2], *reading_key(row[2])))
    return [case for *_, case in rows]


def _reading_key() -> Callable[[Case], tuple[object, ...]]:
    """Make the key of one sorting; a release may have thousands of families."""
    places: dict[str, dict[str, int]] = {}

    def key(case: Case) -> tuple[object, ...]:
        release = case.release
        if release.id not in places:
            places[release.id] = {name: i for i, name in enumerate(release.families)}
        return (
            release.id,
            places[release.id][case.family.id],
            case.rank,
            case.checkpoint,
            case.protocol.id,
            case.dataset.id,
        )

    return key
