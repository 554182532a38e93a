"""`repro link`: use a folder of weights whose folders have other names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from repro.cases import Case, list_cases
from repro.cli.families import checkpoints_folder, choose_families
from repro.cli.options import Command, checkpoints_option, expected_option
from repro.cli.output import echo, echo_lines
from repro.errors import FetchError, OptionError
from repro.fetching.mirror import Match, match_folders
from repro.published import read_releases, split_weights_name
from repro.words import counted


@click.command(cls=Command)
@click.argument("mirror", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@expected_option
@checkpoints_option
@click.option(
    "--family",
    "chosen",
    multiple=True,
    metavar="FAMILY=FOLDER",
    help="Which folder below DIR a family has, where names do not say it.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be linked.")
def link(
    mirror: Path,
    patterns: tuple[str, ...],
    expected: tuple[Path | str, ...],
    checkpoints: Path | None,
    chosen: tuple[str, ...],
    *,
    dry_run: bool,
) -> None:
    """Link weights below DIR into the checkpoints folder.

    The links have the names of cases.

    It says for every family which folder it takes and why, and for every case which
    file. Nothing in DIR is changed, and nothing in the checkpoints folder is replaced.
    """
    folder = checkpoints_folder(checkpoints)
    releases = read_releases(expected)
    families = choose_families(releases, patterns)
    choices = _choices(chosen, [family.id for _, family in families])
    matches = match_folders(families, mirror.expanduser().absolute(), choices)
    cases = list_cases(releases)
    for match in matches:
        echo_lines(_lines(match, folder, cases))
        if not dry_run:
            for file in match.files:
                _link(file, folder / match.family.id / file.name)
    count = sum(len(match.files) for match in matches)
    if not count:
        echo(f"nothing is linked in {folder}")
        sys.exit(1)
    verb = "would be" if dry_run else "is" if count == 1 else "are"
    said = f"{counted(count, 'file')} {verb} linked in {folder}"
    echo(said if dry_run else f"{said}; repro verify --record trusts them from now on")


def _choices(chosen: Sequence[str], families: Sequence[str]) -> dict[str, str]:
    choices: dict[str, str] = {}
    for text in chosen:
        family, _, folder = text.partition("=")
        if not folder or family not in families:
            raise OptionError(
                f"--family is {text!r}; it must be FAMILY=FOLDER, the family being one "
                f"of {', '.join(families)}"
            )
        if choices.setdefault(family, folder) != folder:
            raise OptionError(
                f"--family gives {family} both {choices[family]} and {folder}; a "
                "family has one folder"
            )
    return choices


def _lines(match: Match, checkpoints: Path, cases: Sequence[Case]) -> Iterator[str]:
    family = match.family.id
    if match.folder is None:
        yield f"{family}: not linked: {match.reason}"
        return
    yield f"{family}: {match.folder}: {match.reason}"
    known = [
        case
        for case in cases
        if case.family.id == family and case.release.id == match.release.id
    ]
    for file in match.files:
        own = [
            case.id
            for case in known
            if case.checkpoint == split_weights_name(file.name)[0]
        ]
        said = ", ".join(own) or "a case without published numbers"
        yield f"  {file.name} for {said}"
    for name, reason in match.refused.items():
        yield f"  {name} not taken: {reason}"
    here = {split_weights_name(file.name)[0] for file in match.files}
    for missing in dict.fromkeys(
        c.checkpoint for c in known if c.checkpoint not in here
    ):
        if not any((checkpoints / family).glob(f"{missing}.*")):
            yield f"  {missing} is not there, but has published numbers"


def _link(file: Path, place: Path) -> None:
    """Make a link, unless it is there; never replace anything.

    Raises:
        FetchError: something else has that name.
    """
    if place.exists() and place.samefile(file):
        return
    if place.exists() or place.is_symlink():
        raise FetchError(
            f"{place} is there already and is not {file}; move it away and link again"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    except OSError as error:
        raise FetchError(f"{place} cannot be linked ({error.strerror})") from error
