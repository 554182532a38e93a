"""The words of the format: what its tables share, what values and names may be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from repro.errors import ExpectedError
from repro.extensions import Extensions

#: What weights files are called; what they are is found out by their content. One that
#: ends with another stands before it.
WEIGHTS_SUFFIXES = (
    ".pth.tar",
    ".safetensors.index.json",
    ".pt",
    ".pth",
    ".safetensors",
    ".bin",
    ".th",
    ".ckpt",
    ".npz",
    ".jit",
    ".onnx",
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")

_PART = r"\w[\w.+-]{0,99}"
NAME = re.compile(_PART, re.ASCII)
PATH_NAME = re.compile(rf"{_PART}(/{_PART})*", re.ASCII)

#: Bytes of a file's name on most disks, and of a path that leaves room for a folder.
_NAME_BYTES, _PATH_BYTES = 255, 1000

SHA256 = re.compile(r"[0-9a-f]{64}")


def anchored(pattern: re.Pattern[str]) -> str:
    """Write a pattern that all of a text has to match as JSON Schema has them.

    Their letters, digits and _ are those of ASCII without a flag.
    """
    return f"^(?:{pattern.pattern})$"


def check_name(name: str, key: str = "the name") -> None:
    """Refuse a name that a case id, a file name or `pytest -k` cannot hold.

    Raises:
        ValueError: the message begins with `key` and says what a name is.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{key} {name!r} must begin with a letter (a-z, A-Z), a digit or _, "
            "followed by those and . + - only; at most 100 characters"
        )


def check_path_name(name: str) -> None:
    """Refuse what is not one or more names joined by `/`.

    Raises:
        ValueError: the message says what such a name is.
    """
    if not PATH_NAME.fullmatch(name) or len(name) > _PATH_BYTES:
        raise ValueError(
            f"the name {name!r} must be names joined by /, since it is a folder; each "
            "begins with a letter (a-z, A-Z), a digit or _, followed by those and "
            f". + - only, at most 100 characters, and {_PATH_BYTES:,} in all"
        )


def check_weights_name(key: str, name: str) -> None:
    """Refuse a file name that is no checkpoint's name with a suffix of weights.

    Raises:
        ValueError: the message begins with `key`.
    """
    stem, suffix = split_weights_name(name)
    if not suffix:
        raise ValueError(
            f"{key} holds {name!r}; a weights file ends with one of "
            f"{', '.join(WEIGHTS_SUFFIXES)}"
        )
    check_name(stem, f"{key} holds {name!r}, whose stem")


def is_weights_name(name: str) -> bool:
    """Whether a file can be a checkpoint of a release."""
    try:
        check_weights_name("the folder", name)
    except ValueError:
        return False
    return True


@lru_cache(4096)
def split_weights_name(name: str) -> tuple[str, str]:
    """Split the name of a weights file; the suffix of another file is empty."""
    suffix = next((s for s in WEIGHTS_SUFFIXES if name.endswith(s)), "")
    return name.removesuffix(suffix), suffix


def weights_suffixes(loader: str) -> tuple[str, ...]:
    """Give the suffixes of what a loader reads.

    Of a model that was exported too, both files may lie in one folder.
    """
    return tuple(s for s in WEIGHTS_SUFFIXES if (s == ".onnx") == (loader == "onnx"))


def list_weights(folder: Path, *, shards: bool = False) -> list[Path]:
    """List the weights files of a folder by name, hidden ones left out.

    Args:
        folder: where.
        shards: whether the files that an index is of count too.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(
        file
        for file in folder.iterdir()
        if (named := split_weights_name(file.name))[1]
        and not file.name.startswith(".")
        and (shards or not _SHARD.search(named[0]))
        and not file.is_dir()
    )


def check_below(key: str, path: str) -> None:
    """Refuse a path that leaves the folder it is relative to; empty means none.

    Raises:
        ValueError: the path is absolute or too long, holds `..` or a character of no
            file name.
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or not path.isprintable():
        raise ValueError(f"{key} is {path!r}; it must be a relative path, without '..'")
    if len(path.encode()) > _PATH_BYTES or any(map(_is_too_long, relative.parts)):
        raise ValueError(f"{key} is {path!r}, which is too long for a path")


def check_class_folders(key: str, names: Iterable[str]) -> None:
    """Refuse class names that are no folder's name or occur twice.

    Raises:
        ValueError: the message quotes the first such name.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{key} holds {name!r} {count} times; each is named once")
        is_printable = name.isprintable() and not _is_too_long(name)
        if name in {"", ".", ".."} or "/" in name or not is_printable:
            raise ValueError(f"{key} holds {name!r}, which cannot be a folder's name")


def _is_too_long(name: str) -> bool:
    return len(name.encode()) > _NAME_BYTES


Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]


def stated(**schema: Any) -> msgspec.Meta:
    """Say in the JSON Schema alone what a check says in words of its own."""
    return msgspec.Meta(extra_json_schema=schema)


Name = Annotated[str, stated(pattern=anchored(NAME))]
#: A level of a pixel on the scale of 0 to 1.
Level = Annotated[float, stated(minimum=0, maximum=1)]
#: A number above 0.
Positive = Annotated[float, stated(exclusiveMinimum=0)]
#: Billions of multiply-adds of an image: from one of them to more than any model has.
FEWEST_GFLOPS, MOST_GFLOPS = 1e-9, 1e9
Gflops = Annotated[float, stated(minimum=FEWEST_GFLOPS, maximum=MOST_GFLOPS)]

Kind = Literal["supervised", "clip"]
#: A number as records keep it: its digits, without a sign or an exponent.
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,60}(\.[0-9]{1,60})?\Z")]
#: What shares are printed as; other values are not concerned.
Shares = Literal["percent", "fraction"]
#: What stands after ± in a mean of several runs.
Spread = Literal["standard deviation", "standard error"]
#: What is known to come out of a claim.
Expectation = Literal["holds", "fails", "undecided"]

#: Arithmetic that numbers are published in and measured in. `amp-` is automatic mixed
#: precision, which keeps in float32 what torch's lists say; without it the whole model
#: and its input are of that type.
Precision = Literal["fp32", "tf32", "amp-fp16", "amp-bf16", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

#: Asked for in place of one: float32's decisions, most of them from cheaper arithmetic.
#: What was published in another one is computed as it was published.
GUARDED: Final = "guarded"
AskedPrecision = Precision | Literal["guarded"]

#: The source of numbers that were measured here and accepted: nobody published them.
MEASURED = "measured"

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([KMB]?)", re.ASCII)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the TOML format; a key that it does not know is an error."""


class NamedTable(Table, frozen=True, kw_only=True):
    """A table with a name, which other tables, case ids and the command line use."""

    id: Name

    def __post_init__(self) -> None:
        """Refuse a name that a case id or a file name cannot hold."""
        check_name(self.id)


class Printed(msgspec.Struct, frozen=True):
    """A number as it was printed: its digits, and exactly what they say.

    `half_unit` is half a unit of the last digit, the most that rounding moved it.
    """

    digits: str
    value: Fraction
    half_unit: Fraction

    def __str__(self) -> str:
        return self.digits

    @property
    def decimals(self) -> int:
        """How many digits stand behind the point."""
        return len(self.digits.partition(".")[2])


@lru_cache(4096)
def printed(digits: str, shift: int = 0) -> Printed:
    """Read digits such as `58.140`; the point is moved to the right by `shift`."""
    # Moved in decimals: a float would be another number than the one that was printed.
    # Arithmetic of decimals would round as a project has told it to.
    sign, figures, exponent = Decimal(digits).as_tuple()
    assert isinstance(exponent, int)
    exponent += shift
    number = Decimal((sign, figures, exponent))
    return Printed(
        f"{number:f}", Fraction(number), Fraction(1, 2) * Fraction(10) ** exponent
    )


@lru_cache(4096)
def training_images(checkpoint: str) -> int | None:
    """How many training images a checkpoint's name says: `16M` is 16,000,000.

    None where the name is no number.
    """
    match = _COUNT.fullmatch(checkpoint)
    return round(Fraction(match[1]) * _UNITS[match[2]]) if match else None


def is_same_arithmetic(first: str, second: str, device: str) -> bool:
    """Tell whether two precisions compute the same on a device, such as `cuda:0`.

    TF32 is a format of CUDA devices: anywhere else it is float32.
    """
    if first == second:
        return True
    return {first, second} == {"fp32", "tf32"} and not device.startswith("cuda")


#: Which loaders there are. Another package adds one as an entry point of this group:
#: its name is what `loader` of a model says, its value the class (docs/extending.md).
LOADERS = Extensions(
    "repro.loaders",
    "loader",
    ExpectedError,
    {
        "timm": "repro.models.libraries.zoos:TimmLoader",
        "open_clip": "repro.models.libraries.zoos:OpenClipLoader",
        "torchvision": "repro.models.libraries.zoos:TorchvisionLoader",
        "onnx": "repro.models.libraries.onnx:OnnxLoader",
        "python": "repro.models.libraries:PythonLoader",
    },
)


def check_gflops(value: float | None) -> None:
    """Refuse billions of multiply-adds that no model has.

    Raises:
        ValueError: it is no number, or one from which no time can be estimated.
    """
    if value is not None and not FEWEST_GFLOPS <= value <= MOST_GFLOPS:
        raise ValueError(f"gflops is {value}; it must be from 1e-9 to 1e9")
