"""What people call the classes of a dataset, and which class that surely is.

A folder `n01440764_tench`, a label `tench`, a name in another Unicode form: each stands
for a class where no other can be meant. Numbers stand for none, since several orders of
classes are in use. The file of an image may carry a class in its name too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import lru_cache, partial

import msgspec

from repro.files import file_shipped_with
from repro.published import DatasetSpec, FileList, shipped_list

_WORDNET_FIRST = re.compile(r"(n\d{8})[_\-. ,].*", re.DOTALL)
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
#: What torchvision calls classes of which two have the same word.
_TOLD_APART = {"crane bird": "n02012849", "maillot tank suit": "n03710721"}
WORDNET = re.compile(r"n\d{8}")
_OWN_CLASS = re.compile(r"(n\d{8})_.+|.+_(n\d{8})")


class Named(msgspec.Struct, frozen=True):
    """Which class each of some names stands for; `assumed` says why, if not by itself.

    `unknown` are names that stand for none, or for one that another stands for too.
    """

    classes: dict[str, str]
    unknown: tuple[str, ...] = ()
    assumed: str = ""


def name_classes(
    spec: DatasetSpec, names: Iterable[str], told: Mapping[str, str] = {}
) -> Named:
    """Find out which classes some folders or labels are called by.

    Where some of them are names of classes, only these count. Any other way to name
    them has to fit all, one class each.

    Args:
        spec: the dataset.
        names: what is to be understood.
        told: what the user has written down of them: it comes before anything else.
    """
    names = list(names)
    if told and (found := {name: told[name] for name in names if name in told}):
        return Named(found, tuple(name for name in names if name not in found))
    plain = _as_spelt(names, {composed(name): name for name in spec.classes})
    if plain.classes:
        return plain
    for assumed, understand in _ways(spec):
        found = _one_each(names, understand)
        if names and len(found) == len(names):
            return Named(found, assumed=assumed)
    return Named({}, tuple(names))


def _one_each(
    names: Sequence[str], understand: Callable[[str], Collection[str]]
) -> dict[str, str]:
    """Give each name the class that it can stand for when others have theirs."""
    left = {name: set(understand(name)) for name in names}
    found: dict[str, str] = {}
    while sure := {n: next(iter(ones)) for n, ones in left.items() if len(ones) == 1}:
        if len(set(sure.values())) < len(sure):
            return {}
        found |= sure
        taken = set(sure.values())
        left = {n: ones - taken for n, ones in left.items() if n not in sure}
    return found


def class_from_files(
    spec: DatasetSpec,
    files: Mapping[str, Sequence[str]],
    class_of: Callable[[str], str] | None,
) -> Named:
    """Find out which classes folders are of by the names of the files in them.

    Args:
        spec: the dataset.
        files: by folder, the names of its images.
        class_of: tells the class of a validation image; empty where it does not.
    """
    known = set(spec.classes)
    listed = _list_of(spec)
    found: dict[str, str] = {}
    for folder, names in files.items():
        told: set[str] = set()
        for name in names:
            if class_ := own_class(name) or (class_of(name) if class_of else ""):
                told.add(class_)
            elif class_of is None and listed is not None and listed.speaks_of(name):
                told |= set(listed.classes_of(name)[:1])
        if len(told) != 1 or not told <= known:
            return Named({}, tuple(files))
        found[folder] = told.pop()
    if not found or len(set(found.values())) < len(found):
        return Named({}, tuple(files))
    return Named(found, assumed="classes told by the names of the images in them")


def classes_in_names(classes: Collection[str], names: Sequence[str]) -> dict[str, str]:
    """Find the class that each file name begins, or ends, with: `cat_0.png`.

    It stands at the same end of all of them, and nothing is found where both ends of
    all could be meant.
    """
    known = set(classes)
    found = [
        {name: class_ for name in names if (class_ := _at_end(known, name, is_last))}
        for is_last in (False, True)
    ]
    whole = [one for one in found if len(one) == len(names)]
    first, *other = whole or [{}]
    return first if other in ([], [first]) else {}


def _at_end(known: Collection[str], name: str, is_last: bool) -> str:
    """Give the longest class that a file name begins or ends with."""
    stem = composed(name).rpartition(".")[0]
    cuts = [match.start() for match in re.finditer(r"[-_. ]", stem)]
    if is_last:
        ends = (stem[cut + 1 :] for cut in cuts)
    else:
        ends = (stem[:cut] for cut in reversed(cuts))
    return next((end for end in ends if end in known), "")


def composed(name: str) -> str:
    """Write a name as most systems do: macOS takes letters and their accents apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_numbered(names: Collection[str]) -> bool:
    """Whether all names are numbers."""
    return bool(names) and all(map(_NUMBER.fullmatch, names))


def _as_spelt(names: Sequence[str], classes: Mapping[str, str]) -> Named:
    """Find the names that are classes, in whatever Unicode form."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    unknown: list[str] = []
    # A name that is one by itself comes before one that is only spelt alike.
    for name in sorted(names, key=lambda name: composed(name) != name):
        class_ = classes.get(composed(name))
        if class_ is None or class_ in taken:
            unknown.append(name)
        else:
            taken.add(class_)
            found[name] = class_
    return Named(found, tuple(sorted(unknown)))


def _ways(
    spec: DatasetSpec,
) -> Iterator[tuple[str, Callable[[str], Collection[str]]]]:
    """Yield ways to name classes, each with what is said of it."""
    known = set(spec.classes)
    if is_numbered(spec.classes):
        return
    if not all(map(WORDNET.fullmatch, spec.classes)):
        own = _by_word((name, name) for name in spec.classes)
        yield "classes told by their names, spelt otherwise", partial(_look_up, own)
        return

    def by_wordnet(name: str) -> Collection[str]:
        match = _WORDNET_FIRST.fullmatch(name)
        return {match[1]} & known if match else ()

    yield "classes told by the WordNet ids that names begin with", by_wordnet
    words = _wordnet_words()

    def by_word(name: str) -> Collection[str]:
        return known.intersection(_look_up(words, name))

    yield "classes told by their names in WordNet", by_word


def _look_up(words: Mapping[str, Collection[str]], name: str) -> Collection[str]:
    return words.get(composed(name)) or words.get(_simple(name)) or ()


def _simple(name: str) -> str:
    """Spell a name so that case, blanks and signs do not matter."""
    return "".join(filter(str.isalnum, composed(name).casefold()))


def _by_word(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Give the classes that each word can stand for, as it is and spelt simply."""
    found: dict[str, set[str]] = {}
    for word, class_ in pairs:
        for spelling in {composed(word), _simple(word)}:
            found.setdefault(spelling, set()).add(class_)
    return found


def wordnet_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Give all names that WordNet has for each class, with commas between.

    Empty where one of the classes is none of its ids, or timm is without the list.
    """
    if not all(map(WORDNET.fullmatch, classes)):
        return ()
    named = _wordnet_rows()
    return tuple(named[c] for c in classes) if named.keys() >= set(classes) else ()


@lru_cache
def _wordnet_rows() -> dict[str, str]:
    """Give the names of each id of WordNet, as timm ships them."""
    file = file_shipped_with("timm", "data/_info/imagenet_synset_to_lemma.txt")
    lines = file.read_text("utf-8").splitlines() if file else []
    return dict(line.split("\t", 1) for line in lines)


@lru_cache
def _wordnet_words() -> dict[str, set[str]]:
    """Give the classes of ImageNet by each of their words in WordNet, as timm ships it.

    Empty where timm is without it.
    """
    known = set(shipped_list("imagenet-val").classes)
    rows = _wordnet_rows().items()
    named = [(words, class_) for class_, words in rows if class_ in known]
    each = ((w.strip(), class_) for words, class_ in named for w in words.split(","))
    return _by_word((*each, *named, *_TOLD_APART.items()))


def _list_of(spec: DatasetSpec) -> FileList | None:
    """Give the list that knows ImageNet's validation images, or the dataset's own."""
    if spec.files is not None:
        return spec.files
    is_imagenet = all(map(WORDNET.fullmatch, spec.classes))
    return shipped_list("imagenet-val") if is_imagenet else None


def base(name: str) -> str:
    """Give the file's own name; several times as fast as pathlib, for 50,000 names."""
    return name.rpartition("/")[2]


def own_class(name: str) -> str:
    """Give the WordNet id that a file name carries; empty if it carries none."""
    file = base(name)
    if "_n" not in file and not file.startswith("n"):  # Saves a second for 50,000.
        return ""
    match = _OWN_CLASS.fullmatch(file.rpartition(".")[0])
    return (match[1] or match[2]) if match else ""
