"""Find the families' folders in a mirror where they have other names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from repro.errors import FetchError, WeightsError
from repro.published import Family, Kind, Release, check_weights_name, list_weights


class Match(msgspec.Struct, frozen=True):
    """The folder that was found for a family, or none, and why.

    `refused` says of each file that is not taken why it is not.
    """

    release: Release
    family: Family
    folder: Path | None
    reason: str
    is_chosen: bool = False
    files: tuple[Path, ...] = ()
    refused: dict[str, str] = {}

    @property
    def kind(self) -> Kind:
        """Which kind of models the family has."""
        return self.release.protocols[self.family.protocols[0]].kind

    def without_folder(self, reason: str) -> Match:
        """Give the same family without a folder."""
        return msgspec.structs.replace(self, folder=None, reason=reason)


def match_folders(
    families: Sequence[tuple[Release, Family]], mirror: Path, chosen: Mapping[str, str]
) -> list[Match]:
    """Find a folder of the mirror for each family.

    In this order: the folder that the user chose, the family's own path, one of its
    `local_names`, a name that differs in spelling only. Where several families could
    have the same folder, those whose kind (CLIP or supervised) is not that of its files
    are ruled out; if more than one is left, the user has to choose.

    Args:
        families: which to find.
        mirror: the folder that holds their folders.
        chosen: `{family: folder below the mirror}`.

    Raises:
        FetchError: a chosen folder does not exist, or the mirror does not.
    """
    if not mirror.is_dir():
        raise FetchError(f"{mirror} is no folder; name one that holds the families'")
    # Kinds first: a folder that only one family is left for needs no choice.
    proposals = [
        _without_other_kind(_propose(release, family, mirror, chosen.get(family.id)))
        for release, family in families
    ]
    return [_with_files(_unambiguous(one, proposals, mirror)) for one in proposals]


def _propose(
    release: Release, family: Family, mirror: Path, chosen: str | None
) -> Match:
    if chosen is not None:
        if not (mirror / chosen).is_dir():
            raise FetchError(
                f"--family {family.id}={chosen}: {mirror / chosen} is no folder"
            )
        reason = "chosen with --family"
        return Match(release, family, mirror / chosen, reason, is_chosen=True)
    reasons = {family.id: "has the family's own name"} | {
        name: f"{name!r} is one of its local_names" for name in family.local_names
    }
    own = {_spelling(family.id), _spelling(family.id.rpartition("/")[2])}
    reasons |= {
        folder.name: "is spelt like the family's name"
        for folder in sorted(mirror.iterdir())
        if _spelling(folder.name) in own and folder.name not in reasons
    }
    for name, reason in reasons.items():
        if (mirror / name).is_dir():
            return Match(release, family, mirror / name, reason)
    names = ", ".join([family.id, *family.local_names])
    return Match(release, family, None, f"no folder is named like it ({names})")


def _without_other_kind(proposal: Match) -> Match:
    """Rule a folder out whose files are of another kind than the family's."""
    if proposal.folder is None or proposal.is_chosen:
        return proposal
    kind = _kind_of(proposal.folder)
    if kind in {None, proposal.kind}:
        return proposal
    return proposal.without_folder(f"{proposal.folder} holds {kind} models")


def _unambiguous(proposal: Match, proposals: Sequence[Match], mirror: Path) -> Match:
    """Leave a folder that several families could have to the user."""
    rivals = [one.family.id for one in proposals if one.folder == proposal.folder]
    if proposal.folder is None or proposal.is_chosen or len(rivals) == 1:
        return proposal
    name = proposal.folder.relative_to(mirror)
    return proposal.without_folder(
        f"{name} could be {' or '.join(rivals)}: say which with "
        f"--family {proposal.family.id}={name}"
    )


def _with_files(proposal: Match) -> Match:
    """Choose the files of a folder that are models of the family's kind."""
    files: list[Path] = []
    refused: dict[str, str] = {}
    for file in list_weights(proposal.folder, shards=True) if proposal.folder else ():
        try:
            check_weights_name("the folder", file.name)
        except ValueError as error:
            refused[file.name] = str(error)
            continue
        kind = _kind_of_file(file)
        if isinstance(kind, WeightsError):
            refused[file.name] = str(kind)
        elif kind not in {None, proposal.kind}:
            refused[file.name] = f"it holds a {kind} model"
        else:
            files.append(file)
    return msgspec.structs.replace(proposal, files=tuple(files), refused=refused)


def _kind_of(folder: Path) -> Kind | None:
    """Tell the kind of the models in a folder by the first that can be told."""
    for file in list_weights(folder):
        kind = _kind_of_file(file)
        if kind is not None and not isinstance(kind, WeightsError):
            return kind
    return None


def _kind_of_file(file: Path) -> Kind | WeightsError | None:
    """Tell what kind of model a file holds, or what is wrong with it."""
    from repro.models.inspection import inspect_weights

    try:
        architecture = inspect_weights(file).architecture
    except WeightsError as error:
        return error
    return architecture.kind if architecture else None


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
