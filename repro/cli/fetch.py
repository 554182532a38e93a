"""`repro fetch`: bring the families' weights into the checkpoints directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click
from tqdm import tqdm

from repro.cli.families import Chosen, checkpoints_folder, choose_families
from repro.cli.options import Command, checkpoints_option, expected_option
from repro.cli.output import echo
from repro.cli.progress import Bar
from repro.errors import ReproError
from repro.fetching.family import Fetched, fetch_family
from repro.published import read_releases


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
                for line in _lines(future.result()):
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


def _lines(fetched: Fetched) -> list[str]:
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
