"""The first files of a release, written from what its weights and images tell."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from repro.cases import named_case
from repro.errors import ReproError
from repro.evaluation.predictions import Predictions
from repro.importing.drafts import (
    UNKNOWN,
    USUAL,
    Draft,
    DraftDataset,
    DraftFamily,
    DraftModel,
    DraftProtocol,
    zero_shot_protocol,
)
from repro.importing.preprocessing import Preprocessing
from repro.importing.survey import (
    SMALL_PIXELS,
    SurveyedImages,
    SurveyedWeights,
    usual_preprocessing,
)
from repro.importing.trial import (
    Normalisation,
    Trial,
    Tries,
    as_good,
    choose,
    trial_of,
)
from repro.importing.writing import CLASSES_FILE, class_list
from repro.models.inspection import Inspection
from repro.published import (
    RELEASE_FILE,
    ModelSpec,
    read_releases,
    split_weights_name,
)
from repro.words import counted, listed

_IMAGENET = 1000
#: More classes than these stand in a file of their own.
_LISTED = 50
_OWN_CLASSES = "classes.txt"
_Tried = dict[Normalisation, Predictions]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a checkpoint is evaluated: the name of its protocol comes with it."""

    preprocessing: Preprocessing
    zero_shot: bool


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A weights file as a checkpoint of a family, and what came of trying it."""

    family: str
    weights: SurveyedWeights
    way: Way | None = None
    trial: Trial | None = None
    fault: str = ""

    @property
    def name(self) -> str:
        """Give the name of its cases."""
        return split_weights_name(self.weights.path.name)[0]

    def sentence(self) -> str:
        """Say what it is and what came of it."""
        model = self.weights.model
        if model:
            model = model.of_checkpoint(self.name)
        is_what = f"{model.loader} {model.architecture}: " if model else ""
        said = self.trial.sentence() if self.trial else self.fault
        others = self.weights.others
        if others and not (self.trial and self.trial.is_complete):
            said += f"; its tensors fit {listed(others)} too"
        return f"{self.family}/{self.name}: {is_what}{said}"


class Beginning:
    """Proposes a release.

    Args:
        name: of the release.
        weights: files of one folder or several.
        images: of its dataset.
        code: a file of Python that builds some of its models.
    """

    def __init__(
        self,
        name: str,
        weights: Sequence[SurveyedWeights],
        images: SurveyedImages,
        code: Path | None = None,
    ) -> None:
        self.name = name
        self.images = images
        models = (one.model for one in weights)
        self._code = code if any(model and model.code for model in models) else None
        #: How many outputs are named.
        self._outputs = _count_named(weights, images)
        files = [one.path.resolve() for one in weights]
        common = Path(os.path.commonpath([file.parent for file in files]))
        #: What --repro-checkpoints would name, and --repro-data.
        self.root = common.parent if any(f.parent == common for f in files) else common
        self.data = images.folder.parent
        #: Of each way the normalisations that are as good as its own.
        self._alike: dict[Way, list[str]] = {}
        self.checkpoints = [
            self._checkpoint(one, file)
            for one, file in zip(weights, files, strict=True)
        ]

    def _checkpoint(self, one: SurveyedWeights, file: Path) -> Checkpoint:
        family = file.parent.relative_to(self.root).as_posix()
        if one.model is None or one.found is None:
            return Checkpoint(family=family, weights=one, fault=one.fault)
        zero_shot = one.model.loader == "open_clip"
        way = Way(
            preprocessing=usual_preprocessing(one.model, one.found, self.images),
            zero_shot=zero_shot,
        )
        fault, outputs = "", one.found.classes
        if not zero_shot and outputs not in (None, self._outputs):
            fault = (
                f"it has {outputs:,} outputs, and {self.images.folder} "
                f"{len(self.images.classes):,} class folders; name what each output is "
                "as `outputs` of the dataset"
            )
        return Checkpoint(family=family, weights=one, way=way, fault=fault)

    def summary(self) -> str:
        """Say what was found, in one line."""
        images = self.images
        size = f", all {images.size[0]} x {images.size[1]}" if images.size else ""
        return (
            f"{os.path.relpath(images.folder)}: {counted(images.images, 'image')} of "
            f"{counted(len(images.classes), 'class', 'classes')}{size}; "
            f"{counted(len(self.checkpoints), 'weights file')}"
        )

    def attempt(
        self, cache: Path | None, say: Callable[[str], None], device: str = "auto"
    ) -> None:
        """Try every checkpoint, and take over what was seen; say it as it comes."""
        tries = Tries(self.data, cache, device)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.contents().items():
                (Path(folder) / name).write_bytes(content)
            (release,) = read_releases([Path(folder)])
            protocols = {
                number: release.protocols[self._protocol_of(one)]
                for number, one in enumerate(self.checkpoints)
                if not one.fault
            }
            groups: dict[str, dict[int, _Tried]] = {}
            for number, protocol in protocols.items():
                one = self.checkpoints[number]
                names = one.family, one.name, protocol.id, release.default_dataset
                case = named_case(release, *names)
                size = self.images.size
                is_small = size is not None and max(size) <= SMALL_PIXELS
                try:
                    tried = tries.of(case, one.weights.path, is_small=is_small)
                    groups.setdefault(protocol.id, {})[number] = tried
                except ReproError as error:
                    self._replace(number, fault=str(error))
        self._name_costs(tries.gflops)
        for group in groups.values():
            self._take_over(group)
        for one in self.checkpoints:
            say(one.sentence())

    def _name_costs(self, gflops: Mapping[str, float]) -> None:
        """Give models what an image costs them, which orders the cases."""
        ids = [self._model_of(one) for one in self.checkpoints]
        for number, (id_, one) in enumerate(zip(ids, self.checkpoints, strict=True)):
            cost = float(f"{gflops.get(id_, 0):.3g}")
            if cost and one.weights.model:
                model = msgspec.structs.replace(one.weights.model, gflops=cost)
                weights = msgspec.structs.replace(one.weights, model=model)
                self._replace(number, weights=weights)

    def _take_over(self, group: Mapping[int, _Tried]) -> None:
        """Give checkpoints of one protocol the normalisation that suits them best."""
        chosen = choose(list(group.values()))
        alike = [other.name for other in as_good(list(group.values()), chosen)]
        for number, tried in group.items():
            way = self.checkpoints[number].way
            assert way is not None
            used = msgspec.structs.replace(
                way.preprocessing, mean=chosen.mean, std=chosen.std
            )
            way = msgspec.structs.replace(way, preprocessing=used)
            self._alike[way] = alike
            self._replace(
                number,
                way=way,
                trial=trial_of(tried, chosen, len(self.images.classes)),
            )

    def _replace(self, number: int, **changes: Any) -> None:
        one = self.checkpoints[number]
        self.checkpoints[number] = msgspec.structs.replace(one, **changes)

    def contents(self) -> dict[str, bytes]:
        """Give the files of the release by their names."""
        contents = {RELEASE_FILE: self.draft().text().encode()}
        if self.images.is_imagenet or self._outputs != len(self.images.classes):
            contents[CLASSES_FILE] = class_list()
        if self._code:
            contents[self._code.name] = self._code.read_bytes()
        if not self.images.is_imagenet and len(self.images.classes) > _LISTED:
            contents[_OWN_CLASSES] = "\n".join((*self.images.classes, "")).encode()
        return contents

    def draft(self) -> Draft:
        """Propose the TOML."""
        images = self.images
        classes: str | tuple[str, ...] = images.classes
        if images.is_imagenet:
            classes = CLASSES_FILE
        elif len(images.classes) > _LISTED:
            classes = _OWN_CLASSES
        dataset = DraftDataset(
            id=self._dataset,
            title=images.folder.name,
            folder=images.folder.name,
            classes=classes,
            images=images.images,
            outputs="" if self._outputs == len(images.classes) else CLASSES_FILE,
        )
        return Draft(
            name=self.name,
            dataset=dataset,
            protocols={id_: self._protocol(way) for id_, way in self._ways().items()},
            models={id_: _model(spec) for id_, spec in self._models().items()},
            families=[self._family(members) for members in self._families()],
        )

    @property
    def runs_code(self) -> bool:
        """Whether a model is built by the file of Python."""
        return self._code is not None

    @property
    def _dataset(self) -> str:
        # What a bare key of TOML may have.
        name = self.images.folder.name
        for suffix in (".npz", ".tar", ".parquet"):
            name = name.removesuffix(suffix)
        return re.sub(r"[^\w-]", "-", name, flags=re.ASCII).strip("-") or "images"

    def _ways(self) -> dict[str, Way]:
        """Name each way to evaluate once, the one of most checkpoints first."""
        counts = Counter(one.way for one in self.checkpoints if one.way)
        ways = [way for way, _ in counts.most_common()]
        return {
            "paper" if not number else f"paper-{number + 1}": way
            for number, way in enumerate(ways or [_USUAL])
        }

    def _protocol_of(self, one: Checkpoint) -> str:
        ways = self._ways()
        return next((id_ for id_, way in ways.items() if way == one.way), "paper")

    def _models(self) -> dict[str, ModelSpec]:
        """Name each model once."""
        named: dict[str, ModelSpec] = {}
        for one in self.checkpoints:
            model = one.weights.model or UNKNOWN
            if not any(_same(model, other) for other in named.values()):
                # An architecture with a placeholder is a name of no model.
                is_named = model is not UNKNOWN and "{" not in model.architecture
                stem = model.architecture if is_named else model.id
                id_, number = stem, 1
                while id_ in named:
                    number += 1
                    id_ = f"{stem}-{number}"
                named[id_] = model
        return named

    def _model_of(self, one: Checkpoint) -> str:
        model = one.weights.model or UNKNOWN
        return next(id_ for id_, other in self._models().items() if _same(model, other))

    def _families(self) -> list[list[Checkpoint]]:
        families: dict[str, list[Checkpoint]] = {}
        for one in self.checkpoints:
            families.setdefault(one.family, []).append(one)
        return list(families.values())

    def _family(self, members: Sequence[Checkpoint]) -> DraftFamily:
        models = {one.name: self._model_of(one) for one in members}
        usual, _ = Counter(models.values()).most_common(1)[0]
        ways = self._ways()
        kinds = Counter(one.way.zero_shot for one in members if one.way)
        kind = max(kinds, key=kinds.__getitem__, default=False)
        # Each was tried as its own library has it.
        mine = {one.way for one in members if one.way and one.way.zero_shot == kind}
        return DraftFamily(
            name=members[0].family,
            checkpoint=members[0].name,
            model=usual,
            models=models,
            protocols=[id_ for id_, way in ways.items() if way in mine] or ["paper"],
            notes=[one.sentence() for one in members],
        )

    def _protocol(self, way: Way) -> DraftProtocol:
        alike = self._alike.get(way, [])
        # What the images do not tell from the normalisation that is proposed.
        others = f"A hundred images do not tell it from: {'; '.join(alike)}."
        note = others if alike else ""
        if not way.zero_shot:
            return DraftProtocol(preprocessing=way.preprocessing, note=note)
        classes = None if self._outputs == _IMAGENET else self.images.classes
        return zero_shot_protocol(way.preprocessing, classes, note)


_USUAL = Way(preprocessing=USUAL, zero_shot=False)


def _same(one: ModelSpec, other: ModelSpec) -> bool:
    return msgspec.structs.replace(one, id=other.id) == other


def _count_named(weights: Sequence[SurveyedWeights], images: SurveyedImages) -> int:
    """Count the outputs that are named: ImageNet's, where images are a part of it."""
    outputs = {_outputs_of(one.found) for one in weights if one.found}
    known = set(class_list().decode().split())
    zero_shot = any(one.model and one.model.loader == "open_clip" for one in weights)
    is_part = _IMAGENET in outputs or zero_shot
    if is_part and set(images.classes) <= known:
        return _IMAGENET
    return len(images.classes)


def _outputs_of(found: Inspection) -> int | None:
    """Tell how many outputs a model has; of one of unknown kind, if they are 1,000."""
    has_head = any(shape[:1] == (_IMAGENET,) for shape in found.shapes.values())
    return found.classes or (_IMAGENET if has_head else None)


def _model(spec: ModelSpec) -> DraftModel:
    if spec is UNKNOWN:
        return DraftModel(spec, "No architecture that was tried fits: name it here.")
    return DraftModel(spec)
