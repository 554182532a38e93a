"""Labels that come with ImageNet itself: its development kit's, and names of images.

The ground truth of ILSVRC 2012 has one line for each validation image, in the order of
their numbers. A line is an id of the challenge's own, 1 to 1000, which is not the place
in the sorted list of WordNet ids that models are trained with; `meta.mat` says which id
is which WordNet id. Names and ground truth show whether images lie in the folders of
the classes that they are of.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from repro.data.class_names import base, own_class
from repro.errors import DatasetError
from repro.published import DatasetSpec, FileList, shipped_list, shipped_names
from repro.words import counted_names

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


#: Above this part of wrong labels there is one reason for all of them.
SYSTEMATIC = 0.5


class Labelled(msgspec.Struct, frozen=True):
    """An image `name`, and the classes that it may be of; none if that is not known."""

    name: str
    classes: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The class folder that it lies in."""
        return self.name.partition("/")[0]


def label_faults(
    spec: DatasetSpec,
    names: Sequence[str],
    devkit: Devkit | None,
    known: Sequence[DatasetSpec] = (),
) -> Iterator[str]:
    """Yield which images lie in another class than a list of files says.

    Args:
        spec: the dataset; its own list of files is asked first.
        names: `<class>/<image>` of each image.
        devkit: the one that lies beside the images.
        known: other datasets, whose images these may be.
    """
    if spec.files is not None:
        others = [*map(shipped_list, shipped_names())]
        others += [other.files for other in known if other.files is not None]
        yield from _list_faults(spec, spec.files, names, others)
    elif devkit is not None:
        told = [
            Labelled(name, (devkit.class_of(base(name)),))
            for name in names
            if VALIDATION_IMAGE.fullmatch(base(name))
        ]
        yield from _misplaced(spec, told, f"{devkit.source} says", devkit.class_of)
    classes = set(spec.classes)
    carried = [
        Labelled(name, (class_,))
        for name in names
        if (class_ := own_class(name)) and class_ in classes
    ]
    yield from _misplaced(spec, carried, "their own names say")


def list_share(spec: DatasetSpec, names: Sequence[str]) -> float:
    """Tell which part of some images its list of files has; 1 without such a list."""
    if spec.files is None or not names:
        return 1.0
    return sum(bool(spec.files.classes_of(name)) for name in names) / len(names)


def _list_faults(
    spec: DatasetSpec,
    files: FileList,
    names: Sequence[str],
    others: Sequence[FileList],
) -> Iterator[str]:
    if not files.misfits(names):
        return
    told = [Labelled(n, files.classes_of(n)) for n in names if files.speaks_of(n)]
    foreign = [image.name for image in told if not image.classes]
    if foreign:
        of = f"not in the list of {files.title}"
        found = counted_names(foreign, f"image is {of}", f"images are {of}")
        other = _other_set(files, others, told)
        yield f"{found}{other or '; remove what does not belong there'}"
    known = [image for image in told if image.classes]
    yield from _misplaced(
        spec, known, f"the list of {files.title} says", _neighbour(files)
    )


def _other_set(
    files: FileList, others: Sequence[FileList], told: Sequence[Labelled]
) -> str:
    """Name the list that most of these images are in, if it is not the expected one."""
    counts = {
        other.title: sum(bool(other.classes_of(image.name)) for image in told)
        for other in others
        if other.form == files.form and other.title != files.title
    }
    best = max(counts, key=counts.__getitem__, default="")
    if not best or counts[best] <= sum(bool(image.classes) for image in told):
        return ""
    number = f"all {len(told):,}" if counts[best] == len(told) else f"{counts[best]:,}"
    return f"; {number} are in that of {best}. Get the images of {files.title}"


def _neighbour(files: FileList) -> Callable[[str], str]:
    def class_of(name: str) -> str:
        return next(iter(files.classes_of(name)), "")

    return class_of


def _misplaced(
    spec: DatasetSpec,
    told: Sequence[Labelled],
    source: str,
    class_of: Callable[[str], str] | None = None,
) -> Iterator[str]:
    wrong = [image for image in told if image.folder not in image.classes]
    names = [image.name for image in wrong]
    if found := counted_names(names, "image lies", "images lie"):
        reason = _reason(spec, told, wrong, class_of)
        yield f"{found} in another class than {source}{reason or '; sort them anew'}"


def _reason(
    spec: DatasetSpec,
    told: Sequence[Labelled],
    wrong: Sequence[Labelled],
    class_of: Callable[[str], str] | None,
) -> str:
    """Say what may have happened, where most labels are wrong."""
    if len(wrong) < max(2, SYSTEMATIC * len(told)):
        return ""
    held: dict[str, set[str]] = defaultdict(set)
    for image in told:
        if len(image.classes) == 1:
            held[image.folder].update(image.classes)
    whole = {folder: found.pop() for folder, found in held.items() if len(found) == 1}
    if len(whole) == len(held) and 1 < len(whole) == len(set(whole.values())):
        return f": {_renamed(spec, whole)}; name the folders anew"
    if class_of is not None and (step := _number_step(told, class_of)):
        side = "before" if step < 0 else "after"
        return f": each lies where the image {side} it belongs; sort them anew"
    return ": they were sorted by a list of other files or in another order; sort anew"


def _renamed(spec: DatasetSpec, holds: dict[str, str]) -> str:
    """Say in which order the folders were named that each hold one other class."""
    place = {name: number for number, name in enumerate(spec.classes)}
    as_text = sorted(spec.classes)
    steps = {
        (place[class_] - place[folder]) % len(place)
        for folder, class_ in holds.items()
        if class_ in place
    }
    if len(steps) == 1:
        (step,) = steps
        ahead = min(step, step - len(place), key=abs)
        where = "after" if ahead > 0 else "before"
        return f"every folder holds the class {abs(ahead):,} {where} it in the list"
    if all(
        class_ == as_text[place[folder]] or folder == as_text[place.get(class_, 0)]
        for folder, class_ in holds.items()
    ):
        return "the class numbers were sorted as text (10 before 2)"
    return "every folder holds one other class, as if they were named in another order"


def _number_step(told: Sequence[Labelled], class_of: Callable[[str], str]) -> int:
    """Find whether validation images lie where their neighbours belong: -1, 1, or 0."""
    numbers = [
        (image.folder, int(match[1]))
        for image in told
        if (match := VALIDATION_IMAGE.fullmatch(base(image.name)))
    ]
    last = max((number for _, number in numbers), default=0)
    for step in (-1, 1):
        inside = [(f, n + step) for f, n in numbers if 1 <= n + step < last]
        agreeing = sum(
            class_of(f"ILSVRC2012_val_{number:08d}.JPEG") == folder
            for folder, number in inside
        )
        if inside and agreeing > 0.9 * len(inside):
            return step
    return 0
