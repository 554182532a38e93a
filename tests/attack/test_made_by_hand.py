"""Small files that somebody made to be large, deep or elsewhere when they are read."""

from __future__ import annotations

import io
import struct
import tarfile
from typing import Any

import pytest
from attack.attack import MEMORY, Attack, limited_memory
from attack.formats import _below_data
from attack.sound import CHECK, NUMBERS, TOML, stores

from ..importing.tables import RELEASE

TABLES = {
    "spans": "<table><tr>"
    + '<td colspan="1000" rowspan="65534">1</td>' * 500
    + "</tr></table>",
    "spans of many rows": "<table>"
    + ("<tr>" + '<td colspan="999" rowspan="999">1</td>' * 20 + "</tr>") * 500
    + "</table>",
    "columns": ",".join(["a"] * 300_000) + "\n" + ",".join(["1"] * 300_000),
    "columns of LaTeX": r"\begin{tabular}{cc}"
    + r"\multicolumn{1000}{c}{1} & " * 3000
    + r"\\ \end{tabular}",
    "groups of LaTeX": r"\begin{tabular}{cc}a & b\\ "
    + r"\textbf{" * 10_000
    + "1"
    + "}" * 10_000
    + r" & 2\\ \end{tabular}",
    "entities": '<!DOCTYPE a [<!ENTITY l0 "lol">'
    + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    + "]><table><tr><td>&l11;</td></tr></table>",
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_is_read_or_refused_at_once(what: str) -> None:
    asked = ("import", "table", "table", "--source=paper", "-o", "release", "--check")
    files = {
        "table": TABLES[what].encode(),
        "release/release.toml": RELEASE.encode(),
    }
    with limited_memory(MEMORY):
        assert Attack("tables", asked, files).shortcoming() == ""


def packed(name: str, content: bytes, **entry: Any) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each, said in ((name, content), ("a.cls", b"0")):
            member = tarfile.TarInfo(each)
            member.size = len(said)
            if each == name:
                for field, value in entry.items():
                    setattr(member, field, value)
            tar.addfile(member, io.BytesIO(said))
    return stream.getvalue()


SPARSE = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.realsize": "99999999999999",
    "GNU.sparse.name": "a.jpg",
}
TARS = {
    "above": packed("../../a.jpg", b"abc"),
    "a link": packed("a.jpg", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "sparse": packed("a.jpg", b"3\n1\n2\n", pax_headers=SPARSE),
    "a long name": packed("a.jpg", b"abc", pax_headers={"path": "x" * 5_000_000}),
    "a name that a terminal obeys": packed("\x1b[31m\u202e.jpg", b"abc"),
    "a label without end": packed("a.json", b"[" * 200_000),
}


@pytest.mark.parametrize("what", TARS)
def test_a_shard_is_read_or_refused_at_once(what: str) -> None:
    classes = ("n01440764", "n01443537", "n02100735", "n02119789")
    asked = (*CHECK.split(), "--bytes", *NUMBERS)
    files = _below_data({"val-0000.tar": TARS[what]}, classes, 12)
    with limited_memory(MEMORY):
        assert Attack("shards", asked, files).shortcoming() == ""


def test_a_header_of_safetensors_that_is_nested_without_end_is_refused() -> None:
    header = b'{"a":' + b"[" * 900_000
    content = struct.pack("<Q", len(header)) + header
    asked = ("inspect", "w.safetensors", *NUMBERS)
    files = {"w.safetensors": content, **TOML}
    with limited_memory(MEMORY):
        assert Attack("weights", asked, files).shortcoming() == ""


DEEP = b'{"x":' + b"[" * 100_000


@pytest.mark.parametrize("file", ["store.json", "0000.json"])
@pytest.mark.parametrize("command", ["list", "check"])
def test_a_cache_that_is_nested_without_end_is_left_out(
    file: str, command: str
) -> None:
    files = {name: DEEP if name.endswith(file) else c for name, c in stores().items()}
    assert DEEP in files.values()
    assert Attack("caches", ("cache", command), files).shortcoming() == ""
