"""Sound input of each kind, as it is made, to be spoilt."""

from __future__ import annotations

import io
import shlex
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from hypothesis import assume
from hypothesis import strategies as st

from repro.data.pixels import PixelStore
from repro.published import parse_geometry
from tests.releases import SMALLEST
from tests.stand_ins import photograph_dataset

from .damage import TEXT

RELEASE: dict[str, Any] = {
    "schema": 1,
    **SMALLEST,
    "reference": [
        {
            "family": "supervised/real",
            "checkpoint": "1M",
            "dataset": "val",
            "protocol": "plain",
            "source": "paper",
            "top1": "50.580",
        }
    ],
}
NUMBERS = ("--expected", "numbers.toml")
TOML = {"numbers.toml": tomli_w.dumps(RELEASE).encode()}


def commands(*lines: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Choose one of these command lines."""
    return st.sampled_from([tuple(shlex.split(line)) for line in lines])


CHECK = "dataset check data --dataset val --cache none --jobs 1"


@st.composite
def file_names(draw: st.DrawFn) -> str:
    """Draw a name that a file below this folder can have."""
    name = draw(TEXT).replace("\0", "").strip("/")[:60]
    assume(name and not {"..", "."} & set(name.split("/")) and "//" not in name)
    return name


@cache
def weights_files() -> dict[str, bytes]:
    """Make weights files in each way."""
    import torch
    from safetensors.torch import save

    state = {"head.weight": torch.ones(3, 4), "head.bias": torch.zeros(3)}
    found: dict[str, bytes] = {"a.safetensors": save(state)}
    content = {"state_dict": state, "epoch": 3, "args": {"name": "x"}}
    for name, is_zip in (("a.pt", True), ("b.pt", False)):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=is_zip)
        found[name] = stream.getvalue()
    stream = io.BytesIO()
    np.savez(stream, weight=np.ones((3, 4)), bias=np.zeros(3))
    found["a.npz"] = stream.getvalue()
    return found


@cache
def photographs() -> dict[str, bytes]:
    """Make images of a dataset in class folders."""
    from PIL import Image

    random = np.random.default_rng(0)
    found = {}
    for number, (place, form) in enumerate(
        [("cat/a.jpg", "JPEG"), ("cat/b.png", "PNG"), ("dog/c.jpg", "JPEG")]
    ):
        pixels = random.integers(0, 255, (20 + number, 24, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, form)
        found[f"data/val/{place}"] = stream.getvalue()
    found["data/val/dog/d.jpg"] = found["data/val/cat/a.jpg"][::-1][::-1] + b"\0"
    return found


@cache
def stores() -> dict[str, bytes]:
    """Make a cache with decoded pixels."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        dataset = photograph_dataset(here / "photographs", per_class=2)
        geometry = parse_geometry("rgb|center_crop(16)")
        store = PixelStore(dataset, geometry, here / "cache")
        list(store.iterate(range(len(dataset.strata))))
        return {
            str(file.relative_to(here)): file.read_bytes()
            for file in sorted((here / "cache").rglob("*"))
            if file.is_file()
        }
