"""Images in folders, one for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.data.checks import class_fault
from repro.data.halfway import folder_faults
from repro.data.listing import (
    Listing,
    Reader,
    class_folders,
    images_below,
    subfolders,
)
from repro.published import DatasetSpec


class FolderReader(Reader):
    """`<class>/<image>`, the label being the place of the name in the list of classes.

    A folder that nothing else takes is one of these, and what it lacks is said.
    """

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder of the dataset, or one that has most of its classes."""
        root = data / spec.folder
        if root.is_dir():
            return root
        is_it = data.is_dir() and 2 * len(class_folders(spec, data)) > len(spec.classes)
        return data if is_it else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images of the classes that have a folder."""
        present = set(subfolders(root))
        images = {
            name: sorted(images_below(root / name, name), key=lambda image: image.name)
            for name in spec.classes
            if name in present
        }
        return Listing(root, "in class folders", images)

    def refusal(
        self, spec: DatasetSpec, root: Path, known: Sequence[DatasetSpec], *, part: bool
    ) -> str:
        """Say how the folders differ from the classes."""
        return class_fault(spec, root, known, part=part)

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield what shows that sorting or copying stopped half-way."""
        return folder_faults(spec, listing)
