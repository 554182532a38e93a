"""Which class each line of a table says, whatever its form, and which table counts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repro.data import label_tables
from repro.data.label_tables import (
    LARGEST,
    find_table,
    read_table,
    table_of,
    understand_labels,
    understand_named_labels,
)
from repro.errors import DatasetError
from repro.published import DatasetSpec

SPEC = DatasetSpec(
    id="own", title="Own", folder="val", classes=("cat", "dog", "fox"), images=6
)
NUMBERED = msgspec.structs.replace(SPEC, classes=("2", "1", "0"))


def rows(folder: Path, text: str, name: str = "labels.csv") -> dict[str, str]:
    file = folder / name
    file.write_bytes(text.encode())
    return read_table(SPEC, file).rows


TABLES: dict[str, str] = {
    "no heading": "a,cat\nb,dog\n",
    "a heading": "file,label\na,cat\nb,dog\n",
    "the class first": "label,file\ncat,a\ndog,b\n",
    "one heading of two, on the left": "id,breed\na,cat\nb,dog\n",
    "one heading of two, on the right": "breed,id\ncat,a\ndog,b\n",
    "the surest file": "name,filename,label\n1,a,cat\n2,b,dog\n",
    "the surest file of two columns": "id,filename\ncat,a\ndog,b\n",
    "the surest class": "file,label,wnid\na,0,cat\nb,0,dog\n",
    "more columns": "file,width,label,height\na,1,cat,2\nb,1,dog,2\n",
    "the suffix says the file": "1,x.png,cat\n2,y.png,dog\n",
    "the file last of four": "1,2,cat,x.png\n1,2,dog,y.png\n",
    "the file last of three": "1,cat,x.png\n2,dog,y.png\n",
    "the file last of two": "cat,x.png\ndog,y.png\n",
    "semicolons": "a;cat\nb;dog\n",
    "tabs before others": "x;1\tcat\na b\tdog\n",
    "the first line parts all": "x;cat\na,b;dog\n",
    "blanks around": " a , cat \n b , dog \n",
    "the same line twice": "a,cat\nb,dog\na,cat\n",
    "a mark of the order of bytes": "\ufeffa,cat\nb,dog\n",
    "no line at the end, and empty ones": "a,cat\n\n\nb,dog",
    "Windows": "a,cat\r\nb,dog\r\n",
    "here": "./a,cat\n./b,dog\n",
    "a column a class": "file,cat,dog\na,1,0\nb,0,1\n",
    "a column a class, the file in the middle": "cat,file,dog\n1,a,0\n0,b,1\n",
    "a column a class, the file last": "cat,dog,file\n1,0,a\n0,1,b\n",
    "a column a class, of a file without a word": "what,cat,dog\na,1.0,0.0\nb,0,1.\n",
}
NAMES = {
    "the suffix says the file": ("x.png", "y.png"),
    "the file last of four": ("x.png", "y.png"),
    "the file last of three": ("x.png", "y.png"),
    "the file last of two": ("x.png", "y.png"),
    "tabs before others": ("x;1", "a b"),
    "the first line parts all": ("x", "a,b"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_the_class_of_each_file(name: str, tmp_path: Path) -> None:
    first, second = NAMES.get(name, ("a", "b"))
    assert rows(tmp_path, TABLES[name]) == {first: "cat", second: "dog"}


def test_a_table_of_columns_is_one_line_at_least(tmp_path: Path) -> None:
    # Without a line below it, what looks like headings is a line of its own.
    assert rows(tmp_path, "a,cat,dog\n") == {"a": "cat"}
    assert rows(tmp_path, "") == {}
    assert rows(tmp_path, "file,label\n") == {}
    assert rows(tmp_path, "", "labels.jsonl") == {}


def test_a_line_that_is_nested_without_end_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="as a table of labels: it is nested too de"):
        rows(tmp_path, '{"file":' + "[" * 100_000, "labels.jsonl")


def test_lines_of_several_lengths_are_no_columns_of_classes(tmp_path: Path) -> None:
    for more in ("a,1\n", "a,1,0,0\n"):
        with pytest.raises(DatasetError, match="has the label '1'"):
            rows(tmp_path, f"x,cat,dog\nb,1,0\n{more}")


def test_three_hundred_classes_have_a_column_each(tmp_path: Path) -> None:
    classes = tuple(f"c{number}" for number in range(300))
    of = [number * 7 % 300 for number in range(300)]
    lines = [
        ",".join([f"f{n}", *("1" if at == one else "0" for at in range(300))])
        for n, one in enumerate(of)
    ]
    file = tmp_path / "labels.csv"
    file.write_text("\n".join((",".join(("file", *classes)), *lines)))
    table = read_table(msgspec.structs.replace(SPEC, classes=classes), file)
    assert table.rows == {f"f{n}": classes[one] for n, one in enumerate(of)}


REFUSED: dict[str, tuple[str, str]] = {
    "one column": ("a\n", "has a line 'a'; write lines <file>,<class>"),
    "a line too short": ("file,x,label\na,1,cat\nb,1\n", "has a line 'b,1'"),
    "no file": ("a,cat\n ,dog\n", "has a line ' ,dog'"),
    "two classes": ("a,cat\na,dog\n", "two classes of 'a', 'cat' and 'dog'; remove"),
    "two classes, turned": ("a,dog\na,cat\n", "two classes of 'a', 'dog' and 'cat'"),
    "no mark": ("file,cat,dog\na,0,0\n", "marks 0 classes of 'a' with 1"),
    "two marks": ("file,cat,dog\na,1,1\n", "marks 2 classes of 'a' with 1"),
    "no class": ("a,cat\nb,cow\n", "has the label 'cow', which is no class of Own; "),
    "called": ("a,cow\n", "its classes are called as cat is"),
    "from one": ("a,1\nb,3\n", "has labels from 1 to 3, and it is not known"),
    "write names": ("a,1\nb,3\n", "write names of classes such as cat in their place"),
    "beyond the last": ("a,0\nb,3\n", "has labels from 0 to 3, and it is not known"),
    "no text": ("\udcff", "cannot be read as a table of labels"),
    "a field without end": (f'a,"{"x" * 140_000}', "field larger than field limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused(name: str, tmp_path: Path) -> None:
    text, said = REFUSED[name]
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DatasetError) as caught:
        read_table(SPEC, file)
    assert said in str(caught.value)


def test_a_table_is_no_larger_than_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a,cat\n"
    monkeypatch.setattr(label_tables, "LARGEST", len(text))
    assert rows(tmp_path, text) == {"a": "cat"}
    with pytest.raises(DatasetError, match="is too large for a table of labels"):
        rows(tmp_path, f"{text}\n")
    # ImageNet's training images have a table of some 60 MB.
    assert 2**27 < LARGEST < 2**28


def test_numbers_are_places_in_the_list_of_classes_if_one_is_zero() -> None:
    places, said = understand_labels(SPEC, Path("x"), ["0", "2"])
    assert places == {"0": "cat", "2": "fox"}
    assert said == "labels of x taken as places in the list of classes, from 0"
    counted = {"counted_from_zero": True}
    assert understand_labels(SPEC, Path("x"), ["2"], **counted)[0] == {"2": "fox"}
    with pytest.raises(DatasetError, match="has labels from 3 to 3"):
        understand_labels(SPEC, Path("x"), ["3"], **counted)


def test_classes_that_are_numbers_are_named_unless_they_may_be_places() -> None:
    named = {"2": "2", "0": "0"}
    assert understand_labels(NUMBERED, Path("x"), ["2", "0"]) == (named, "")
    counted = {"counted_from_zero": True}
    for labels, which in (
        (["1", "0", "2"], "0 is the place of 2"),
        (["1", "2", "0"], "2 is the place of 0"),
    ):
        with pytest.raises(DatasetError, match=which):
            understand_labels(NUMBERED, Path("x"), labels, **counted)
    # The middle one is at the place of its own number.
    assert understand_labels(NUMBERED, Path("x"), ["1"], **counted) == ({"1": "1"}, "")
    tens = msgspec.structs.replace(SPEC, classes=("10", "20", "30"))
    places, said = understand_labels(tens, Path("x"), ["0", "1"], **counted)
    assert places == {"0": "10", "1": "20"}
    assert "taken as places" in said


def test_names_beside_labels_say_what_each_is() -> None:
    source, by = Path("x"), Path("names.txt")
    named = ("fox", "cat", "dog")
    assert understand_named_labels(SPEC, source, ["0", "2"], named, by) == (
        {"0": "fox", "2": "dog"},
        "in the order that names.txt names them",
    )
    places = "labels of x taken as places in the list of classes, from 0"
    found = understand_named_labels(SPEC, source, ["2"], (), by)
    assert found == ({"2": "fox"}, places)
    found = understand_named_labels(SPEC, source, ["fox"], named, by)
    assert found == ({"fox": "fox"}, "")
    with pytest.raises(
        DatasetError, match="names the label 2 '', which is no class of"
    ):
        understand_named_labels(SPEC, source, ["2"], named[:2], by)
    with pytest.raises(
        DatasetError, match=r"names the label 1 'cow', .*called as cat is"
    ):
        understand_named_labels(SPEC, source, ["1"], ("fox", "cow"), by)
    said = r"names.txt names labels 'ant' and so on, .*, such as cat; call the classes"
    with pytest.raises(DatasetError, match=said):
        understand_named_labels(SPEC, source, ["0"], ("ant", "bee"), by)
    # Names of classes that are numbers tell nothing of these.
    alike = msgspec.structs.replace(SPEC, classes=("0", "1"))
    found = understand_named_labels(alike, source, ["1"], ("ant", "bee"), by)
    assert found[0] == {"1": "1"}
    assert found[1].endswith("; names.txt names them 'ant' and so on")
    found = understand_named_labels(alike, source, ["1"], ("x" * 99, "bee"), by)
    assert found[1].endswith(f"names them '{'x' * 60}' and so on")
    assert understand_named_labels(alike, source, ["1"], (), by) == ({"1": "1"}, "")


def test_a_file_is_found_by_its_path_or_its_own_name_with_or_without_suffix(
    tmp_path: Path,
) -> None:
    rows(tmp_path, "a/b.png,cat\nc/d,dog\ne.png,fox\nf,cat\n")
    table = read_table(SPEC, tmp_path / "labels.csv")
    found = {
        name: table.class_of(name)
        for name in ("a/b.png", "c/d.png", "x/e.png", "x/f.png", "x/b.png", "g.png")
    }
    wanted = {"a/b.png": "cat", "c/d.png": "dog", "x/e.png": "fox", "x/f.png": "cat"}
    assert found == {**wanted, "x/b.png": None, "g.png": None}
    assert table.of_folders(["f", "g"]) == {"f": "cat"}


def found_rows(root: Path, text: str) -> dict[str, str]:
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text(text)
    table = find_table(SPEC, root)
    assert table is not None
    return table.rows


def test_paths_count_by_their_ends_where_these_tell_files_apart(
    tmp_path: Path,
) -> None:
    root = tmp_path / "val"
    apart = "/home/me/a.png,cat\nC:\\set\\b.png,dog\n"
    assert found_rows(root, apart) == {"a.png": "cat", "b.png": "dog"}
    # Two of one name lie in two folders, here and where the table was written.
    twice = "val/x/a.png,cat\nval/y/a.png,dog\n"
    assert found_rows(root, twice) == {"x/a.png": "cat", "y/a.png": "dog"}
    many = [f"val/x/{number}.png,cat" for number in range(300)]
    assert len(found_rows(root, "\n".join(many))) == 300
    assert "7.png" in found_rows(root, "\n".join(many))


#: Where a table may be, the first that counts first.
PLACES = [
    "val/labels.csv",
    "val/labels.tsv",
    "val/labels.jsonl",
    "val/metadata.csv",
    "val/LOC_val_solution.csv",
    "val/val_annotations.txt",
    "val.csv",
    "val_labels.csv",
    "labels.csv",
    "metadata.tsv",
    *(f"{'../' * up}LOC_val_solution.csv" for up in range(4)),
    "val.txt",
    "meta/val.txt",
]


def write_at(data: Path, place: str) -> Path:
    file = (data / place).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a.png cat\n")
    return file


def test_the_nearest_table_counts(tmp_path: Path) -> None:
    data = tmp_path / "a" / "b" / "c" / "d" / "e"
    root = data / "val"
    root.mkdir(parents=True)
    written = [write_at(data, place) for place in reversed(PLACES)]
    for file in written[::-1]:
        found = table_of(root)
        assert found is not None
        assert found.resolve() == file, (found, file)
        file.unlink()
    assert table_of(root) is None
    assert write_at(data, "../../../../LOC_val_solution.csv").is_file()
    assert table_of(root) is None


def test_a_table_that_may_be_of_others_is_none(tmp_path: Path) -> None:
    root = tmp_path / "set" / "images"
    for place in ("val.csv", "set.csv", "LOC_val_solution.csv", "images_x.csv"):
        write_at(root.parent, place)
    root.mkdir()
    assert table_of(root) is None
    annotations = write_at(root.parent, "set_annotations.txt")
    assert table_of(root) == annotations
    assert table_of(root.parent) == annotations
    other = root.with_name("pictures")
    other.mkdir()
    assert table_of(other) is None
    assert write_at(root, "x.csv") == table_of(root)
    write_at(root, "y.csv")
    assert table_of(root) == annotations
    annotations.unlink()
    assert table_of(root) is None
    assert write_at(root, "LOC_val_solution.csv").is_file()
    assert table_of(root) == root / "LOC_val_solution.csv"


@pytest.mark.parametrize(
    ("line", "is_one"),
    [("a.png cat\n", True), ("a.png\n", False), ("a.png cat dog\n", False)],
)
def test_a_text_beside_a_folder_is_a_table_of_two_columns(
    line: str, is_one: bool, tmp_path: Path
) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val.txt").write_text(line)
    assert (table_of(tmp_path / "val") is not None) == is_one
