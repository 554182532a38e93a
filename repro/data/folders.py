"""Images in folders, one for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.data.class_names import Named, class_from_files, name_classes
from repro.data.examination import class_fault
from repro.data.halfway import folder_faults
from repro.data.label_tables import find_table
from repro.data.listing import (
    Listing,
    Reader,
    class_folders,
    image_names,
    images_below,
    subfolders,
)
from repro.data.validation import devkit_beside
from repro.errors import DatasetError
from repro.published import DatasetSpec


class FolderReader(Reader):
    """`<class>/<image>`, the label being the place of the class in the list of classes.

    A folder that nothing else takes is one of these, and what it lacks is said.
    """

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder of the dataset, or one that has most of its classes."""
        root = data / spec.folder
        if root.is_dir():
            return root
        if not data.is_dir():
            return None
        found = len(class_folders(spec, data)) or len(_named(spec, data, 1).classes)
        return data if 2 * found > len(spec.classes) else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images of the classes that have a folder."""
        named = _named(spec, root)
        folders = {class_: folder for folder, class_ in named.classes.items()}
        images = {
            class_: sorted(
                images_below(root / folder, class_, placed=folder != class_),
                key=lambda image: image.name,
            )
            for class_ in spec.classes
            if (folder := folders.get(class_)) is not None
        }
        assumed = (named.assumed,) if named.assumed else ()
        return Listing(root, "in class folders", images, assumed)

    def refusal(
        self, spec: DatasetSpec, root: Path, known: Sequence[DatasetSpec], *, part: bool
    ) -> str:
        """Say how the folders differ from the classes."""
        return class_fault(spec, root, _named(spec, root), known, part=part)

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield what shows that sorting or copying stopped half-way."""
        return folder_faults(spec, listing)


def _named(spec: DatasetSpec, root: Path, least: float = 0) -> Named:
    """Find out which class each folder is of.

    Args:
        spec: the dataset.
        root: where the folders lie.
        least: which part of the classes must have a folder before those are listed.

    Raises:
        DatasetError: a folder, or a table of labels, cannot be read.
    """
    folders = subfolders(root)
    named = name_classes(spec, folders)
    # Nothing is looked for where all is as usual.
    if named.classes or not folders:
        return named
    if (table := find_table(spec, root)) and (told := table.of_folders(folders)):
        found = name_classes(spec, folders, told)
        return Named(found.classes, found.unknown, f"classes told by {table.source}")
    if len(folders) < least * len(spec.classes):
        return named
    devkit = devkit_beside(root, root)

    def class_of(name: str) -> str:
        try:
            return devkit.class_of(name) if devkit else ""
        except DatasetError:
            return ""

    files = {folder: image_names(root, [folder]) for folder in folders}
    return class_from_files(spec, files, class_of if devkit else None)
