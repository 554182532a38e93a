"""What lists of files and the names of images say: which set they are of, which class.

Lists and names show whether images lie in the folders of the classes that they are of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from repro.data.class_names import WORDNET, base, own_class
from repro.data.validation import VALIDATION_IMAGE, Devkit
from repro.published import DatasetSpec, FileList, shipped_list, shipped_names
from repro.words import counted_names

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
    first = partial(_first_class, files)
    yield from _misplaced(spec, known, f"the list of {files.title} says", first)


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


def _first_class(files: FileList, name: str) -> str:
    return next(iter(files.classes_of(name)), "")


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


class NamedSet(msgspec.Struct, frozen=True):
    """A published set that is known by its file names.

    `files` and `described` are regular expressions: of its file names, and of what a
    dataset is called that is this set. `foreign` is why its images belong nowhere else.
    """

    title: str
    files: str
    described: str
    foreign: str = ""


_STYLES = (
    "art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|"
    "sculpture|sketch|sticker|tattoo|toy|videogame"
)
SETS = {
    "training": NamedSet(
        "ImageNet's training set",
        r"n\d{8}_\d+\.JPEG",
        "train",
        "a model scores too well on what it was trained with",
    ),
    "validation": NamedSet(
        "ImageNet's validation set",
        r"ILSVRC2012_val_\d{8}(?:_n\d{8})?\.JPEG",
        r"\bval\b|validation",
    ),
    "sketch": NamedSet(
        "ImageNet-Sketch", r"sketch_\d+\.JPEG", "sketch", "move them away"
    ),
    "v2": NamedSet("ImageNet-V2", r"[0-9a-f]{40}\.jpeg", r"imagenet[-_ ]?v2\b"),
    "adversarial": NamedSet(
        "ImageNet-A", r"\d\.\d+_.+_\d\.\d+\.jpg", r"imagenet[-_ ]?a\b"
    ),
    "rendition": NamedSet(
        "ImageNet-R", rf"(?:{_STYLES})_\d+\.jpg", r"imagenet[-_ ]?r\b"
    ),
}


_ANY_SET = re.compile("|".join(f"(?P<{key}>{one.files})" for key, one in SETS.items()))


def set_faults(spec: DatasetSpec, names: Sequence[str]) -> Iterator[str]:
    """Yield that the images are those of another set."""
    called = f"{spec.id}\n{spec.folder}\n{spec.title}".lower()
    own = {key for key, one in SETS.items() if re.search(one.described, called)}
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if match := _ANY_SET.fullmatch(base(name)):
            found[match.lastgroup or ""].append(name)
    # Somebody else may call their images toy_1.jpg too, but not in these folders.
    is_imagenet = (
        bool(own) and all(map(WORDNET.fullmatch, spec.classes))
    ) or "v2" in own
    for key, other in SETS.items():
        if key in own or not (is_imagenet or other.foreign):
            continue
        if key == "v2" and not _are_of_v2(found[key]):
            continue
        of = f"of {other.title}"
        if said := counted_names(found[key], f"image is {of}", f"images are {of}"):
            foreign = f": {other.foreign}" if other.foreign else ""
            made_of = (
                ". If it is made of them, as Imagenette is, say so with the word "
                "'train' in the title of the dataset"
            ) * (key == "training")
            yield f"{said}, not of {spec.title}{foreign}{made_of}"


def _are_of_v2(names: Sequence[str]) -> bool:
    """Whether images with hashes for names are listed: many sets have such names."""
    lists = [shipped_list(name) for name in shipped_names() if "v2" in name]
    known = sum(any(files.classes_of(name) for files in lists) for name in names)
    return 2 * known > len(names)
