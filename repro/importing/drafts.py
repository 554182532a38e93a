"""The first files of a release: its TOML, and what its repository needs beside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from repro.errors import OptionError
from repro.importing.preprocessing import Preprocessing
from repro.importing.survey import library_preprocessing
from repro.importing.writing import CLASSES_FILE, write_toml
from repro.models.inspection import Inspection
from repro.models.skeleton import fitting_model
from repro.published import RELEASE_FILE, ModelSpec, Release, parse_geometry

#: Where nothing tells more.
USUAL = Preprocessing(
    "rgb|resize(256,bilinear)|center_crop(224)",
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)
UNKNOWN = ModelSpec(id="to-be-named", loader="timm", architecture="resnet50")
_IMAGENET_CLASSES = 1000


class DraftDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset; `classes` and `outputs` are a list or the name of a file."""

    id: str
    title: str
    folder: str
    classes: str | Sequence[str]
    images: int
    files: str = ""
    outputs: str = ""
    note: str = ""


class DraftProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol, zero-shot if it has class names."""

    preprocessing: Preprocessing
    classnames: str | Sequence[str] = ""
    templates: str | Sequence[str] = ""
    note: str = ""

    @property
    def keys(self) -> dict[str, str | Sequence[float]]:
        """Its keys, with a mean and std for each channel that the geometry gives."""
        geometry, mean, std = msgspec.structs.astuple(self.preprocessing)
        channels = parse_geometry(geometry).channels
        return {"geometry": geometry, "mean": mean[:channels], "std": std[:channels]}


class DraftModel(msgspec.Struct, frozen=True):
    """What weights fit into, and how that is known."""

    spec: ModelSpec
    note: str = ""


class DraftFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A family: `checkpoint` is one of its own, `models` say which model each has."""

    name: str
    checkpoint: str
    model: str
    models: Mapping[str, str] = {}
    protocols: Sequence[str] = ("paper",)
    notes: Sequence[str] = ()


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A release to be completed by its author; it can be read as it stands."""

    name: str
    dataset: DraftDataset
    protocols: Mapping[str, DraftProtocol]
    models: Mapping[str, DraftModel]
    families: Sequence[DraftFamily]

    def text(self) -> str:
        """Write the TOML."""
        return write_toml("draft", draft=self)


def zero_shot_protocol(
    preprocessing: Preprocessing, classes: Sequence[str] | None, note: str = ""
) -> DraftProtocol:
    """Give OpenAI's prompts for ImageNet, and for other classes one with their names.

    Args:
        preprocessing: of the images.
        classes: names of class folders, unless they are those of ImageNet.
        note: is kept.
    """
    names = [name.replace("_", " ") for name in classes or ()]
    return DraftProtocol(
        preprocessing=preprocessing,
        classnames=names or "open_clip:IMAGENET_CLASSNAMES",
        templates=["a photo of a {}."]
        if names
        else "open_clip:OPENAI_IMAGENET_TEMPLATES",
        note=note,
    )


def blank_draft(name: str, found: Inspection | None, checkpoint: str) -> Draft:
    """Draft a release for ImageNet, which a weights file tells the model of.

    Args:
        name: of the release and its family.
        found: in the weights file, if there is one.
        checkpoint: what a case of the family may be called.
    """
    spec = fitting_model(found.shapes, found.entry) if found else None
    preprocessing = library_preprocessing(spec, found) if spec and found else USUAL
    is_clip = spec is not None and spec.loader == "open_clip"
    protocol = (
        zero_shot_protocol(preprocessing, None)
        if is_clip
        else DraftProtocol(preprocessing=preprocessing)
    )
    dataset = DraftDataset(
        id="imagenet-val",
        title="ImageNet-1k validation (ILSVRC 2012)",
        folder="val",
        classes=CLASSES_FILE,
        images=50_000,
        files="repro:imagenet-val",
        note=_said_of_classes(found),
    )
    model = DraftModel(spec or _unnamed(found), _said_of_model(found, spec))
    return Draft(
        name=name,
        dataset=dataset,
        protocols={"paper": protocol},
        models={"main": model},
        families=[DraftFamily(name=name, checkpoint=checkpoint, model="main")],
    )


def _unnamed(found: Inspection | None) -> ModelSpec:
    key = found.entry if found else ""
    return msgspec.structs.replace(UNKNOWN, weights_key=key)


def _said_of_classes(found: Inspection | None) -> str:
    """Say where the weights were not trained for the classes that the file has."""
    if found is None or found.classes in (None, _IMAGENET_CLASSES):
        return "For another one than ImageNet change all of it."
    return (
        f"The weights have {found.classes:,} outputs: name their classes here, or what "
        "each output is as `outputs`."
    )


def _said_of_model(found: Inspection | None, spec: ModelSpec | None) -> str:
    if found is None:
        return ""
    what = f"Inspected: {len(found.shapes):,} tensors with {found.parameters:,} values"
    if spec:
        return f"{what}; every name and shape fits this architecture."
    return f"{what}; no architecture that was tried fits: name it here."


TOX = Path("tox-nightly.ini")
WORKFLOW = Path(".github/workflows/nightly.yml")
BADGE = (
    "[![reproduced](https://img.shields.io/endpoint?url=https://"
    "raw.githubusercontent.com/OWNER/REPOSITORY/badges/reproduced.badge.json)]"
    "(https://github.com/OWNER/REPOSITORY/actions/workflows/nightly.yml)"
)
_TEST = '''\
"""The numbers published with {name}."""

import pytest


@pytest.mark.repro({places})
def test_{identifier}(case, reproduce):
    """Each checkpoint scores what was published, within its tolerance."""
    reproduce(case)
'''


def module_name(name: str) -> str:
    """Give the file name of the test module of a release."""
    return f"test_{name.replace('-', '_').replace('.', '_')}.py"


def module_template(
    name: str, places: Mapping[str, str], *, run_code: bool = False
) -> str:
    """Write a test module that runs the cases of a release.

    Args:
        name: of the release.
        places: paths from the module by the keyword of the marker.
        run_code: whether models are built by code beside the numbers.
    """
    identifier = "".join(c if c.isalnum() else "_" for c in name)
    marked = ", ".join(f"{key}={json.dumps(path)}" for key, path in places.items())
    marked += ", run_code=True" * run_code
    return _TEST.format(name=name, places=marked, identifier=identifier)


def nightly_files(test: Path, places: Mapping[str, str]) -> dict[Path, bytes]:
    """Give the tox environment and the workflow by their places in the repository.

    Args:
        test: the module whose cases run.
        places: where `checkpoints` and `data` are unless a variable names them; what
            the marker says would count before the variable, an option does not.
    """
    options = "".join(
        f"\\\n        --repro-{name}={{env:REPRO_{name.upper()}:{place}}} "
        for name, place in places.items()
    )
    here = Path(__file__).parent
    tox = (here / "nightly-tox.ini").read_text("utf-8")
    return {
        TOX: tox.replace("TEST", test.as_posix()).replace("PLACES", options).encode(),
        WORKFLOW: (here / "nightly.yml").read_bytes(),
    }


def gallery_folder(shipped: Path, name: str) -> Path:
    """Find a release of the gallery.

    Raises:
        OptionError: there is none of that name; the message lists those there are.
    """
    gallery = shipped / "gallery"
    known = sorted(file.parent.name for file in gallery.glob(f"*/{RELEASE_FILE}"))
    if name not in known:
        raise OptionError(
            f"--gallery is {name!r:.80}; there are {', '.join(known) or 'none'}"
        )
    return gallery / name


def gallery_files(folder: Path) -> dict[str, bytes]:
    """Give the files of a release by their names."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


def code_commands(release: Release) -> list[str]:
    """List the commands that bring the code which is not beside the numbers."""
    lacking = (
        model.code_command(release.location)
        for model in release.models.values()
        if model.code_url and not (release.location / model.code).exists()
    )
    return list(dict.fromkeys(lacking))
