"""Files of the Hugging Face Hub, by its client; at once where there is no network."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from repro.errors import FetchError
from repro.fetching.transfer import NoNetworkError
from repro.words import shortened


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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise (MissingError if is_missing else FetchError)(
            f"{text} cannot be fetched: {shortened(reason, 300)}"
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
