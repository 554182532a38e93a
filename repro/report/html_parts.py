"""Parts of the page: colours and signs, small pictures, names and links."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

from markupsafe import Markup

from repro.claims.result import ClaimResult, ClaimVerdict
from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report.report import Report

_SIGNS = {
    Verdict.REPRODUCED: "✓",
    Verdict.BELOW: "▼",
    Verdict.ABOVE: "▲",
    Verdict.FAILED: "✗",
}


def tone(result: CaseResult) -> str:
    """Give the colour of a case: good, bad, odd or plain."""
    if result.is_failure:
        return "bad"
    tones = {Verdict.REPRODUCED: "good", Verdict.UNREFERENCED: "plain"}
    return tones.get(result.verdict, "odd")


def tone_of_all(report: Report) -> str:
    """Give the colour of a run: odd where something that has numbers is not settled."""
    results, claims = report.results, report.claims
    if any(one.is_failure for one in results) or any(c.is_surprise for c in claims):
        return "bad"
    settled = (r.verdict.is_as_expected or tone(r) == "plain" for r in results)
    return "good" if all(settled) else "odd"


def sign(result: CaseResult) -> str:
    """Give a sign beside the colour of a verdict, for those who cannot see it."""
    return _SIGNS.get(result.verdict, "○")


def tone_of_claim(result: ClaimResult) -> str:
    """Give the colour of a claim."""
    if result.is_surprise:
        return "bad"
    if result.is_as_expected:
        return "good"
    return "odd" if result.verdict is ClaimVerdict.MISSING else "plain"


def sign_of_claim(result: ClaimResult) -> str:
    """Give the sign of a claim."""
    return {"good": "✓", "bad": "✗"}.get(tone_of_claim(result), "○")


#: Pixels of the longer side: enough to see what is on a photograph, in about 2 kB.
SIDE = 96


def thumbnail(folder: Path, name: str) -> str:
    """Give the address of a small copy of an image, which holds it (`data:`).

    Args:
        folder: that the image is in; nothing outside of it is read.
        name: of the image, relative to the folder.

    Returns:
        The address; empty where the folder has no such image, or one that Pillow
        cannot read.
    """
    from PIL import Image

    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        return ""
    written = io.BytesIO()
    try:
        with Image.open(file) as image:
            # Decodes a large JPEG at an eighth of its size.
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(written, "JPEG", quality=70)
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"


def breakable(text: str) -> Markup:
    """Let names be broken between their words, and a number nowhere."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_@:])(?=\w)", text))


def anchor(name: str) -> str:
    """Name the place of a case on the page; it is the same in every run."""
    return "case-" + "_".join(name.split())


def link(url: str) -> str:
    """Give where a link may lead; text of a release must not run code."""
    return url if url.startswith(("https://", "http://")) else ""
