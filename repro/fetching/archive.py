"""Take weights files out of a zip that nobody has to trust."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from repro.errors import FetchError
from repro.fetching import Progress, check_space, full_disk_is_an_error
from repro.files import shown_size
from repro.published import is_weights_name

MAXIMUM_ENTRIES = 10_000
#: Weights hardly compress: what grows more than this is no archive of weights.
MAXIMUM_GROWTH = 20
ALWAYS_ALLOWED = 100 * 2**20

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Bytes before a file in a zip, its name not counted.
_LOCAL_HEADER = 30
_FOLDER_NOISE = "__MACOSX"


class DamagedError(FetchError):
    """An archive or a weights file whose bytes are not those that were sent."""


class Unpacked(msgspec.Struct, frozen=True):
    """What came out of an archive: weights files, and names of what was left in it."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def unpack(archive: Path, into: Path, origin: str, progress: Progress) -> Unpacked:
    """Write the weights files of a folder's zip, checking each one's CRC-32.

    Only files at the top, or at the top of the only folder, are checkpoints of a
    family; what else there is stays in the archive.

    Args:
        archive: a zip file.
        into: a folder that is empty.
        origin: link of the archive, for messages.
        progress: is told what is written.

    Raises:
        DamagedError: it is no zip, or its bytes are wrong.
        FetchError: it could write elsewhere or fill the disk, or has no weights.
    """
    with full_disk_is_an_error(into):
        into.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(archive) as opened:
                entries = _checked_entries(opened, archive, origin)
                chosen, left_out = _choose(entries, origin)
                total = sum(entry.file_size for entry in chosen.values())
                check_space(into, total, f"what {origin} holds")
                progress.begin("unpacking", 0, total)
                for name, entry in chosen.items():
                    _extract(opened, entry, into / name, progress)
        # The last two are zipfile's answers to damaged versions, flags and names.
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            UnicodeDecodeError,
        ) as error:
            raise DamagedError(
                f"{origin} brought a zip of {archive.stat().st_size:,} bytes that is "
                f"damaged: {error}"
            ) from error
    return Unpacked(tuple(into / name for name in chosen), tuple(left_out))


def _checked_entries(
    opened: zipfile.ZipFile, archive: Path, origin: str
) -> list[zipfile.ZipInfo]:
    """List the files of an archive, all of which could be written safely."""
    begin = min((entry.header_offset for entry in opened.infolist()), default=0)
    if begin:
        # Weights are zips too: of an archive that is cut off, the directory of the
        # last file in it is taken for its own.
        raise zipfile.BadZipFile(f"its directory knows no file before byte {begin:,}")
    # Dropbox's zips begin with an entry for the folder itself, named "/".
    itself = {"/", "./"}
    entries = [entry for entry in opened.infolist() if entry.filename not in itself]
    if len(entries) > MAXIMUM_ENTRIES:
        raise _refused(origin, f"it has {len(entries):,} entries")
    names: set[PurePosixPath] = set()
    for entry in entries:
        if fault := _fault(entry):
            raise _refused(origin, f"its entry {entry.filename!r} {fault}")
        name = PurePosixPath(entry.filename)  # `./real.pt` is `real.pt`.
        if name in names:
            raise _refused(origin, f"it has two entries {str(name)!r}")
        names.add(name)
    _check_growth(entries, archive.stat().st_size, origin)
    return [entry for entry in entries if not entry.is_dir()]


def _fault(entry: zipfile.ZipInfo) -> str:
    """Say what is dangerous about an entry; empty if nothing is."""
    # What stands in the archive; `filename` is what zipfile made of it.
    name = entry.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    faults = {
        "is an absolute path": path.is_absolute() or name[1:2] == ":",
        "leads out of the folder": ".." in path.parts,
        "is no plain name": "\\" in name or not name.isprintable() or not path.parts,
        "is a link": kind == stat.S_IFLNK,
        "is no regular file": kind not in {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK},
        "is encrypted": bool(entry.flag_bits & 0x1),
        "is compressed by an unusual method": entry.compress_type not in _COMPRESSIONS,
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


def _check_growth(entries: Sequence[zipfile.ZipInfo], size: int, origin: str) -> None:
    """Refuse archives that are far bigger inside than outside."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        # Entries that share their bytes can be a small file and petabytes inside.
        if entry.header_offset < end:
            raise _refused(origin, f"its entry {entry.filename!r} overlaps another")
        end = entry.header_offset + _LOCAL_HEADER + entry.compress_size
    total = sum(entry.file_size for entry in entries)
    if total > max(ALWAYS_ALLOWED, MAXIMUM_GROWTH * size):
        raise _refused(origin, f"{shown_size(size)} would become {shown_size(total)}")


def _choose(
    entries: Sequence[zipfile.ZipInfo], origin: str
) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Tell the weights files of the family from everything else."""
    visible = [
        e for e in entries if PurePosixPath(e.filename).parts[0] != _FOLDER_NOISE
    ]
    parts = [PurePosixPath(entry.filename).parts for entry in visible]
    # A folder around all of them, as there is where one was packed, counts for nothing.
    tops = {names[0] for names in parts}
    depth = 2 if len(tops) == 1 and all(len(names) > 1 for names in parts) else 1
    chosen: dict[str, zipfile.ZipInfo] = {}
    left_out: list[str] = []
    for entry in visible:
        path = PurePosixPath(entry.filename)
        if len(path.parts) == depth and is_weights_name(path.name):
            chosen[path.name] = entry
        else:
            left_out.append(entry.filename)
    if not chosen:
        found = ", ".join(left_out[:5]) or "nothing"
        raise FetchError(
            f"{origin} brought a zip without weights files at its top; it holds {found}"
        )
    return chosen, left_out


def _extract(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path, progress: Progress
) -> None:
    # Never over a file that is there; zipfile checks the CRC-32 as it reads.
    with opened.open(entry) as source, file.open("xb") as target:
        while chunk := source.read(2**20):
            target.write(chunk)
            progress.advance(len(chunk))


def _refused(origin: str, reason: str) -> FetchError:
    return FetchError(
        f"{origin} brought a zip that was refused, and nothing of it was written: "
        f"{reason}"
    )
