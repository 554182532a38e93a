"""Whatever is done to files between runs, what is measured is what they show."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from repro import files
from repro.data.dataset import index_dataset
from repro.data.geometry import Pixels
from repro.data.pixels import PixelStore, stream
from repro.evaluation.batching import BatchSize
from repro.evaluation.evaluate import evaluate
from repro.published import parse_geometry
from tests.data.small_imagenet import spec, validation, write_devkit, write_tar

GEOMETRY = parse_geometry("rgb|resize(8,nearest)|center_crop(8)")
CPU = torch.device("cpu")
#: Grey levels that say a label: 20, 70, 120, 170.
LEVELS = np.arange(4) * 50 + 20


def picture(label: int, variant: int) -> bytes:
    """Make an image that shows its label; all have as many bytes."""
    pixels = np.full((8, 8, 3), LEVELS[label], np.uint8)
    pixels.reshape(-1)[variant] += 1
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "BMP")
    return stream.getvalue()


def oracle(pixels: Tensor) -> Tensor:
    """Read the label out of the pixels."""
    seen = pixels.float().mean((1, 2, 3))
    return -(seen[:, None] - torch.from_numpy(LEVELS)).abs()


class Copy:
    """Twelve images in one of the layouts; what they show is written at will."""

    def __init__(self, path: Path, layout: str) -> None:
        self.data, self.cache, self._layout = path, path / "cache", layout
        # Names and classes of the devkit's; what the images show changes.
        self.names = list(validation())
        self.shown = {
            name: (number % 4, number) for number, name in enumerate(self.names)
        }
        if layout != "folders":
            write_devkit(path)
        for name in self.names:
            self._write(name)
        self.save()

    def _file(self, name: str) -> Path:
        inside = name if self._layout == "folders" else Path(name).name
        return self.data / "val" / inside

    def _write(self, name: str) -> None:
        if self._layout != "tar":
            self._file(name).parent.mkdir(parents=True, exist_ok=True)
            self._file(name).write_bytes(picture(*self.shown[name]))

    def save(self) -> None:
        if self._layout == "tar":
            content = {name: picture(*shown) for name, shown in self.shown.items()}
            write_tar(self.data / "ILSVRC2012_img_val.tar", content)

    def _stamped(self, name: str) -> Path:
        tar = self.data / "ILSVRC2012_img_val.tar"
        return tar if self._layout == "tar" else self._file(name)

    def change(self, name: str, label: int, variant: int, *, keep_time: bool) -> None:
        file = self._stamped(name)
        before = file.stat()
        self.shown[name] = label, variant
        self._write(name)
        self.save()
        assert file.stat().st_size == before.st_size
        if keep_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def touch(self, name: str) -> None:
        self._stamped(name).touch()

    def right(self) -> int:
        """Count by a plain loop how many images show the class they are filed under."""
        label = {class_: number for number, class_ in enumerate(spec().classes)}
        return sum(
            shown == label[name.partition("/")[0]]
            for name, (shown, _) in self.shown.items()
        )

    def measured(self, *, keeps: bool) -> tuple[str, int]:
        dataset = index_dataset(
            spec(), self.data, cache=self.cache if keeps else None, part=True
        )
        strata = range(len(dataset.strata))
        pixels: Iterator[tuple[int, Pixels]]
        if keeps:
            pixels = PixelStore(dataset, GEOMETRY, self.cache).iterate(strata)
        else:
            pixels = stream(dataset, GEOMETRY, strata)
        found = evaluate(
            oracle, dataset, pixels, batch_size=BatchSize("cpu", 5), device=CPU
        )
        return dataset.fingerprint, found.metrics().top1


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["change", "change, keep the time", "touch"]),
        st.integers(0, 11),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=3,
)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["folders", "flat", "tar"])
@settings(max_examples=8)
@given(rounds=st.lists(CHANGES, min_size=1, max_size=3), waits=st.booleans())
def test_an_oracle_scores_what_the_files_show_whatever_was_done_to_them(
    layout: str, rounds: list[list[tuple[str, int, int, int]]], waits: bool
) -> None:
    # Ten ticks of a clock that counts in hundredths; two seconds would take minutes.
    young = mock.patch.object(files, "YOUNG_NANOSECONDS", 10**8)
    with young, tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder), layout)
        seen: dict[str, str] = {}
        for changes in [[], *rounds]:
            for what, image, label, variant in changes:
                name = copy.names[image]
                if what == "touch":
                    copy.touch(name)
                else:
                    is_kept = what == "change, keep the time"
                    copy.change(name, label, variant, keep_time=is_kept)
            if waits:
                time.sleep(0.11)
            found = {copy.measured(keeps=keeps) for keeps in (True, True, False)}
            assert len(found) == 1
            ((fingerprint, right),) = found
            assert right == copy.right()
            assert seen.setdefault(str(copy.shown), fingerprint) == fingerprint
