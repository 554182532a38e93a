"""What the files of a release tell by themselves: weights in folders, images in others.

A folder of weights is a family. What fits no architecture is kept with the reason, and
nothing is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from repro.data.class_names import name_classes
from repro.data.listing import IMAGE_SUFFIXES, image_names, subfolders
from repro.data.readers import common_size, outline
from repro.errors import (
    DatasetError,
    NotAvailableError,
    OptionError,
    WeightsError,
)
from repro.importing.preprocessing import (
    Preprocessing,
    open_clip_preprocessing,
    timm_preprocessing,
    torchvision_preprocessing,
)
from repro.importing.writing import class_list
from repro.models.inspection import Inspection, inspect_weights
from repro.models.skeleton import fitting_code, fitting_models
from repro.published import (
    WEIGHTS_SUFFIXES,
    DatasetSpec,
    ModelSpec,
    check_name,
    list_weights,
    split_weights_name,
)
from repro.words import listed

#: Images of one size up to this are used as they are; photographs are larger.
SMALL_PIXELS = 64
#: What builds files that bring their architecture, each by its own name.
_OF_FILES = ModelSpec(id="onnx", loader="onnx", architecture="{checkpoint}")


class SurveyedWeights(msgspec.Struct, frozen=True, kw_only=True):
    """A weights file: what it holds, what builds it, or why nothing does.

    `others` are architectures with the same tensors, which compute otherwise.
    """

    path: Path
    found: Inspection | None
    model: ModelSpec | None
    others: tuple[str, ...] = ()
    fault: str = ""


class SurveyedImages(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of class folders, arrays or shards.

    `size` is width and height of all images, if they have the same.
    """

    folder: Path
    classes: tuple[str, ...]
    images: int
    size: tuple[int, int] | None

    @property
    def is_imagenet(self) -> bool:
        """Whether the classes are those of ImageNet-1k."""
        return self.classes == tuple(class_list().decode().split())


def survey_weights(
    place: Path, code: Path | None = None, classes: int = 0
) -> list[SurveyedWeights]:
    """Look into a weights file, or into each below a folder.

    Args:
        place: the file or folder.
        code: a file of Python that builds what no library does; it is run.
        classes: how many the images have.

    Raises:
        ExpectedError: the code cannot be run.
        OptionError: there is none, or one has a name that no case can have.
    """
    files = [place] if place.is_file() else sorted(_weights_below(place))
    if not files:
        raise OptionError(
            f"--weights: {place} holds no weights file; they end in "
            f"{', '.join(WEIGHTS_SUFFIXES)}"
        )
    for (folder, name), count in Counter(map(_place, files)).items():
        if count > 1:
            raise OptionError(
                f"--weights: {folder} holds {count} files of {name}, which would be "
                "one checkpoint; name one of them, or put each kind into its own folder"
            )
    for file in files:
        try:
            check_name(split_weights_name(file.name)[0])
            check_name(file.parent.resolve().name)
        except ValueError as error:
            raise OptionError(f"--weights: {file}: {error}; rename it") from error
    return [_survey(file, code, classes) for file in files]


def _place(file: Path) -> tuple[Path, str]:
    return file.parent, split_weights_name(file.name)[0]


def _weights_below(folder: Path) -> Iterator[Path]:
    for one in (folder, *folder.rglob("*/")):
        parts = one.relative_to(folder).parts
        if one.is_dir() and not any(part.startswith(".") for part in parts):
            yield from list_weights(one)


def _survey(path: Path, code: Path | None, classes: int) -> SurveyedWeights:
    try:
        found = inspect_weights(path)
    except (NotAvailableError, WeightsError) as error:
        return SurveyedWeights(path=path, found=None, model=None, fault=str(error))
    if found.graph:
        return SurveyedWeights(path=path, found=found, model=_OF_FILES)
    fitting = _fitting(tuple(found.shapes.items()), found.entry)
    model = fitting[0] if fitting else None
    if model is None and code is not None:
        model = fitting_code(found.shapes, code, classes, found.entry, found.prefix)
    return SurveyedWeights(
        path=path,
        found=found,
        model=model,
        others=tuple(one.architecture for one in fitting[1:]),
        fault="" if model else f"{path} fits {_nothing(code)}",
    )


@lru_cache(maxsize=16)
def _fitting(
    shapes: tuple[tuple[str, tuple[int, ...]], ...], entry: str
) -> tuple[ModelSpec, ...]:
    """List what fits some tensors once for all the checkpoints that have the same."""
    return tuple(fitting_models(dict(shapes), entry))


def _nothing(code: Path | None) -> str:
    if code is None:
        return (
            "no architecture that is known here; give the file of Python that builds "
            "it with --code"
        )
    from repro.models.libraries import makers

    named = listed(list(makers(code))) or "nothing"
    return f"no architecture that is known here, and none of {code}: {named}"


def survey_images(folder: Path) -> SurveyedImages:
    """Look at a folder of class folders, or at arrays or shards with labels.

    Raises:
        OptionError: it holds none.
    """
    try:
        if found := outline(folder):
            return SurveyedImages(
                folder=folder.resolve(),
                classes=_wordnet_ids(found.classes),
                images=found.images,
                size=found.size,
            )
        if folder.is_file():
            raise DatasetError(
                f"{folder} is a file without arrays of images and labels; name a "
                "folder of class folders, a .npz or an idx file, or shards"
            )
        names = subfolders(folder)
        images = {name: sorted(image_names(folder, [name])) for name in names}
    except DatasetError as error:
        raise OptionError(f"--images: {error}") from error
    classes = [name for name in names if images[name]]
    if not classes or _is_above(folder, classes):
        inside = next((name for name in names if subfolders(folder / name)), "")
        hint = f"; is it {folder / inside}?" if inside else ""
        raise OptionError(
            f"--images: {folder} has no folder of images for each class, "
            f"CLASS/IMAGE{hint}"
        )
    if all(re.fullmatch(r"\d+", name) for name in classes):
        classes.sort(key=int)
    files = [f"{folder}/{image}" for name in classes for image in images[name]]
    return SurveyedImages(
        folder=folder.resolve(),
        classes=tuple(classes),
        images=len(files),
        size=common_size(files),
    )


def _wordnet_ids(names: tuple[str, ...]) -> tuple[str, ...]:
    """Call ImageNet's classes by their ids where shards call them by words."""
    ids = tuple(class_list().decode().split())
    if len(names) != len(ids):
        return names
    spec = DatasetSpec(id="new", title="ImageNet", folder="val", classes=ids, images=1)
    named = name_classes(spec, names).classes
    return tuple(named.get(name, name) for name in names)


def _is_above(folder: Path, classes: list[str]) -> bool:
    """Whether the class folders lie one folder deeper: train/CLASS, val/CLASS."""
    return all(
        not any(f.suffix.lower() in IMAGE_SUFFIXES for f in (folder / name).iterdir())
        for name in classes
    )


def usual_preprocessing(
    model: ModelSpec, found: Inspection, images: SurveyedImages
) -> Preprocessing:
    """Tell what images go through before a model.

    Small images of one size are used as they are, or resized to the size that the
    model was built for; for others it is what the model's library does.
    """
    usual = library_preprocessing(model, found)
    if images.size is None or max(images.size) > SMALL_PIXELS:
        return usual
    width, height = images.size
    architecture = found.architecture
    side = architecture.facts.get("image size") if architecture else None
    if side is None or (side, side) == (width, height):
        steps = ""
    else:
        steps = f"|resize({side}x{side},bicubic)"
    first = "grey" if _takes_grey(found) else "rgb"
    return msgspec.structs.replace(usual, geometry=f"{first}{steps}")


def library_preprocessing(model: ModelSpec, found: Inspection) -> Preprocessing:
    """Tell what a model's library does with photographs before such a model."""
    return _PREPROCESSING[model.loader](model, found)


def _takes_grey(found: Inspection) -> bool:
    """Whether the first convolution of some weights has one input channel."""
    kernels = (shape for shape in found.shapes.values() if len(shape) == 4)
    return next((shape[1] == 1 for shape in kernels), False)


def _timm(model: ModelSpec, found: Inspection) -> Preprocessing:
    from timm.data import resolve_data_config
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(model.architecture)
    config = resolve_data_config({}, pretrained_cfg=known.to_dict() if known else {})
    side = _side(found)
    if side:
        config["input_size"] = (3, side, side)
    return timm_preprocessing(config)


def _torchvision(model: ModelSpec, found: Inspection) -> Preprocessing:
    from torchvision.models import get_model_weights

    # The first was made as the architecture was published, and as training scripts do.
    entries = [*get_model_weights(model.architecture)]
    named = (one for one in entries if one.url.endswith(f"/{found.path.name}"))
    usual = torchvision_preprocessing(next(named, entries[0]).transforms())
    side = _side(found)
    if side is None or f"center_crop({side})" in usual.geometry:
        return usual
    geometry = f"rgb|resize({side},bilinear)|center_crop({side})"
    return msgspec.structs.replace(usual, geometry=geometry)


def _open_clip(model: ModelSpec, found: Inspection) -> Preprocessing:
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg

    return open_clip_preprocessing(asdict(PreprocessCfg(size=_side(found) or 224)))


def _unknown(model: ModelSpec, found: Inspection) -> Preprocessing:
    """Give what is most usual: nothing tells what code or a graph wants."""
    return _timm(msgspec.structs.replace(model, architecture="resnet50"), found)


_PREPROCESSING = {
    "timm": _timm,
    "torchvision": _torchvision,
    "open_clip": _open_clip,
    "python": _unknown,
    "onnx": _unknown,
}


def _side(found: Inspection) -> int | None:
    return found.architecture.facts.get("image size") if found.architecture else None
