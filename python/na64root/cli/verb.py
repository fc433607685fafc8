"""A verb: the common options, its record as a table or as JSON, progress."""

from __future__ import annotations

import contextlib
import difflib
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..config import DEFAULT_CARD, Card, changed_card, load_card
from ..errors import ConfigError
from ..version import version
from . import completion

if TYPE_CHECKING:
    from rich.console import Console

    from ..records import Record, ResultsFolder
    from ..work import EngineName, Work

log = logging.getLogger(__name__)

DEFAULT_OUTPUT = "na64root-output"


# The verbs in the order of the work, under their headings in `--help`.
GROUPS = {
    **dict.fromkeys(("analyze", "select", "inspect", "background", "quality"), "Data"),
    **dict.fromkeys(("explain", "verdict", "acceptance", "simulate"), "Signal and simulation"),
    **dict.fromkeys(("limit", "fit", "coupling", "scan", "scorecard", "ledger", "plan"), "Limits and planes"),
    **dict.fromkeys(("plot", "export", "report"), "Figures and publication"),
    **dict.fromkeys(("card",), "Cards"),
}


HELP = ("-h", "--help")


# Where click keeps what was typed, for the provenance of results.
TYPED = "na64root.typed"


# Tables written to a file or a pipe are not cut to the 80 columns of a terminal that is not there.
PLAIN_WIDTH = 132


Show = Callable[[Any, "Console"], None]


@dataclass(frozen=True)
class Common:
    """What the common options of every verb say."""

    output: Path | None
    config: str
    overrides: tuple[str, ...]
    seed: int
    threads: int
    force: bool
    skip_bad_files: bool = False
    good_runs: str | None = None
    engine: EngineName = "threads"
    scheduler: str | None = None
    # Values of the card that have an option of their own, by their dotted names.
    changes: Mapping[str, float | str] = field(default_factory=dict)

    @functools.cached_property
    def results(self) -> ResultsFolder:
        """Where a verb writes that always writes files."""
        from ..records import ResultsFolder

        return ResultsFolder(self.output or Path(DEFAULT_OUTPUT), self.force)

    @functools.cached_property
    def results_if_named(self) -> ResultsFolder | None:
        """Where a verb writes that writes files only with -o."""
        return self.results if self.output is not None else None

    @functools.cached_property
    def work(self) -> Work:
        """Seed, threads, engine, and a bar on a terminal of how far the work is."""
        from ..work import Engine, Work

        return Work(self.seed, self.threads, Engine(self.engine, self.scheduler), progress_bar)

    @functools.cached_property
    def card(self) -> Card:
        """The card with all that options change in it."""
        try:
            card = load_card(self.config, self.overrides)
        except ConfigError as error:  # in Python it is the argument `overrides`
            raise ConfigError(str(error).replace("the override", "--set")) from None
        if self.changes:
            card = changed_card(card, self.changes)
        changes = {"skip_bad_files": "on"} if self.skip_bad_files else {}
        if self.good_runs is not None:
            changes["good_runs"] = self.good_runs
        return card.model_copy(update={"input": card.input.model_copy(update=changes)})


class _Group(click.Group):
    """A group that names the nearest verb when one is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            match = difflib.get_close_matches(args[0], known, n=1)
            hint = f", did you mean {match[0]}?" if match else f" (known: {', '.join(known)})"
            raise click.UsageError(f"no verb {args[0]}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        groups: dict[str, list[tuple[str, str]]] = {}
        room = max(20, formatter.width - 6 - max((len(name) for name, _ in shown), default=0))
        for name, command in shown:
            heading = GROUPS.get(name, "Commands") if self is application else "Commands"
            groups.setdefault(heading, []).append((name, command.get_short_help_str(room)))
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class _Formatter(click.HelpFormatter):
    """Headings in colour on a terminal, unless NO_COLOR says no (https://no-color.org)."""

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{_coloured(heading)}:\n")

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{_coloured('Usage')}: " if prefix is None else prefix)


class _Context(click.Context):
    formatter_class = _Formatter


class _Command(click.Command):
    context_class = _Context

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        # Whatever the context is: click keeps with a command the first that it is asked for.
        return list(HELP)


_Group.context_class = _Context
_Group.command_class = _Command


def _coloured(text: str) -> str:
    """A heading; click takes colours away where the output is no terminal."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg="cyan", bold=True)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"na64root, version {version()}")
        context.exit()


@click.group(
    cls=_Group,
    context_settings={"help_option_names": list(HELP), "max_content_width": 100},
    no_args_is_help=False,
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
              help="Show the version and exit.")  # fmt: skip
def application() -> None:
    """The NA64 search for semi-visible dark photons: from an ntuple to a limit and an exclusion plane.

    Every number comes from a card (--config, default paper2021) and can be set with --set section.key=value.
    """


@click.group(cls=_Group, no_args_is_help=False)
def simulate() -> None:
    """Write NA64-format ntuples; here -o names the file."""


def verb(
    group: click.Group, name: str, *, example: str, show: Show, keeps: bool = False
) -> Callable[[Callable[..., Record]], click.Command]:
    """Make a verb of a function (common, ...) -> record.

    Args:
        show: writes the record for a person.
        keeps: the verb itself writes its files; other verbs only print, and write NAME.json where -o says so.
    """

    def decorate(function: Callable[..., Record]) -> click.Command:
        @functools.wraps(function)
        @click.pass_obj
        def command(
            stdout: TextIO,
            /,
            as_json: bool,
            output: Path | None,
            config: str,
            overrides: tuple[str, ...],
            seed: int,
            threads: int,
            force: bool,
            **options: Any,
        ) -> None:
            common = Common(output, config, overrides, seed, threads, force)
            destination = None if keeps or output is None else output / f"{name}.json"
            if destination is not None:
                from ..records import require_replaceable

                require_replaceable(destination, force=force)
            from ..records import made_by_command, to_json, together, write_atomically

            typed = click.get_current_context().meta.get(TYPED, ())
            with together(), made_by_command(typed):
                with contextlib.redirect_stdout(sys.stderr):
                    record = function(common, **options)
                    text = to_json(record) + "\n"
                if destination is not None:
                    write_atomically(destination, lambda path: write_text(path, text), force=force)
            if as_json:
                stdout.write(text)
            else:
                show(record, _console(stdout))

        kept = (
            f"default {DEFAULT_OUTPUT}" if keeps else f"default: print only; with it, write {name}.json there"
        )
        where = "FILE.root to write" if group is simulate else f"folder of the results ({kept})"
        options: list[Callable[[Any], Any]] = [
            click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else."),
            click.option("-o", "--output-dir", "output", type=click.Path(path_type=Path), help=where),
            click.option("--config", metavar="CARD", default=DEFAULT_CARD, show_default=True, is_eager=True,
                         shell_complete=completion.cards,
                         help="Card: the name of a built-in one or a TOML file."),
            click.option("--set", "overrides", metavar="SECTION.KEY=VALUE", multiple=True,
                         shell_complete=completion.settings,
                         help="Replace one value of the card; may be repeated."),
            click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=1, show_default=True,
                         help="Of every random number."),
            click.option("-j", "--threads", type=click.IntRange(min=1), default=_cores,
                         show_default="all cores", help="Results do not depend on it."),
            click.option("--force", is_flag=True, help="Replace existing results."),
        ]  # fmt: skip
        # click lists parameters from the end of this list: the verb's own come before the common ones.
        wrapped: Any = command
        own = getattr(command, "__click_params__", [])
        wrapped.__click_params__ = []
        for option in reversed(options):
            wrapped = option(wrapped)
        wrapped.__click_params__ += own
        return group.command(name, epilog=f"\b\nExample:\n  {example}")(wrapped)

    return decorate


def _cores() -> int:
    from ..work import cores

    return cores()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    path.write_text(text, "utf-8")


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # Brackets and colons in a path are that path: neither markup nor the name of a picture.
    width = None if stream.isatty() else PLAIN_WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    # Rich would end the process with code 1; run() knows what to do.
    console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]
    return console


def _raise_broken_pipe() -> None:
    raise BrokenPipeError


# Seconds before the first line on how far the work is, and between lines.
FIRST_LINE, BETWEEN_LINES = 5.0, 30.0


def progress_lines(what: str, clock: Callable[[], float] = time.monotonic) -> Callable[[int, int], None]:
    """Logs how far `what` is, and the time left; nothing of what takes five seconds or less."""
    started = clock()
    due = started + FIRST_LINE

    def report(done: int, total: int) -> None:
        nonlocal due
        now = clock()
        if now < due or not done or done >= total:
            return
        due = now + BETWEEN_LINES
        left = (now - started) * (total - done) / done
        log.info("%s: %d of %d, about %s left", what, done, total, duration(left))

    return report


def duration(seconds: float) -> str:
    """A time for a person, such as 40 s or 3 min 20 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def progress_bar(what: str) -> Callable[[int, int], None] | None:
    """Shows how far `what` is, and the time left: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        return progress_lines(what)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(what)
    click.get_current_context().call_on_close(bar.stop)  # the cursor comes back after an error too

    def report(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        bar.start()
        if done == total:
            bar.stop()

    return report
