"""`repro verify`: compare all weights files with their recorded checksums."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import msgspec

from repro.cli.families import choose_families
from repro.cli.options import Command, checkpoints_option, existing, expected_option
from repro.cli.output import echo
from repro.cli.progress import Bar
from repro.errors import ExpectedError
from repro.models.integrity import (
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
)
from repro.words import counted


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
