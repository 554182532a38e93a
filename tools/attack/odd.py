"""Texts, weights and images that are odd: sound in their way, and seldom met."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .attack import RAN
from .written import TAG

#: What some program takes for more than text.
ODD_TEXTS = st.sampled_from(
    [
        f"<{TAG}>",
        f'"><{TAG}>',
        f"</script><{TAG}>",
        f"]]><{TAG}/>",
        f"--><{TAG}>",
        f"' {TAG}=1 a='",
        f"[a](javascript:alert(1)) <{TAG}>",
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "|a|b|\n|-|-|",
        "```\n# A",
        "::error::a",
        "##[error]a",
        "$(touch ran)",
        "`touch ran`",
        "{0.__class__}",
        "%n%n%s",
        "\x1b]0;a\x07",
        "\u202eabc\u2066",
        "\ufffe\uffff",
        "\U000e0041",
        "a" * 300_000,
        "a b " * 50_000,
        "\u0301" * 5000,
    ]
)


class _Runs:
    """Unpickled, it writes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(RAN),)


ODD = (
    *("nan", "inf", "-inf", "one nan", "huge", "zero", "float64", "int64", "complex"),
    *("empty", "shared", "strided", "bfloat16", "bool", "hostile", "sparse", "half"),
    *("numbers", "more", "long names", "quantised", "expanded"),
)


@cache
def odd_weights(content: bytes, what: str) -> bytes:  # noqa: PLR0912
    """Write a checkpoint whose tensors are odd in some way."""
    import torch

    state: Any = torch.load(io.BytesIO(content), weights_only=True)
    state = {n: t.float() for n, t in dict(state.get("state_dict", state)).items()}
    first = next(n for n, t in state.items() if t.dim() > 1)
    tensor = state[first]
    filled = {"nan": "nan", "inf": "inf", "-inf": "-inf", "huge": "3e38", "zero": "0"}
    types = {"float64", "int64", "bfloat16", "bool", "half"}
    if what in filled:
        state = {n: torch.full_like(t, float(filled[what])) for n, t in state.items()}
    elif what in types:
        state = {n: t.to(getattr(torch, what)) for n, t in state.items()}
    elif what == "one nan":
        tensor.view(-1)[0] = float("nan")
    elif what == "complex":
        state[first] = tensor.to(torch.complex64)
    elif what == "empty":
        state[first] = tensor[:0]
    elif what == "shared":
        every = torch.zeros(max(t.numel() for t in state.values()))
        state = {n: every[: t.numel()].view(t.shape) for n, t in state.items()}
    elif what == "strided":
        state = {
            n: t.t().contiguous().t() if t.dim() == 2 else t for n, t in state.items()
        }
    elif what == "expanded":
        state[first] = torch.zeros(1).expand(10**6, 10**6)
    elif what == "hostile":
        state["a"] = _Runs()
    elif what == "sparse":
        state[first] = torch.sparse_coo_tensor(
            torch.tensor([[0]]), torch.tensor([1.0]), (2**40,), check_invariants=False
        )
    elif what == "numbers":
        state |= {"a": 10**400, "b": float("nan"), "c": "\x1b[31m"}
    elif what == "more":
        state |= {f"x{n}": torch.zeros(1) for n in range(2000)}
    elif what == "long names":
        state = {f"{n}{'x' * 5000}\x1b": t for n, t in state.items()}
    elif what == "quantised":
        state[first] = torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


@cache
def odd_images() -> dict[str, bytes]:
    """Write images that few people have, or that say more than they hold."""
    from PIL import Image

    def saved(image: Any, form: str, **how: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, form, **how)
        return stream.getvalue()

    rotated = Image.Exif()
    rotated[0x0112] = 6
    plain = Image.new("RGB", (40, 60), (200, 100, 0))
    frames = [Image.new("P", (30, 30), n) for n in range(50)]
    large = saved(Image.new("1", (20_000, 20_000)), "PNG")
    return {
        "1x1": saved(Image.new("RGB", (1, 1)), "PNG"),
        "wide": saved(Image.new("L", (65_500, 1)), "JPEG"),
        "high": saved(Image.new("L", (1, 65_500)), "JPEG"),
        "cmyk": saved(Image.new("CMYK", (40, 60)), "JPEG"),
        "16 bit": saved(Image.new("I;16", (40, 60), 40_000), "PNG"),
        "float": saved(Image.new("F", (40, 60), float("nan")), "TIFF"),
        "animated": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "rotated": saved(plain, "JPEG", exif=rotated),
        "palette": saved(plain.convert("P"), "PNG", transparency=0),
        "alpha": saved(plain.convert("RGBA"), "PNG"),
        "cut": saved(plain, "JPEG")[:300],
        "large": large,
        "larger": _with_size(large, 2**31 - 1),
        "text": saved(plain, "PNG")[:33] + _chunk(b"zTXt", zlib.compress(bytes(2**26))),
        "empty": b"",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ran) (w) file\n",
    }


def _with_size(png: bytes, size: int) -> bytes:
    head = struct.pack(">II", size, size) + png[24:29]
    return png[:8] + _chunk(b"IHDR", head) + png[33:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    sealed = kind + content
    return (
        struct.pack(">I", len(content)) + sealed + struct.pack(">I", zlib.crc32(sealed))
    )
