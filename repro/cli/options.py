"""Options of `repro ...`, made from the table, and what all commands refuse."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import repro
from repro.errors import NotAvailableError, OptionError, ReproError
from repro.options.option import Option, refuse_empty
from repro.options.table import Settings, own_expected
from repro.words import brief, visible

#: Kinds of paths: what is written, and what is read.
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)
EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
EXISTING_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


class Command(click.Command):
    """A command that refuses what click would drop without a word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; none is empty, and none takes the place of another.

        Raises:
            OptionError: one is or does.
        """
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter in self.get_params(ctx):
            refuse_empty(given.get(parameter.name or ""), _said(parameter))
        for parameter, times in Counter(order).items():
            takes_one = isinstance(parameter, click.Option) and not (
                parameter.multiple or parameter.is_flag
            )
            if takes_one and times > 1:
                raise OptionError(
                    f"{_said(parameter)} is given {times} times; give it once"
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what errors call as pytest does is called as it is here.

        An option that this command does not have keeps the name that it has there.
        """
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Of a path that the user has named, or a disk that is full.
            if error.filename is None:
                raise
            raise OptionError(
                f"{error.filename}: {error.strerror}; name another place, or mend it"
            ) from error
        except ReproError as error:
            here = {
                found.of.flag_name: _said(found)
                for found in self.params
                if isinstance(found, TableOption)
            }
            said = re.sub(
                r"--repro-[a-z-]*[a-z]",
                lambda match: here.get(match[0], match[0]),
                str(error),
            )
            error.args = (said,)
            raise


class TableOption(click.Option):
    """An option that is one of the table.

    Args:
        of: of the table.
        parameters: click's.
    """

    def __init__(self, *parameters: Any, of: Option[Any], **named: Any) -> None:
        super().__init__(*parameters, **named)
        self.of = of


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Make it; what click says of a misprint is no longer than what we say."""
        with _in_our_words():
            return super().make_context(*args, **named)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, in the same way."""
        with _in_our_words():
            return super().invoke(ctx)


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        given = error.format_message()
        if (said := brief(visible(given))) == given:
            raise
        if isinstance(error, click.UsageError):
            raise click.UsageError(said, error.ctx) from None
        raise click.ClickException(said) from None


def shared(
    option: Option[Any],
    otherwise: Callable[[Path], Any] | None = None,
    default: str = "",
    *,
    needed: bool = False,
) -> Callable[[Any], Any]:
    """Make an option of the table one of a command.

    Args:
        option: of the table; its help, reader, default and variable count here too.
        otherwise: from the current folder to what counts where nothing was given, where
            that is not as in pytest.
        default: how the help says that.
        needed: whether `none` is refused.
    """
    flag = f"--{option.name.replace('_', '-')}"

    def read(context: click.Context, parameter: click.Parameter, typed: Any) -> Any:
        # An empty variable is one that is not set; an empty argument was refused.
        given = typed or os.environ.get(option.variable)
        said = flag if typed or not given else option.variable
        if given:
            value = option.read_given(given, Path(), said)
        else:
            value = (otherwise or option.in_absence)(Path())
        return insist(value, said) if needed else value

    said, _, usual = option.help.partition(" (default: ")
    usual = default or usual.removesuffix(")")
    return click.option(
        flag,
        option.name,
        cls=TableOption,
        of=option,
        multiple=option.repeatable,
        metavar=option.metavar,
        callback=read,
        help=f"{said[0].upper()}{said[1:]}." + f" [default: {usual}]" * bool(usual),
    )


def named(context: click.Context, name: str) -> bool:
    """Whether an option was typed, as against found elsewhere."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def existing(checkpoints: Path | None) -> Path | None:
    """Insist that a folder of weights that was named is there.

    Raises:
        NotAvailableError: it is not.
    """
    if checkpoints is not None and not checkpoints.is_dir():
        raise NotAvailableError(
            f"the folder of weights {checkpoints} does not exist; name another one "
            "with --checkpoints, or leave it out"
        )
    return checkpoints


def insist(folder: Path | None, said: str) -> Path:
    """Insist on a folder where `none` was said.

    Raises:
        OptionError: it was.
    """
    if folder is None:
        raise OptionError(f"{said} is none, and this command needs it; name a folder")
    return folder


def read_with(read: Callable[[str, Path], Any]) -> Callable[..., Any]:
    """Make a callback of a reader of the table, for an option of one command only."""

    def callback(context: click.Context, parameter: click.Option, typed: Any) -> Any:
        if typed is None:
            return None
        one: Option[Any] = Option("", read, repeatable=parameter.multiple)
        return one.read_given(typed, Path(), _said(parameter))

    return callback


def _said(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name


def shipped_expected() -> list[Path]:
    """Give the folder of releases that is shipped with repro, in a list of one."""
    package = Path(repro.__file__).parent
    places = (package / "expected", package.parent / "expected")
    return [place for place in places if place.is_dir()][:1]


def _expected(here: Path) -> Sequence[Path]:
    return own_expected(here) or shipped_expected()


def _ledger(here: Path) -> Path:
    """Find the ledger of the project that the current folder belongs to."""
    here = here.absolute()
    found = (folder / ".repro" for folder in (here, *here.parents))
    return next((folder for folder in found if folder.is_dir()), here / ".repro")


expected_option = shared(
    Settings.expected, _expected, "expected/ here, else what is shipped with repro"
)
checkpoints_option = shared(Settings.checkpoints)
data_option = shared(Settings.data)
cache_option = shared(Settings.cache)
own_cache_option = shared(Settings.cache, needed=True)
device_option = shared(Settings.device)
precision_option = shared(Settings.precision)
accelerate_option = shared(Settings.accelerate)
batch_size_option = shared(Settings.batch_size)
limit_option = shared(Settings.limit)
_NEAREST = (_ledger, ".repro here or above")
ledger_option = shared(Settings.ledger, *_NEAREST, needed=True)
ledger_or_none_option = shared(Settings.ledger, *_NEAREST)
baseline_option = shared(Settings.baseline)
newest_option = click.option(
    "-n",
    "number",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="How many of the newest runs.",
)
