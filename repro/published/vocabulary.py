"""The words of the format: what its tables have in common, and what values may be."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from repro.errors import ExpectedError
from repro.extensions import Extensions
from repro.published.allowed import NAME, anchored, check_name

Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]


def stated(**schema: Any) -> msgspec.Meta:
    """Say in the JSON Schema alone what a check says in words of its own."""
    return msgspec.Meta(extra_json_schema=schema)


Name = Annotated[str, stated(pattern=anchored(NAME))]
#: A level of a pixel on the scale of 0 to 1.
Level = Annotated[float, stated(minimum=0, maximum=1)]
#: A number above 0.
Positive = Annotated[float, stated(exclusiveMinimum=0)]

Kind = Literal["supervised", "clip"]
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
    number = Decimal(digits).scaleb(shift)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Printed(
        f"{number:f}", Fraction(number), Fraction(1, 2) * Fraction(10) ** exponent
    )


@lru_cache(4096)
def training_images(checkpoint: str) -> int | None:
    """How many training images a checkpoint's name says: `16M` is 16,000,000.

    None where the name is no number.
    """
    match = _COUNT.fullmatch(checkpoint)
    return round(Decimal(match[1]) * _UNITS[match[2]]) if match else None


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
        "timm": "repro.models.libraries.timm:TimmLoader",
        "open_clip": "repro.models.libraries.open_clip:OpenClipLoader",
        "torchvision": "repro.models.libraries.torchvision:TorchvisionLoader",
        "onnx": "repro.models.libraries.onnx:OnnxLoader",
        "python": "repro.models.libraries.python:PythonLoader",
    },
)
