"""Write the lists of file names below `repro/published/lists`.

    python tools/make_file_list.py FOLDER

FOLDER is `data/datasets` of https://github.com/modestyachts/ImageNetV2 at the commit
below. The `image_filenames` of a file there are pairs of a name and a WordNet id. In
the released ImageNet-V2 a folder is named by the place of its id in the sorted list.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from repro.published.known_files import LISTS, FileList, list_text, make_list

REPOSITORY = "https://github.com/modestyachts/ImageNetV2"
COMMIT = "0b0c3fe89058e4c7ee2348938b3f4f706a931bf3"

VALIDATION = r"ILSVRC2012_val_\d{8}"
V2 = "[0-9a-f]{40}"
SETS = {
    "imagenet-val": (
        "imagenet-validation-original",
        "ImageNet-1k validation (ILSVRC 2012)",
        VALIDATION,
    ),
    "imagenet-v2-matched-frequency": (
        "imagenetv2-b-33",
        "ImageNet-V2, matched frequency",
        V2,
    ),
    "imagenet-v2-threshold-0.7": ("imagenetv2-a-44", "ImageNet-V2, threshold 0.7", V2),
    "imagenet-v2-top-images": ("imagenetv2-c-12", "ImageNet-V2, top images", V2),
}


def read_set(folder: Path, file: str, title: str, form: str) -> FileList:
    """Read one description; names without suffix get the one of the release."""
    pairs = json.loads((folder / f"{file}.json").read_text("utf-8"))["image_filenames"]
    order = sorted({class_ for _, class_ in pairs})
    label = {name: str(number) for number, name in enumerate(order)}
    images = sorted(
        (order.index(class_), label[class_], f"{name}.jpeg")
        if form == V2
        else (order.index(class_), class_, name)
        for name, class_ in pairs
    )
    source = f"{REPOSITORY}/blob/{COMMIT}/data/datasets/{file}.json"
    return make_list(title, source, form, (image[1:] for image in images))


def main() -> None:
    """Write every list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, (file, title, form) in SETS.items():
        files = read_set(folder, file, title, form)
        (LISTS / f"{name}.txt").write_text(list_text(files), encoding="utf-8")


if __name__ == "__main__":
    main()
