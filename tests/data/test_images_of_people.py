"""Images as people have them: what is read, and what is said of what is not."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from repro.data.dataset import index_dataset
from repro.errors import ReproError
from repro.published import DatasetSpec

CLASSES = ("cat", "dog", "eel")
SPEC = DatasetSpec(
    id="animals", title="Animals", folder="val", classes=CLASSES, images=6
)
PIXELS = np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3)
LABELS = [0, 1, 2, 0, 1, 2]
Make = Callable[[Path], object]


def encoded(number: int, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS[number]).save(stream, form)
    return stream.getvalue()


def folders(data: Path, suffix: str = ".png", form: str = "PNG") -> None:
    for number, label in enumerate(LABELS):
        file = data / "val" / CLASSES[label] / f"{number}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(number, form))


def listed(text: str, name: str = "labels.csv") -> Make:
    """Flat images with a table; `{n}`, `{c}` are number and class of a line."""

    def make(data: Path) -> None:
        (data / "val").mkdir()
        for number in range(6):
            (data / "val" / f"im_{number}.png").write_bytes(encoded(number))
        head, _, line = text.rpartition("\n")
        rows = [line.format(n=n, c=CLASSES[at]) for n, at in enumerate(LABELS)]
        (data / "val" / name).write_text("\n".join([*head.splitlines(), *rows, ""]))

    return make


def arrays(**changed: Any) -> Make:
    def make(data: Path) -> None:
        (data / "val").mkdir()
        given: dict[str, Any] = {"x_test": PIXELS, "y_test": np.array(LABELS)}
        np.savez(data / "val" / "a.npz", **(given | changed))

    return make


def parquet(labels: list[Any]) -> Make:
    def make(data: Path) -> None:
        (data / "val").mkdir()
        images = [{"bytes": encoded(n), "path": f"{n}.png"} for n in range(6)]
        file = data / "val" / "validation-00000-of-00001.parquet"
        pq.write_table(pa.table({"image": images, "label": labels}), file)

    return make


def packed(data: Path) -> None:
    folders(data)
    shutil.make_archive(str(data / "val"), "zip", data / "val")
    shutil.rmtree(data / "val")


READ: dict[str, Make] = {
    "class folders": folders,
    "suffixes of cameras": lambda data: folders(data, ".JPG", "JPEG"),
    "a heading that is no word of ours": listed("id,breed\nim_{n},{c}"),
    "paths from above the folder": listed("path,class\nval/im_{n}.png,{c}"),
    "semicolons": listed("filename;label\nim_{n}.png;{c}"),
    "as the Hub's image folders": listed("file_name,label\nim_{n}.png,{c}", "m.csv"),
    "labels in a column": arrays(y_test=np.array(LABELS)[:, None]),
    "channels first": arrays(x_test=PIXELS.transpose(0, 3, 1, 2)),
    "parquet": parquet(LABELS),
    "parquet with names": parquet([CLASSES[label] for label in LABELS]),
}


@pytest.mark.parametrize("name", READ)
def test_what_people_have_is_read(name: str, tmp_path: Path) -> None:
    READ[name](tmp_path)
    dataset = index_dataset(SPEC, tmp_path)
    assert sorted(dataset.labels) == sorted(LABELS)


SAID: dict[str, tuple[Make, str]] = {
    "another format": (
        lambda data: folders(data, ".gif", "GIF"),
        "6 files there end in .gif, and images in .jpg, ",
    ),
    "an archive": (packed, "does not exist, but val.zip is there: unpack it"),
    "floats": (arrays(x_test=PIXELS / 255), "a.npz: images are float64 of shape"),
    "four channels": (
        arrays(x_test=np.concatenate([PIXELS, PIXELS[..., :1]], -1)),
        "a.npz: images are of shape [6, 4, 4, 4], which does not tell",
    ),
    "one of n": (arrays(y_test=np.eye(3)[LABELS]), "a.npz: labels are float64"),
    "no label": (parquet([0, 1, None, 0, 1, 2]), "row 2 has no label"),
    "hidden labels": (parquet([-1] * 6), "as test sets have whose labels are hidden"),
    "labels from one": (parquet([1, 2, 3] * 2), "not known in which order they number"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_not_read_is_said(name: str, tmp_path: Path) -> None:
    make, said = SAID[name]
    make(tmp_path)
    with pytest.raises(ReproError) as raised:
        index_dataset(SPEC, tmp_path)
    assert said in str(raised.value)
    assert len(str(raised.value)) <= 500
