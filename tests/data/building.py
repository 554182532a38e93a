"""Build a pixel store in a process of its own, noting which images it decodes.

    python building.py DATA CACHE LOG GEOMETRY [OTHER ...]

LOG gets a line for each decoded image. The images are those of
`stand_ins.photograph_dataset` that lie in DATA already.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PIL import Image

from repro.data import geometry as geometry_module
from repro.data.dataset import index_dataset
from repro.data.listing import ImageLocation
from repro.data.pixels import PixelStore
from repro.published import parse_geometry
from tests.stand_ins import dataset_spec


def main(data: Path, cache: Path, log: Path, geometries: list[str]) -> None:
    """Build a store of the first geometry, and of the others from the same decode."""
    decode = geometry_module.decode
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def decode_and_note(path: ImageLocation, digest: str | None = None) -> Image.Image:
        os.write(written, f"{path}\n".encode())
        return decode(path, digest)

    geometry_module.decode = decode_and_note
    classes = sorted(folder.name for folder in (data / "val").iterdir())
    dataset = index_dataset(dataset_spec(classes, len(classes)), data, part=True)
    wanted, *others = map(parse_geometry, geometries)
    store = PixelStore(dataset, wanted, cache, threads=2, others=others)
    for _ in store.iterate(range(len(dataset.strata))):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
