"""Make the pictures of the documents: `python -m tools.pictures`, or `tox -e pictures`.

Each run is a real one of the embedded release: as it is, with one published digit
changed, and with the Pillow of today after one with an earlier one. Needs chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

from repro.published import EMBEDDED

ROOT = Path(__file__).parent.parent
#: Of a terminal, and of a picture of the page, in characters and in pixels.
COLUMNS, WIDTH, HEIGHT = 100, 1000, 1000
#: What GitHub loads at once, with the rest of a document.
BYTES = 60_000
EARLIER = "pillow==11.0.0"
#: A number of the release, and what a slip of the pen makes of it.
DIGIT = 'top1 = "86.40"', 'top1 = "84.60"'

_SHADES = {"31": "#b3261e", "32": "#0a6e4e", "33": "#7a5200", "36": "#0b57a4"}
_SEQUENCE = re.compile(r"\x1b\[([\d;]*)m")


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs/pictures")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        release = work / "release"
        shutil.copytree(EMBEDDED, release)
        earlier = _earlier(work / "earlier")
        _run(work, "earlier", [str(earlier)])
        _run(work, "upgrade", [], "--repro-baseline=1")
        said = _run(work, "green", [])
        (folder / "terminal.svg").write_text(drawn(said), encoding="utf-8")
        table = release / "references.toml"
        text = table.read_text(encoding="utf-8")
        table.write_text(text.replace(*DIGIT, 1), encoding="utf-8")
        said = _run(work, "digit", [])
        (folder / "terminal-digit.svg").write_text(drawn(said), encoding="utf-8")
        for name in ("green", "digit", "upgrade"):
            _photograph(work / f"{name}.html", folder / f"{name}.png")
    for file in sorted(folder.iterdir()):
        size = file.stat().st_size
        print(f"{file}: {size:,} bytes")
        if size > BYTES:
            raise SystemExit(f"{file} has more than {BYTES:,} bytes")


def _earlier(folder: Path) -> Path:
    """Install an earlier Pillow into a folder of its own."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q"]
    place = ["--python", sys.executable, "--target", str(folder)]
    subprocess.run([*uv, *place, EARLIER], check=True)
    return folder


def _run(work: Path, name: str, before: Sequence[str], *options: str) -> str:
    """Run the release's tests and give what the terminal shows, with its colours."""
    command = [
        *(sys.executable, "-m", "pytest", "tests/reproduction", "--color=yes"),
        *("-p", "no:cacheprovider", "-p", "no:randomly"),
        *(f"--repro-expected={work / 'release'}", f"--repro-ledger={work / 'ledger'}"),
        *(f"--repro-report={work / name}.html", *options),
    ]
    path = os.pathsep.join(filter(None, [*before, os.environ.get("PYTHONPATH")]))
    wanted = {"COLUMNS": str(COLUMNS), "PYTHONPATH": path, "TERM": "xterm"}
    # In CI pytest does not fit its last lines to the width.
    kept = {n: v for n, v in os.environ.items() if n not in {"CI", "BUILD_NUMBER"}}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=kept | wanted,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout.replace(str(work), "~").replace(str(ROOT), ".")


def drawn(said: str) -> str:
    """Draw the last part of what a terminal shows, from the table on."""
    lines = said.rstrip().splitlines()
    table = [n for n, line in enumerate(lines) if "published and measured" in line]
    shown = lines[table[-1] :]
    height = 18 * len(shown) + 20
    width = round(8.43 * COLUMNS) + 24
    body = "\n".join(
        f'<text x="12" y="{18 * number + 25}">{"".join(_coloured(line))}</text>'
        for number, line in enumerate(shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" '
        'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">\n'
        f"<title>The end of a run in a terminal of {COLUMNS} columns</title>\n"
        '<rect width="100%" height="100%" rx="6" fill="#fff" stroke="#d9dde2"/>\n'
        f'<g fill="#1a1d21">\n{body}\n</g>\n</svg>\n'
    )


def _coloured(line: str) -> Iterator[str]:
    """Yield the parts of a line as SVG, each in its colour."""
    codes: list[str] = []
    for place, part in enumerate(_SEQUENCE.split(line)):
        if place % 2:
            codes = [*codes, *part.split(";")] if part.strip("0") else []
        elif part:
            style = "".join(
                [f' fill="{_SHADES[c]}"' for c in codes if c in _SHADES][-1:]
                + [' font-weight="bold"'] * ("1" in codes)
                + [' opacity="0.7"'] * ("2" in codes)
            )
            # Some programs that show SVG take several spaces for one.
            text = escape(part).replace(" ", "\N{NO-BREAK SPACE}")
            yield f"<tspan{style}>{text}</tspan>" if style else text


def _photograph(page: Path, file: Path) -> None:
    """Photograph the top of a page, in as many colours as fit."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium here (Debian: apt-get install chromium)")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    size = f"--window-size={WIDTH},{HEIGHT}"
    command = [chromium, *options, size, f"--screenshot={file}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(file) as found:
        # A palette is a third of the bytes, and keeps the lines of the grid.
        small = found.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


if __name__ == "__main__":
    main()
