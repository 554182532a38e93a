"""`repro fetch`, `verify` and `link`: the weights of families, and where they lie."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path

import click
import msgspec
from tqdm import tqdm

from repro.cases import Case, list_cases
from repro.cli.options import Command, checkpoints_option, existing, expected_option
from repro.cli.output import Bar, echo, echo_lines
from repro.errors import ExpectedError, FetchError, OptionError, ReproError
from repro.fetching.family import Fetched, fetch_family
from repro.fetching.mirror import Match, match_folders
from repro.files import at_home
from repro.models.weights import (
    Checked,
    check_file,
    record_checksums,
    recorded_checksums,
)
from repro.published import (
    Checksum,
    Family,
    Release,
    check_weights_name,
    list_weights,
    read_releases,
    split_weights_name,
)
from repro.words import counted

Chosen = tuple[Release, Family]


def checkpoints_folder(checkpoints: Path | None) -> Path:
    """Insist on a folder for weights.

    Raises:
        OptionError: none was named.
    """
    if checkpoints is None:
        raise OptionError(
            "no folder for the weights: name one with --checkpoints DIR or "
            "REPRO_CHECKPOINTS"
        )
    return at_home(checkpoints)


def choose_families(
    releases: Sequence[Release], patterns: Sequence[str]
) -> list[Chosen]:
    """List the families that one of the patterns matches; all without a pattern.

    Raises:
        OptionError: a pattern matches none.
    """
    known = [(release, f) for release in releases for f in release.families.values()]
    for pattern in patterns:
        if not any(fnmatchcase(family.id, pattern) for _, family in known):
            raise OptionError(
                f"no family is named {pattern!r}; there are "
                f"{', '.join(family.id for _, family in known)}"
            )
    return [
        (release, family)
        for release, family in known
        if not patterns or any(fnmatchcase(family.id, p) for p in patterns)
    ]


@click.command(cls=Command)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@expected_option
@checkpoints_option
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=32),
    default=3,
    show_default=True,
    metavar="N",
    help="Families at once.",
)
def fetch(
    patterns: tuple[str, ...],
    expected: tuple[Path | str, ...],
    checkpoints: Path | None,
    jobs: int,
) -> None:
    """Download the weights of families by PATTERN, or all.

    What is complete is not downloaded again, what was cut off goes on where the host
    allows it. SHA-256 and size of each file are recorded the first time it is seen and
    checked from then on.
    """
    folder = checkpoints_folder(checkpoints)
    chosen = choose_families(read_releases(expected), patterns)
    try:
        failures = _fetch_all(chosen, folder, jobs)
    except KeyboardInterrupt:
        # Threads cannot be stopped, and what they have done is kept for the next time.
        echo("interrupted; call it again to go on", err=True)
        os._exit(130)
    if failures:
        echo(f"{failures} of {len(chosen)} families were not fetched", err=True)
        sys.exit(1)


def _fetch_all(chosen: Sequence[Chosen], folder: Path, jobs: int) -> int:
    """Fetch families at once, say of each how it went, and count those that failed."""
    failures = 0
    pool = ThreadPoolExecutor(jobs)
    try:
        running = {
            pool.submit(_fetch, number % jobs, one, folder): one[1].id
            for number, one in enumerate(chosen)
        }
        for future in as_completed(running):
            try:
                for line in _said_of(future.result()):
                    tqdm.write(line)
            except ReproError as error:
                failures += 1
                tqdm.write(f"{running[future]}: error: {error}", file=sys.stderr)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return failures


def _fetch(position: int, chosen: Chosen, folder: Path) -> Fetched:
    release, family = chosen
    bar = Bar(family.id, position)
    try:
        return fetch_family(release, family, folder, bar)
    finally:
        bar.close()


def _said_of(fetched: Fetched) -> list[str]:
    files = ", ".join(fetched.files)
    if fetched.was_here:
        return [f"{fetched.family}: here already: {files}"]
    lines = [f"{fetched.family}: fetched {files}"]
    if fetched.trusted:
        names = (name.rpartition("/")[2] for name in fetched.trusted)
        lines.append(
            f"{fetched.family}: seen for the first time, so their SHA-256 is trusted "
            f"from now on: {', '.join(names)} (in {fetched.recorded_in})"
        )
    if fetched.left_out:
        lines.append(
            f"{fetched.family}: left out, being no weights at the top of the folder: "
            f"{', '.join(fetched.left_out)}"
        )
    return lines


class _Task(msgspec.Struct, frozen=True):
    """A file to check; None for the path of one that was recorded but is not here."""

    id: str
    path: Path | None
    release: Release
    expected: Checksum | None


@click.command(cls=Command)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@expected_option
@checkpoints_option
@click.option(
    "--record",
    is_flag=True,
    help="Trust files that have no recorded checksum, from now on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=64),
    default=min(8, os.cpu_count() or 1),
    metavar="N",
    help="Files at once. [default: one for each core, at most 8]",
)
def verify(
    patterns: tuple[str, ...],
    expected: tuple[Path | str, ...],
    checkpoints: Path | None,
    record: bool,
    jobs: int,
) -> None:
    """Compare weights with their recorded size and SHA-256.

    A PATTERN chooses families. The exit code is 1 when a file has changed, is damaged
    or cannot be read.
    """
    weights = existing(checkpoints)
    chosen = choose_families(read_releases(expected), patterns)
    tasks = [task for one in chosen for task in _tasks(*one, weights)]
    present = [task for task in tasks if task.path]
    results = _check_all(present, jobs)
    for task in tasks:
        if not task.path:
            echo(f"{task.id}: recorded, but not here")
    for result in results:
        note = f": {result.reason}" if result.reason else ""
        echo(f"{result.id}: {result.outcome}{note}", err=result.is_fault)
    if record:
        _record(present, results)
    counts = Counter(result.outcome for result in results)
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    echo(f"{counted(len(results), 'file')}: {said or 'nothing to verify'}")
    if not record and counts["not recorded"]:
        echo("--record trusts those that are not recorded, from now on")
    if any(result.is_fault for result in results):
        sys.exit(1)


def _tasks(
    release: Release, family: Family, checkpoints: Path | None
) -> Iterator[_Task]:
    root = checkpoints or release.own_checkpoints
    known = recorded_checksums(release)
    folder = root / family.id if root else None
    here: dict[str, Path] = {}
    for path in list_weights(folder, shards=True) if folder and folder.is_dir() else []:
        try:
            check_weights_name("the folder", path.name)
        except ValueError as error:
            raise ExpectedError(f"{path}: {error}; rename the file") from error
        here[f"{family.id}/{path.name}"] = path
    missing = (
        entry.id
        for entry in known.values()
        if entry.family == family.id and entry.id not in here
    )
    for identity in [*here, *missing]:
        yield _Task(identity, here.get(identity), release, known.get(identity))


def _check_all(tasks: Sequence[_Task], jobs: int) -> list[Checked]:
    bar = Bar("verify")
    bar.begin("reading", 0, sum(_size(task.path) for task in tasks))

    def check(task: _Task) -> Checked:
        assert task.path is not None
        return check_file(task.path, task.id, task.expected, bar.advance)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(check, tasks))
    finally:
        bar.close()


def _size(path: Path | None) -> int:
    return path.stat().st_size if path and path.is_file() else 0


def _record(tasks: Sequence[_Task], results: Sequence[Checked]) -> None:
    releases = {task.release.id: task.release for task in tasks}
    for release in releases.values():
        new = [
            result.found
            for task, result in zip(tasks, results, strict=True)
            if task.release.id == release.id
            and result.outcome == "not recorded"
            and result.found
        ]
        if new:
            file = record_checksums(release, new)
            number, verb = counted(len(new), "file"), "is" if len(new) == 1 else "are"
            echo(f"{number} {verb} trusted from now on: {file}")


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
    matches = match_folders(families, at_home(mirror).absolute(), choices)
    cases = list_cases(releases)
    for match in matches:
        echo_lines(_linked(match, folder, cases))
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


def _linked(match: Match, checkpoints: Path, cases: Sequence[Case]) -> Iterator[str]:
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
