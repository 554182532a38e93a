"""Images without class folders: ImageNet's as they are downloaded, and flat ones.

A table of labels, their own names or the ground truth of the devkit tell their classes.
That of ILSVRC 2012 has one line for each validation image, in the order of their
numbers. A line is an id of the challenge's own, 1 to 1000, which is not the place in
the sorted list of WordNet ids that models are trained with; `meta.mat` says which id is
which WordNet id.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from repro.data.class_names import WORDNET, classes_in_names, own_class
from repro.data.label_tables import LabelTable, find_table, table_of
from repro.data.listing import (
    Image,
    Listing,
    Reader,
    by_class,
    class_folders,
    image_files,
    image_of,
    subfolders,
    unreadable,
)
from repro.data.shards import tar_members
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted_names

# Where the devkit may lie unpacked.
_DEVKIT_FOLDERS = {"data", "devkit", "ILSVRC2012_devkit_t12"}
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
#: The images as they are downloaded, and how each is named.
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})(?:_n\d{8})?\.JPEG")
_FOLDERS = (
    "",
    "data",
    "devkit/data",
    "ILSVRC2012_devkit_t12/data",
    "ILSVRC2012_devkit_t12",
)
_LARGEST = 100_000_000


class TarReader(Reader):
    """`ILSVRC2012_img_val.tar`."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the tar: in its folder, beside it, or itself."""
        if not _takes_validation(spec):
            return None
        root = data / spec.folder
        if root.is_dir():
            # The usual way to sort the images into folders leaves the tar beside them.
            inside = root / VALIDATION_TAR
            is_it = inside.is_file() and not class_folders(spec, root)
            return inside if is_it else None
        if data.is_dir() and class_folders(spec, data):
            return None
        places = data, data / VALIDATION_TAR, root.parent / VALIDATION_TAR
        tars = (place for place in places if place.name.endswith(".tar"))
        return next(filter(Path.is_file, tars), None)

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its members."""
        # Whether it is a tar is said before it is asked for labels.
        bare = [
            Image(PurePath(member.name).name, member.stamp, member.place)
            for member in tar_members(root)
        ]
        images = [image for image in bare if VALIDATION_IMAGE.fullmatch(image.name)]
        return _listing(spec, root, "in the tar", images, data)


class FlatReader(Reader):
    """Images in one folder, and something that says which class each is of.

    A table beside them comes first, then their own names, then the devkit.
    """

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder.

        Where there is a folder of a class too, the images are in such folders.
        """
        root = data / spec.folder
        folder = root if root.is_dir() else data
        if not folder.is_dir() or class_folders(spec, folder):
            return None
        names = image_files(folder)
        if _takes_validation(spec) and any(map(VALIDATION_IMAGE.fullmatch, names)):
            return folder
        # Tiny ImageNet has its images one folder deeper.
        if subfolders(folder) == ["images"]:
            folder = folder / "images"
            names = image_files(folder)
        if not names:
            return None
        try:
            told = _Told(spec, find_table(spec, folder), names)
        except DatasetError:
            # What the user named himself is said to be wrong when it is listed.
            return folder if root in (folder, folder.parent) else None
        return folder if any(told.class_of(name) for name in names) else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its images."""
        return _listing(spec, root, "in one folder", _flat_images(root), data)

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield what shows that unpacking or sorting stopped half-way."""
        return flat_faults(spec, listing)


class _Told:
    """What says which class an image is of, by its path below the folder."""

    def __init__(
        self, spec: DatasetSpec, table: LabelTable | None, names: Sequence[str]
    ) -> None:
        self._known = set(spec.classes)
        self._table = table
        self._named = {} if table else classes_in_names(spec.classes, names)
        #: Whether the images' own names said something.
        self.by_names = False

    def class_of(self, name: str) -> str:
        """Give the class of an image; empty where only a devkit knows it."""
        if self._table and (found := self._table.class_of(name)):
            return found
        found = own_class(name)
        if found not in self._known:
            found = self._named.get(name, "")
        self.by_names = self.by_names or bool(found)
        return found


def _takes_validation(spec: DatasetSpec) -> bool:
    """Whether a dataset can be ImageNet's validation set by its classes and folder."""
    is_named_so = PurePath(spec.folder).name == "val"
    return is_named_so and all(WORDNET.fullmatch(name) for name in spec.classes)


def _flat_images(folder: Path) -> Iterator[Image]:
    for name in image_files(folder):
        path = os.path.join(folder, name)  # noqa: PTH118 - Path is slow for 50,000
        try:
            yield image_of(name, os.stat(path), path)  # noqa: PTH116
        except OSError as error:
            raise unreadable(error, folder) from error


def _listing(
    spec: DatasetSpec, root: Path, layout: str, files: Iterable[Image], data: Path
) -> Listing:
    """Sort images without class folders into the classes that something tells."""
    table = find_table(spec, root) if root.is_dir() else None
    files = list(files)
    told = _Told(spec, table, [file.name for file in files])
    images: list[tuple[str, Image]] = []
    left: list[Image] = []
    for file in files:
        if class_ := told.class_of(file.name):
            images.append((class_, file))
        else:
            left.append(file)
    sources = [str(table.source)] if table else []
    sources += ["their own names"] if told.by_names else []
    numbered: list[Image] = []
    if _takes_validation(spec):
        numbered = [file for file in left if VALIDATION_IMAGE.fullmatch(file.name)]
    if numbered:
        devkit = _devkit(spec, root, data)
        sources.append(str(devkit.source))
        images += [(devkit.class_of(file.name), file) for file in numbered]
        left = [file for file in left if not VALIDATION_IMAGE.fullmatch(file.name)]
    placed = (
        (c, Image(f"{c}/{file.name}", file.stamp, file.place)) for c, file in images
    )
    return Listing(
        root,
        f"{layout}, labelled by {' and '.join(sources)}",
        by_class(spec, placed),
        (table.assumed,) if table and table.assumed else (),
        tuple(file.name for file in left),
    )


def _devkit(spec: DatasetSpec, root: Path, data: Path) -> Devkit:
    folders = _around(root, data)
    devkit = find_devkit(folders)
    if devkit is None:
        alone = [folder / GROUND_TRUTH for folder in folders]
        more = "".join(
            f". {file} alone does not say which class a number is; {META} does"
            for file in alone
            if file.is_file()
        )
        raise DatasetError(
            f"{root} holds validation images without class folders, so their labels "
            f"are not known. Put {DEVKIT} (from {spec.url or 'image-net.org'}) into "
            f"{folders[0]}, or labels.csv with lines <file>,<class> beside them{more}"
        )
    if unknown := set(devkit.classes) - set(spec.classes):
        raise DatasetError(
            f"{devkit.source} has {len(unknown):,} classes that {spec.title} does not "
            f"have ({', '.join(sorted(unknown)[:3])}); it belongs to other images"
        )
    return devkit


def _around(root: Path, data: Path) -> list[Path]:
    """List the folders in which a devkit is looked for."""
    folder = data if data.is_dir() else data.parent
    inside = [root] if root.is_dir() else []
    return list(dict.fromkeys((folder, *inside, root.parent)))


def devkit_beside(root: Path, data: Path) -> Devkit | None:
    """Find the devkit beside a dataset, if there is one.

    Raises:
        DatasetError: it cannot be read.
    """
    return find_devkit(_around(root, data))


def flat_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is half-made about images in one folder."""
    root = listing.root
    one, several = "image has no label", "images have no label"
    if found := counted_names(listing.unlabelled, one, several):
        why = "only names such as ILSVRC2012_val_00000001.JPEG have one"
        if table := table_of(root):
            why = f"{table} has no line for {'it' if 'image has' in found else 'them'}"
        yield f"{found}: {why}"
    beside = sorted(set(subfolders(root)) - _DEVKIT_FOLDERS)
    if found := counted_names(beside, "folder lies", "folders lie"):
        yield f"{found} beside images without class folders; sort all images, or none"
    tar = root.parent / VALIDATION_TAR
    images = sum(map(len, listing.images.values()))
    if images < spec.images and tar.is_file():
        yield (
            f"it holds {images:,} of {spec.images:,} images, and {tar} lies beside it: "
            "unpacking stopped half-way. Unpack it to the end, or remove the folder"
        )


class Devkit(msgspec.Struct, frozen=True):
    """The class of each validation image, first to last, as WordNet ids."""

    source: Path
    classes: tuple[str, ...]

    def class_of(self, name: str) -> str:
        """Give the class of `ILSVRC2012_val_NNNNNNNN.JPEG`, or of such with its class.

        Raises:
            DatasetError: the ground truth has no such line.
        """
        match = VALIDATION_IMAGE.fullmatch(name)
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(self.classes):
            raise DatasetError(
                f"{self.source} has labels of images 1 to {len(self.classes):,}, but "
                f"there is an image {name}; devkit and images do not belong together"
            )
        return self.classes[number - 1]


def find_devkit(folders: Iterable[Path]) -> Devkit | None:
    """Look for the devkit, as it is downloaded or unpacked, in some folders.

    Raises:
        DatasetError: it is there and cannot be read.
    """
    for folder in folders:
        for place in (folder / below for below in _FOLDERS):
            truth, meta = place / GROUND_TRUTH, place / META
            if truth.is_file() and meta.is_file():
                return _read(place, truth.read_bytes(), meta.read_bytes())
        if (archive := folder / DEVKIT).is_file():
            return _read_archive(archive)
    return None


def _read_archive(archive: Path) -> Devkit:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for entry in opened:
                name = Path(entry.name).name
                if name in {GROUND_TRUTH, META} and entry.isreg():
                    stream = opened.extractfile(entry)
                    assert stream is not None
                    found[name] = stream.read(_LARGEST)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(
            f"{archive} cannot be read: {error}. Download it again"
        ) from error
    if len(found) != 2:
        raise DatasetError(
            f"{archive} lacks {GROUND_TRUTH} or {META}; it is not the devkit of "
            "ILSVRC 2012, tasks 1 and 2"
        )
    return _read(archive, found[GROUND_TRUTH], found[META])


def _read(source: Path, truth: bytes, meta: bytes) -> Devkit:
    try:
        wordnet = _wordnet_ids(meta)
        classes = tuple(wordnet[int(line)] for line in truth.split())
    except Exception as error:  # scipy raises what it likes on damaged files.
        raise DatasetError(
            f"{source} is damaged or not the devkit of ILSVRC 2012: {GROUND_TRUTH} or "
            f"{META} cannot be understood ({type(error).__name__}: {error})"
        ) from error
    return Devkit(source, classes)


def _wordnet_ids(meta: bytes) -> dict[int, str]:
    """Read which id of the challenge is which WordNet id."""
    from scipy.io import loadmat

    stream: Any = io.BytesIO(meta)
    synsets = loadmat(stream, squeeze_me=True)["synsets"]
    ids, names = synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist()
    return {int(number): str(name) for number, name in zip(ids, names, strict=True)}
