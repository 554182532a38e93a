"""Fetch the weights of one family into the checkpoints directory.

All work is done in a hidden folder of the checkpoints directory, under a lock: of
several processes one downloads, the others wait and use what it brought. Files are
renamed into the family's folder when all of them are complete and are what was
recorded, so no half file ever has a checkpoint's name.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from filelock import FileLock, Timeout

from repro.cases import Case
from repro.errors import FetchError, NotAvailableError, OptionError, WeightsError
from repro.fetching import Progress, Silent, full_disk_is_an_error
from repro.fetching.obtaining import obtain
from repro.fetching.transfer import NoNetworkError, Patience
from repro.files import decode_json, replace_bytes
from repro.models.weights import (
    find_weights,
    hash_file,
    record_checksums,
    recorded_checksums,
)
from repro.published import Checksum, Family, Release, split_weights_name

WORK = ".repro-fetch"
PATIENCE = Patience()


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch brought.

    `files` are names in the family's folder; `left_out` is what else the link had;
    `trusted` are files whose sum was recorded now, in the file `recorded_in`;
    `was_here` tells that nothing had to be fetched.
    """

    family: str
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    recorded_in: Path | None = None
    was_here: bool = False


class _Done(msgspec.Struct, frozen=True):
    """What an earlier fetch brought: its links, and sizes of files in bytes."""

    links: dict[str, str]
    files: dict[str, int]


def fetch_family(
    release: Release,
    family: Family,
    checkpoints: Path,
    progress: Progress,
    patience: Patience = PATIENCE,
    only: str | None = None,
) -> Fetched:
    """Fetch the weights of a family, unless they were fetched before.

    Args:
        release: what the family belongs to; its checksums are obeyed and added to.
        family: what to fetch, from its `files` or its `folder`.
        checkpoints: gets a folder with the name of the family.
        progress: is told what happens.
        patience: how often to try.
        only: name of the one checkpoint that is wanted, where each has its own link.

    Raises:
        FetchError: it cannot be had, or brought something else than weights.
        WeightsError: what came is not what was recorded; none of it is kept.
    """
    links = _links(family, only)
    place = _Place(checkpoints, family)
    with full_disk_is_an_error(checkpoints):
        place.work.mkdir(parents=True, exist_ok=True)
        with _locked(place.work / "lock", progress):
            # Under the lock: who has waited for it finds what the other process has
            # brought.
            if (files := place.fetched(links)) is not None:
                return Fetched(family=family.id, files=files, was_here=True)
            return _fetch(release, place, links, progress, patience)


class _Place:
    """Where a family goes, and where the work for it is done."""

    def __init__(self, checkpoints: Path, family: Family) -> None:
        self.family = family
        self.folder = checkpoints / family.id
        self.work = checkpoints / WORK / quote(family.id, safe="")
        self._done = self.work / "done.json"

    def work_of(self, name: str, link: str) -> Path:
        """Give each link a folder of its own: none goes on with another's bytes."""
        key = hashlib.sha256(f"{name}\0{link}".encode()).hexdigest()[:16]
        return self.work / key

    def forget_work(self, links: Mapping[str, str]) -> None:
        """Delete what was downloaded of these links."""
        # Not all of the folder: the lock in it is held, and whoever finds none makes
        # one of its own beside those who wait for this one.
        for name, link in links.items():
            shutil.rmtree(self.work_of(name, link), ignore_errors=True)

    def fetched(self, links: Mapping[str, str]) -> tuple[str, ...] | None:
        """List what an earlier fetch from these links brought, if it is all there."""
        done = self._read()
        if any(done.links.get(name) != link for name, link in links.items()):
            return None
        wanted = [name for name in done.files if "" in links or name in links]
        for name in wanted:
            file = self.folder / name
            if not file.is_file() or file.stat().st_size != done.files[name]:
                return None
        return tuple(wanted)

    def remember(self, links: Mapping[str, str], files: Sequence[Path]) -> None:
        """Write down that everything these links have is in the family's folder."""
        done = self._read()
        sizes = {file.name: file.stat().st_size for file in files}
        new = _Done({**done.links, **links}, done.files | sizes)
        replace_bytes(self._done, msgspec.json.encode(new))

    def _read(self) -> _Done:
        try:
            return decode_json(self._done.read_bytes(), _Done)
        except (OSError, ValueError):
            return _Done({}, {})


@contextlib.contextmanager
def _locked(file: Path, progress: Progress) -> Iterator[None]:
    lock = FileLock(file)
    try:
        try:
            # Two who append to one partial download would leave bytes of neither.
            lock.acquire(timeout=0.2)
        except Timeout:
            progress.say("another process is fetching it; waiting for that")
            lock.acquire()
    except NotImplementedError as error:
        raise FetchError(
            f"{file.parent} is on a file system without locks; fetch into a folder on "
            "a local disk"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _links(family: Family, only: str | None) -> dict[str, str]:
    """List what to fetch: `{file: link}`, the file being empty for a whole folder."""
    if family.files:
        return {
            name: link
            for name, link in family.files.items()
            if only is None or split_weights_name(name)[0] == only
        }
    if not family.folder:
        raise FetchError(
            f"{family.id} has no link in its release; get its weights from their "
            "publisher and use `repro link`"
        )
    return {"": family.folder}


def _fetch(
    release: Release,
    place: _Place,
    links: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Fetched:
    staged: dict[str, tuple[Path, str]] = {}
    left_out: list[str] = []
    for name, link in links.items():
        work = place.work_of(name, link)
        try:
            found = obtain(link, name, work, progress, patience)
        except NoNetworkError as error:
            raise FetchError(f"{error}. {_by_hand(name, link, place)}") from error
        staged |= {file: (path, link) for file, path in found.files.items()}
        left_out += found.left_out
    progress.begin("checking", 0, sum(f.stat().st_size for f, _ in staged.values()))
    sums = {
        name: _sum(f"{place.family.id}/{name}", path, link, progress)
        for name, (path, link) in staged.items()
    }
    # Read only now: another process may have recorded some while this one downloaded.
    known = recorded_checksums(release)
    try:
        for name, found_sum in sums.items():
            _check_sum(staged[name][1], known.get(found_sum.id), found_sum)
    except WeightsError:
        place.forget_work(links)
        raise
    installed = [
        _install(path, place.folder / name, sums[name])
        for name, (path, _) in staged.items()
    ]
    new = [entry for entry in sums.values() if entry.id not in known]
    recorded_in = record_checksums(release, new) if new else None
    # After the renaming and before the work is deleted: who is killed in between does
    # some of it again, and never takes for done what is not.
    place.remember(links, installed)
    place.forget_work(links)
    return Fetched(
        family=place.family.id,
        files=tuple(staged),
        left_out=tuple(left_out),
        trusted=tuple(entry.id for entry in new),
        recorded_in=recorded_in,
    )


def _by_hand(name: str, link: str, place: _Place) -> str:
    """Say how a link's files come here without a network."""
    what = f"its file as {place.folder / name}" if name else "the weights files in it"
    where = "" if name else f" into {place.folder}"
    return f"Open {link} in a browser elsewhere, and put {what}{where}"


def _sum(identity: str, path: Path, link: str, progress: Progress) -> Checksum:
    digest = hash_file(path, progress.advance)
    today = datetime.date.today().isoformat()
    return Checksum(
        id=identity,
        size=path.stat().st_size,
        sha256=digest,
        origin=f"first fetched {today} from {link}",
    )


def _check_sum(link: str, expected: Checksum | None, found: Checksum) -> None:
    """Refuse what is not what was recorded."""
    same = (found.size, found.sha256)
    if expected is None or same == (expected.size, expected.sha256):
        return
    raise WeightsError(
        f"{link} brought another {found.id} than was recorded: {found.size:,} bytes "
        f"with SHA-256 {found.sha256[:16]}… in place of {expected.size:,} bytes with "
        f"{expected.sha256[:16]}…. It was thrown away; ask its publisher which is right"
    )


def _install(path: Path, target: Path, expected: Checksum) -> Path:
    """Rename a file into its place; another one that is there already is kept."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    elif hash_file(target) != expected.sha256:
        raise FetchError(
            f"{target} is there already with other bytes than "
            f"{expected.origin.rpartition(' ')[2]} has (SHA-256 {expected.sha256}); "
            "nothing was overwritten: move it away and fetch again"
        )
    return target


class Downloads:
    """Finds weights files and fetches those that are missing; each family once.

    What could not be had is not tried again for the next case.

    Args:
        checkpoints: folder with one folder of weights a family.
        progress: is told what happens.
    """

    def __init__(
        self, checkpoints: Path | None, progress: Progress | None = None
    ) -> None:
        self._checkpoints = checkpoints
        self._progress = progress or Silent()
        self._failed: dict[tuple[str, str], FetchError] = {}

    def weights(self, case: Case) -> Path:
        """Give the weights file of a case, fetched if need be.

        Raises:
            NotAvailableError: its family's link does not have it.
            FetchError: the link cannot be fetched.
            OptionError: there is no folder to put it into.
        """
        try:
            return find_weights(case, self._checkpoints)
        except NotAvailableError:
            if self._checkpoints is None:
                raise OptionError(
                    f"weights of {case.family.id} are to be downloaded, but there is "
                    "no folder for them; name one with --repro-checkpoints"
                ) from None
        key = case.family.id, case.checkpoint if case.family.files else ""
        if key in self._failed:
            raise self._failed[key]
        try:
            fetch_family(
                case.release,
                case.family,
                self._checkpoints,
                self._progress,
                only=case.checkpoint,
            )
        except FetchError as error:
            self._failed[key] = error
            raise
        return find_weights(case, self._checkpoints)
