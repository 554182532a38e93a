"""What the file names of images say: which set they are of, and which class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from repro.published import DatasetSpec, shipped_list, shipped_names
from repro.words import counted_names

WORDNET = re.compile(r"n\d{8}")


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

# What tells an image from all others, whatever folder it lies in.
_OWN_NAME = re.compile(
    r"ILSVRC2012_val_\d{8}(_n\d{8})?|n\d{8}_\d+|[0-9a-f]{32,64}", re.IGNORECASE
)
_OWN_CLASS = re.compile(r"(n\d{8})_.+|.+_(n\d{8})")


def base(name: str) -> str:
    """Give the file's own name; several times as fast as pathlib, for 50,000 names."""
    return name.rpartition("/")[2]


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


def repeated_names(names: Iterable[str]) -> list[str]:
    """List the file names that stand in two classes and tell one image from another."""
    first: dict[str, str] = {}
    repeated: set[str] = set()
    for name in names:
        class_, file = name.partition("/")[0], base(name)
        if first.setdefault(file, class_) != class_:
            repeated.add(file)
    return sorted(
        file for file in repeated if _OWN_NAME.fullmatch(file.rpartition(".")[0])
    )


def own_class(name: str) -> str:
    """Give the WordNet id that a file name carries; empty if it carries none."""
    file = base(name)
    if "_n" not in file and not file.startswith("n"):  # Saves a second for 50,000.
        return ""
    match = _OWN_CLASS.fullmatch(file.rpartition(".")[0])
    return (match[1] or match[2]) if match else ""
