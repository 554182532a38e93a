"""Bring what a link has to this machine: over HTTP, from a disk, from a hub."""

from __future__ import annotations

import shutil
import socket
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from repro.errors import FetchError, NotAvailableError, WeightsError
from repro.fetching import Progress, check_space
from repro.fetching.archive import DamagedError, unpack
from repro.fetching.transfer import NoNetworkError, Patience, download
from repro.models.containers import check_complete
from repro.published import WEIGHTS_SUFFIXES, check_weights_name, is_weights_name
from repro.stored.onnx import ValuesElsewhereError
from repro.words import reason


class MissingError(FetchError):
    """A file that its repository does not have."""


def file_of_hub(
    text: str,
    repository: str,
    name: str,
    revision: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Download a file of a repository, unless it is there.

    Args:
        text: what errors call it.
        repository: `owner/name`.
        name: of the file in it.
        revision: of the repository; None for its main branch.
        folder: where it is put; None for the client's own cache.

    Raises:
        NoNetworkError: the host cannot be looked up, and the file is not in the cache.
        MissingError: the repository has no such file.
        FetchError: it cannot be had.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    # The client itself would try for half a minute.
    is_offline = is_unknown(constants.ENDPOINT)
    try:
        # It resumes, and checks the size, itself.
        found = hf_hub_download(
            repository,
            name,
            revision=revision,
            local_dir=folder,
            local_files_only=is_offline,
        )
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        is_local = isinstance(error, LocalEntryNotFoundError)
        if is_local and is_offline:
            raise NoNetworkError(constants.ENDPOINT) from error
        is_missing = isinstance(error, EntryNotFoundError) and not is_local
        raise (MissingError if is_missing else FetchError)(
            f"{text} cannot be fetched: {reason(error)}"
        ) from error
    return Path(found)


def is_unknown(url: str) -> bool:
    """Tell whether the name of a host cannot be looked up here, nor by a proxy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    # A proxy looks names up by itself, also those that nobody knows here.
    if (parts.scheme in proxies or "all" in proxies) and not proxy_bypass(host):
        return False
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return True
    return False


#: What came complete but wrong over a network is fetched so many times in all.
ATTEMPTS = 2

_ZIP_TYPES = {"application/zip", "application/x-zip-compressed"}


class Obtained(msgspec.Struct, frozen=True):
    """What a link brought: weights files by name, and names of what else it has."""

    files: dict[str, Path]
    left_out: tuple[str, ...] = ()


def obtain(
    text: str, name: str, work: Path, progress: Progress, patience: Patience
) -> Obtained:
    """Bring all weights files of a link into a folder, complete and undamaged.

    Args:
        text: the link.
        name: what its file is called; empty if the link says so, or is a folder.
        work: folder that belongs to this link alone; the caller holds its lock.
        progress: is told what happens.
        patience: how often to try.

    Raises:
        FetchError: it cannot be had, is damaged, or holds no weights.
    """
    link = read_link(text)
    attempts = 1 if link.scheme == "file" else ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            found = _bring(link, name, work, progress, patience)
            for file, path in found.files.items():
                _check(link, file, path, progress)
        except DamagedError as error:
            # All of it: whoever goes on with wrong bytes gets the same file again.
            shutil.rmtree(work, ignore_errors=True)
            if attempt == attempts:
                advice = (
                    "Mend the file, or the link"
                    if link.scheme == "file"
                    else f"It was fetched {attempts} times and thrown away; tell its "
                    "publisher"
                )
                raise FetchError(f"{error}. {advice}") from error
            progress.say(f"{error}; fetching it again")
        else:
            return found
    raise AssertionError("the last attempt returns or raises")


def _bring(
    link: Link, name: str, work: Path, progress: Progress, patience: Patience
) -> Obtained:
    if link.scheme == "file":
        return _from_disk(link, name, work, progress)
    if link.scheme == "hf":
        return _from_hub(link, name, work)
    content, received = download(link.target, work, progress, patience)
    name = name or received.name or file_name(link)
    is_archive = name.lower().endswith(".zip") or (
        not name.endswith(WEIGHTS_SUFFIXES)
        and (received.media_type in _ZIP_TYPES or zipfile.is_zipfile(content))
    )
    if is_archive:
        return _from_archive(link, content, work, progress)
    return Obtained({_weights_name(link, name): content})


def _from_archive(
    link: Link, archive: Path, work: Path, progress: Progress
) -> Obtained:
    folder = work / "unpacked"
    # What a killed process has left there may be half a file.
    shutil.rmtree(folder, ignore_errors=True)
    found = unpack(archive, folder, link.text, progress)
    return Obtained({path.name: path for path in found.files}, found.left_out)


def _from_disk(link: Link, name: str, work: Path, progress: Progress) -> Obtained:
    source = Path(link.target)
    if source.is_dir():
        entries = sorted(path for path in source.iterdir() if path.is_file())
        chosen = {path.name: path for path in entries if is_weights_name(path.name)}
        if not chosen:
            raise FetchError(f"{link.text} holds no weights file")
        left_out = tuple(path.name for path in entries if path.name not in chosen)
        return Obtained(_copy(link, chosen, work, progress), left_out)
    if not source.is_file():
        found = "is no file or folder" if source.exists() else "does not exist"
        raise FetchError(f"{link.text}: {source} {found}; correct the link")
    if not name and source.suffix == ".zip":
        return _from_archive(link, source, work, progress)
    chosen = {_weights_name(link, name or source.name): source}
    return Obtained(_copy(link, chosen, work, progress))


def _copy(
    link: Link, chosen: Mapping[str, Path], work: Path, progress: Progress
) -> dict[str, Path]:
    folder = work / "copied"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = sum(path.stat().st_size for path in chosen.values())
    check_space(folder, total, link.text)
    progress.begin("copying", 0, total)
    try:
        for name, path in chosen.items():
            with path.open("rb") as source, (folder / name).open("wb") as target:
                while block := source.read(2**20):
                    target.write(block)
                    progress.advance(len(block))
    except OSError:
        # The next attempt begins anew: a part would only fill the disk until then.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return {name: folder / name for name in chosen}


def _from_hub(link: Link, name: str, work: Path) -> Obtained:
    name = _weights_name(link, name or file_name(link))
    path = file_of_hub(
        link.text, link.repository, link.target, link.revision, work / "hub"
    )
    return Obtained({name: path})


def _weights_name(link: Link, name: str) -> str:
    try:
        check_weights_name(link.text, name)
    except ValueError as error:
        raise FetchError(
            f'{error}; give the file its name with files = {{ "NAME.pt" = ... }}'
        ) from error
    return name


def _check(link: Link, name: str, path: Path, progress: Progress) -> None:
    if name.endswith(".json"):
        return  # Its shards lie elsewhere yet.
    try:
        check_complete(path)
    except NotAvailableError:
        return  # It is of ONNX, and nothing here reads that.
    except ValuesElsewhereError as error:
        # Only weights are brought, and it is whole by itself.
        progress.say(f"{name} {str(error).removeprefix(f'{path} ')}")
    except WeightsError as error:
        # Where the file lies for now says nothing to anybody.
        reason = str(error).removeprefix(f"{path} ").rpartition(" is damaged: ")[2]
        raise DamagedError(
            f"{link.text} brought a damaged {name} of {path.stat().st_size:,} bytes: "
            f"{reason.partition('. Get it')[0]}"
        ) from error


Scheme = Literal["http", "file", "hf"]

_WANTED = (
    "a link is https://..., http://..., file:///path or hf://owner/repo[@revision]/file"
)


class Link(msgspec.Struct, frozen=True):
    """A link as it was written, and what it means.

    `target` is a URL to ask for, a path on this machine, or a file of a repository.
    """

    text: str
    scheme: Scheme
    target: str
    repository: str = ""
    revision: str | None = None


def read_link(text: str) -> Link:
    """Read a link.

    A share link of a file host that ends with `dl=0` shows a page in a browser; with
    `dl=1` it answers the file itself, or a zip of the folder.

    Raises:
        FetchError: it is none that can be fetched.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise FetchError(f"{text!r} is no link ({error}); {_WANTED}") from error
    if parts.scheme in {"http", "https"} and parts.hostname:
        query = parse_qsl(parts.query, keep_blank_values=True)
        asked = [(key, "1" if key == "dl" else value) for key, value in query]
        if _is_share_link(parts.hostname) and ("dl", "1") not in asked:
            asked.append(("dl", "1"))
        changed = parts._replace(fragment="")
        if asked != query:
            changed = changed._replace(query=urlencode(asked))
        return Link(text, "http", urlunsplit(changed))
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return Link(text, "file", unquote(parts.path))
    if parts.scheme == "hf":
        return _hub_link(text)
    raise FetchError(f"{text!r} cannot be fetched; {_WANTED}")


def file_name(link: Link) -> str:
    """Name the file that a link points to, as far as the link itself says it."""
    path = urlsplit(link.target).path if link.scheme == "http" else link.target
    return unquote(Path(path).name)


def _is_share_link(host: str) -> bool:
    return host == "dropbox.com" or host.endswith(".dropbox.com")


def _hub_link(text: str) -> Link:
    owner, _, rest = text.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    if not (owner and name and file):
        raise FetchError(f"{text!r} names no file of a repository; {_WANTED}")
    return Link(text, "hf", file, f"{owner}/{name}", revision or None)
