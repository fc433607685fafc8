"""The command line: `na64root VERB`, also `python -m na64root VERB`.

Every verb takes the same common options and returns one result record: a table for a person, or with `--json`
one JSON object and nothing else on standard output. This is the only place where an error of the package
becomes one line on stderr and exit code 2; any other exception is a bug: a traceback and exit code 1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from . import tables
from ._core import __version__
from .config import DEFAULT_CARD, SIGNATURES, Card, Constraint, Criterion, Treatment, load_card
from .errors import ConfigError, Na64Error

if TYPE_CHECKING:
    from rich.console import Console

    from .engines import Engine
    from .limits import CountingModel, Method
    from .planes import Axis, Plane
    from .planner import Background, Target
    from .results import Record
    from .signal import Mode
    from .simulate import ForcedVolume, SignalMode
    from .writer import Format

DEFAULT_OUTPUT = "na64root-output"
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

    @property
    def output_dir(self) -> Path:
        return self.output or Path(DEFAULT_OUTPUT)

    def how(self, what: str) -> dict[str, Any]:
        """For a long computation: seed, threads, force, and the report of how far `what` is."""
        return {
            "seed": self.seed,
            "threads": self.threads,
            "force": self.force,
            "progress": _progress(what),
        }

    @functools.cached_property
    def card(self) -> Card:
        card = load_card(self.config, self.overrides)
        changes = {"skip_bad_files": "on"} if self.skip_bad_files else {}
        if self.good_runs is not None:
            changes["good_runs"] = self.good_runs
        return card.model_copy(update={"input": card.input.model_copy(update=changes)})


def main() -> int:
    """Run the command line of the process and return its exit code."""
    logging.basicConfig(format="na64root: %(message)s")
    logging.getLogger("na64root").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: what is half written is removed
    with _standard_output_for_results_only() as stdout:
        return run(sys.argv[1:], stdout)


def run(arguments: Iterable[str], stdout: TextIO) -> int:
    """Run one verb, its result on `stdout`, everything else on stderr; return the exit code."""
    try:
        with contextlib.redirect_stdout(stdout), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            with application.make_context("na64root", list(arguments), obj=stdout) as context:
                application.invoke(context)
            stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough: not an error, and nothing more can be said to it.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", code=130)
    except click.ClickException as error:
        return _complain(_usage_message(error))
    except Na64Error as error:
        return _complain(str(error))
    except OSError as error:
        if error.filename is None and stdout.closed is False and error.errno is not None:
            return _complain(f"cannot write the result ({error.strerror}): check where the output goes")
        traceback.print_exc()
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _standard_output_for_results_only() -> Iterator[TextIO]:
    """A stream to the process's standard output, while file descriptor 1 itself goes to stderr.

    RooFit and Minuit print from C++ straight to file descriptor 1, and the C library may keep that text until
    the process ends: so the descriptor stays redirected for good.
    """
    saved = None
    with contextlib.suppress(OSError):  # the process was started with standard output closed
        saved = os.dup(1)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    if saved is None:
        saved = os.open(os.devnull, os.O_WRONLY)
    stream = open(saved, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):
            stream.close()


def _complain(message: str, code: int = 2) -> int:
    with contextlib.suppress(OSError):
        print("na64root:", " ".join(message.split()), file=sys.stderr, flush=True)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}")


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}: see {context.command_path} --help" if context is not None else message


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


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="na64root")
def application() -> None:
    """The NA64 search for semi-visible dark photons: from an ntuple to a limit and an exclusion plane.

    Every number comes from a card (--config, default paper2021) and can be set with --set section.key=value.
    """


@click.group(cls=_Group, no_args_is_help=False)
def simulate() -> None:
    """Write NA64-format ntuples; here -o names the file."""


def _verb(
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
            if destination is not None and destination.exists() and not force:
                raise Na64Error(f"{destination} exists (results are kept): use --force or another output")
            with contextlib.redirect_stdout(sys.stderr):
                record = function(common, **options)
                from .results import to_json, write_atomically

                text = to_json(record) + "\n"
            if destination is not None:
                write_atomically(destination, lambda path: _write_text(path, text), force=force)
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
            click.option("--config", metavar="CARD", default=DEFAULT_CARD, show_default=True,
                         help="Card: the name of a built-in one or a TOML file."),
            click.option("--set", "overrides", metavar="SECTION.KEY=VALUE", multiple=True,
                         help="Replace one value of the card; may be repeated."),
            click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=1, show_default=True,
                         help="Of every random number."),
            click.option("-j", "--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1,
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


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    console = Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)
    # Rich would end the process with code 1; run() knows what to do.
    console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]
    return console


def _raise_broken_pipe() -> None:
    raise BrokenPipeError


class _Numbers(click.ParamType[list[float]]):
    """A list of numbers separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0.19,0.53", param, ctx)


class _Counts(click.ParamType[list[int]]):
    """A list of counts separated by commas."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        try:
            counts = [int(part) for part in value.split(",")]
        except ValueError:
            counts = [-1]
        if min(counts) < 0:
            self.fail(f"{value!r} is not a list of counts such as 0,0", param, ctx)
        return counts


def exposure_option(card: Card, values: Iterable[str], *, total: bool = False) -> dict[str, float]:
    """The exposures that `--eot PERIOD=N` sets, and with `total` also a bare N, shared out as in the card.

    Raises:
        ConfigError: not a number, negative, or no such period in the card.
    """
    periods = {period.name: period.eot.value for period in card.periods}
    exposure: dict[str, float] = {}
    for value in values:
        period, separator, number = value.rpartition("=")
        try:
            eot = float(number)
        except ValueError:
            eot = -1.0
        if not 0.0 <= eot < float("inf"):
            raise ConfigError(f"cannot use --eot {value} (no exposure): write --eot 2018=1.87e11")
        if separator and period in periods:
            exposure[period] = eot
        elif total and not separator:
            exposure |= {name: eot * share / card.eot for name, share in periods.items()}
        else:
            problem = f"no period {period}" if separator else "no period given"
            raise ConfigError(f"cannot use --eot {value} ({problem}): the card has {', '.join(periods)}")
    return exposure


_FILES = click.argument("files", nargs=-1, metavar="FILES...")


def _INPUT(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a verb that reads FILES; what they say becomes part of the card."""

    @functools.wraps(command)
    def of_input(common: Common, *, skip_bad_files: bool, good_runs: str | None, **options: Any) -> Any:
        common = dataclasses.replace(common, skip_bad_files=skip_bad_files, good_runs=good_runs)
        return command(common, **options)

    skip = click.option(
        "--skip-bad-files",
        is_flag=True,
        help="Leave out damaged or unsuitable files, and list them; without it each is an error.",
    )
    good = click.option(
        "--good-runs",
        metavar="FILE",
        help="List of good runs, as text or JSON; other runs are counted and enter no bin.",
    )
    return skip(good(of_input))


_OUTLIERS = click.option(
    "--exclude-outlier-spills", is_flag=True, help="Leave out the spills that `quality` flags."
)


def _only_of_files(common: Common, **options: bool) -> None:
    """Refuse options on the events of FILES where there are none."""
    given = {"skip_bad_files": common.skip_bad_files, "good_runs": common.good_runs is not None, **options}
    for name, is_given in given.items():
        if is_given:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} without FILES (the counts are the card's): leave it out")


_FORMAT = click.option(
    "--format",
    type=click.Choice(["ttree", "rntuple"]),
    default="ttree",
    show_default=True,
    help="What the events are written as; the columns are the same.",
)
_EOT = click.option("--eot", multiple=True, metavar="PERIOD=N", help="Electrons on target of a run period.")


def _ENGINE(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a verb that can work on a cluster: `engine` and `scheduler`, for :func:`_engine`."""
    name = click.option(
        "--engine",
        type=click.Choice(["local", "threads", "dask"]),
        default="threads",
        show_default=True,
        help="What does the work: one thread, -j threads or processes, or a Dask cluster.",
    )
    scheduler = click.option(
        "--scheduler", metavar="ADDRESS", help="Of a running Dask cluster; without, -j workers are started."
    )
    return name(scheduler(command))


def _engine(name: Any, scheduler: str | None, *, events: bool = True) -> Engine:
    from .engines import Engine

    return Engine(name, scheduler, progress=_progress("events") if events else None)


_BLIND = click.option(
    "--blind", is_flag=True, help="Hide the events in the signal boxes in everything that is written."
)


@_verb(application, "analyze", example="na64root analyze data.root --eot 2018=1.87e11 -o results",
       show=tables.show_analysis, keeps=True)  # fmt: skip
@_FILES
@_EOT
@_INPUT
@click.option(
    "--pseudodata", is_flag=True, help="Write a pseudo-data ntuple into the output folder, analyse it."
)
@click.option(
    "--signal",
    "signal_files",
    multiple=True,
    metavar="FILE",
    help="Simulated signal in place of the chain's; may be repeated.",
)
@click.option(
    "--signal-mass-GeV",
    "signal_mass_GeV",
    type=float,
    help="A' mass of --signal, for files of another simulation.",
)
@click.option("--signal-epsilon", type=float, help="Kinetic mixing of --signal, likewise.")  # fmt: skip
@_OUTLIERS
@click.option(
    "--systematics",
    is_flag=True,
    help="Also vary the card's systematic sources, in the events and in --signal.",
)
@_ENGINE
@_BLIND
def _analyze(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    engine: str,
    scheduler: str | None,
    pseudodata: bool,
    signal_files: tuple[str, ...],
    signal_mass_GeV: float | None,
    signal_epsilon: float | None,
    exclude_outlier_spills: bool,
    systematics: bool,
    blind: bool,
) -> Record:
    """The whole chain: read, select, count, limits, exclusion plane, figures.

    FILES are NA64 ntuples: paths, globs, text files of paths, or root:// addresses.
    """
    from .analyze import SignalFiles, analyze

    signal = SignalFiles(signal_files, signal_mass_GeV, signal_epsilon) if signal_files else None
    if signal is None and (signal_mass_GeV is not None or signal_epsilon is not None):
        raise ConfigError(
            "--signal-mass-GeV or --signal-epsilon without --signal (no sample): give its files"
        )
    if bool(files) == pseudodata:
        raise click.UsageError("give FILES to analyse, or --pseudodata", click.get_current_context())
    return analyze(
        files,
        common.card,
        eot=exposure_option(common.card, eot),
        output_dir=common.output_dir,
        pseudodata=pseudodata,
        signal=signal,
        exclude_outlier_spills=exclude_outlier_spills,
        systematics=systematics,
        engine=_engine(engine, scheduler),
        blind=blind,
        **common.how("masses"),
    )


@_verb(application, "select", example="na64root select data.root --skim selected.root -o selection",
       show=tables.show_selection, keeps=True)  # fmt: skip
@_FILES
@_EOT
@_INPUT
@click.option(
    "--skim",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.root",
    help="Also write the events that pass S1 or S2, with all branches.",
)
@click.option("--skim-cut", metavar="CUT", help="Skim the events that pass the cuts up to this one.")
@_FORMAT
@_ENGINE
@_BLIND
def _select(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    skim: Path | None,
    skim_cut: str | None,
    format: Format,
    engine: str,
    scheduler: str | None,
    blind: bool,
) -> Record:
    """Cut flow, N-1 distributions, planes of ECAL against HCAL energy, and a skim, in one event loop.

    FILES as for analyze. Cuts of your own and thresholds of single run periods: docs/selection.md.
    """
    from .selection_report import report
    from .skim import Skim

    if not files:
        raise click.UsageError("give FILES to select from", click.get_current_context())
    if skim is None and skim_cut is not None:
        raise ConfigError("--skim-cut without --skim (no file): name the file to write by --skim")
    return report(
        files,
        common.card,
        eot=exposure_option(common.card, eot),
        output_dir=common.output_dir,
        skim=None if skim is None else Skim(skim, skim_cut, rntuple=format == "rntuple"),
        blind=blind,
        threads=common.threads,
        engine=_engine(engine, scheduler),
        force=common.force,
    )


def _signal_point(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a simulated signal."""
    for option in reversed(
        (
            click.option("--mass-GeV", "mass_GeV", type=float, required=True, help="A' mass."),
            click.option("--epsilon", type=float, required=True, help="Kinetic mixing."),
            click.option(
                "--mode",
                type=click.Choice(["semivisible", "invisible", "visible"]),
                default="semivisible",
                show_default=True,
                help="What the A' decays to.",
            ),
            click.option(
                "--forced",
                is_flag=False,
                flag_value="signal",
                type=click.Choice(["signal", "ecal", "hcal1", "hcal2", "hcal3", "beyond"]),
                help="All decays there, with weights; without a volume in HCAL2 and HCAL3 (signal).",
            ),
        )
    ):
        command = option(command)
    return command


@_verb(simulate, "signal", show=tables.show_record, keeps=True,
       example="na64root simulate signal --mass-GeV 0.39 --epsilon 6e-3 -n 100000 -o sig.root")  # fmt: skip
@_signal_point
@click.option("-n", "--events", type=int, default=10000, show_default=True)
@click.option("--period", default="all", show_default=True, help="A run period, or all by their electrons.")
@click.option("--first-event", type=int, default=0, show_default=True, help="For samples made in parts.")
@_EOT
@_FORMAT
@click.option(
    "--hepmc",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.hepmc3[.gz]",
    help="Also the generated particles as HepMC3, for another simulation (needs pyhepmc).",
)
def _signal(
    common: Common,
    mass_GeV: float,
    epsilon: float,
    mode: SignalMode,
    forced: ForcedVolume | None,
    events: int,
    period: str,
    first_event: int,
    eot: tuple[str, ...],
    format: Format,
    hepmc: Path | None,
) -> Record:
    """Weighted signal events: their mcWeight sums to the expected signal of the exposure."""
    from .simulate import Signal, signal

    return signal(
        common.card,
        common.output or Path(DEFAULT_OUTPUT) / "signal.root",
        Signal(mass_GeV, epsilon, mode),
        events=events,
        forced=forced,
        period=period,
        eot=exposure_option(common.card, eot, total=True),
        first_event=first_event,
        hepmc_file=hepmc,
        format=format,
        **common.how("events"),
    )


@_verb(simulate, "background", show=tables.show_record, keeps=True,
       example="na64root simulate background --eot 1e12 -o background.root")  # fmt: skip
@_EOT
@_FORMAT
def _background(common: Common, eot: tuple[str, ...], format: Format) -> Record:
    """The classes of pseudo-data, each event weighted with the prescale of its class."""
    from .simulate import pseudodata

    return pseudodata(
        common.card,
        common.output or Path(DEFAULT_OUTPUT) / "background.root",
        eot=exposure_option(common.card, eot, total=True),
        weighted=True,
        format=format,
        **common.how("events"),
    )


@_verb(simulate, "pseudodata", example="na64root simulate pseudodata --seed 7 -o pseudodata.root",
       show=tables.show_record, keeps=True)  # fmt: skip
@_EOT
@click.option("--inject-mass-GeV", "inject_mass_GeV", type=float, help="Add a signal: A' mass.")
@click.option("--inject-epsilon", type=float, help="Add a signal: kinetic mixing.")
@click.option(
    "--inject-mode",
    type=click.Choice(["semivisible", "invisible", "visible"]),
    default="semivisible",
    show_default=True,
)
@_FORMAT
def _pseudodata(
    common: Common,
    eot: tuple[str, ...],
    inject_mass_GeV: float | None,
    inject_epsilon: float | None,
    inject_mode: SignalMode,
    format: Format,
) -> Record:
    """Ntuple of the three run periods as data, both sides of every cut populated.

    Background only, or with a signal injected.
    """
    from .simulate import Signal, pseudodata

    inject = None
    if inject_mass_GeV is not None and inject_epsilon is not None:
        inject = Signal(inject_mass_GeV, inject_epsilon, inject_mode)
    elif inject_mass_GeV is not None or inject_epsilon is not None:
        raise ConfigError(
            "half a signal (mass and mixing belong together): give --inject-mass-GeV and --inject-epsilon"
        )
    return pseudodata(
        common.card,
        common.output or Path(DEFAULT_OUTPUT) / "pseudodata.root",
        eot=exposure_option(common.card, eot, total=True),
        inject=inject,
        format=format,
        **common.how("events"),
    )


@_verb(
    simulate,
    "gun",
    show=tables.show_record,
    keeps=True,
    example="na64root simulate gun --particle e- --energy-GeV 20 --volume ecal -n 5000 -o gun.root",
)
@click.option(
    "--particle", required=True, metavar="e-|pair", help="Electron, or e+e- pair of a heavier state."
)
@click.option(
    "--energy-GeV", "energy_GeV", type=float, required=True, help="Of the particle, or of the pair."
)
@click.option("--mass-GeV", "mass_GeV", type=float, help="Of the state that decays to the pair.")
@click.option("--volume", required=True, metavar="ecal|hcal1|hcal2|hcal3", help="Where it starts.")
@click.option(
    "--offset-mm",
    "offset_mm",
    type=_Numbers(),
    default="0,0",
    show_default=True,
    metavar="X,Y",
    help="From the middle of the central cell of the volume.",
)
@click.option("-n", "--events", type=int, default=1000, show_default=True)
@click.option("--no-noise", is_flag=True, help="Sampling fluctuations only: no noise, no thresholds.")
@_FORMAT
def _gun(
    common: Common,
    particle: str,
    energy_GeV: float,
    mass_GeV: float | None,
    volume: str,
    offset_mm: list[float],
    events: int,
    no_noise: bool,
    format: Format,
) -> Record:
    """Electrons or e+e- pairs in one calorimeter, with the truth that a comparison needs.

    An electron enters through the front of the volume, a pair starts at a uniform depth in it.
    """
    from .simulate import gun

    if len(offset_mm) != 2:
        raise ConfigError("--offset-mm is no pair of numbers (x and y are needed): write --offset-mm 75,0")
    return gun(
        common.card,
        common.output or Path(DEFAULT_OUTPUT) / "gun.root",
        particle=particle,
        energy_GeV=energy_GeV,
        mass_GeV=mass_GeV,
        volume=volume,
        offset_mm=(offset_mm[0], offset_mm[1]),
        events=events,
        noise=not no_noise,
        format=format,
        **common.how("events"),
    )


@_verb(application, "inspect", example="na64root inspect data.root", show=tables.show_inspection)
@_FILES
@_INPUT
def _inspect(common: Common, files: tuple[str, ...]) -> Record:
    """What the files hold: schema, missing branches, runs, periods, spills, what can be evaluated.

    For a tree of an unknown layout it proposes the table [layout] of a card.
    """
    from .ntuple import inspect

    _need(files)
    return inspect(files, common.card)


# Data quality and backgrounds


@_verb(application, "background", example="na64root background data.root --mc background.root -o background",
       show=tables.show_backgrounds)  # fmt: skip
@_FILES
@_EOT
@_INPUT
@click.option("--mc", multiple=True, metavar="FILE", help="Simulated background, for the dimuon yield.")
@click.option("--mc-eot", multiple=True, metavar="PERIOD=N", help="Electrons on target of --mc, likewise.")
@_BLIND
def _estimate_backgrounds(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    mc: tuple[str, ...],
    mc_eot: tuple[str, ...],
    blind: bool,
) -> Record:
    """Backgrounds from control regions of the data, and the dimuon yield against a simulation.

    With -o also a figure. The limit takes an estimate where the card's section backgrounds says so.
    """
    from .reports import estimate_backgrounds

    _need(files)
    return estimate_backgrounds(
        files,
        common.card,
        output_dir=common.output,
        force=common.force,
        simulation=mc,
        eot=exposure_option(common.card, eot),
        simulation_eot=exposure_option(common.card, mc_eot),
        blind=blind,
        threads=common.threads,
    )


@_verb(application, "quality", example="na64root quality 'runs/*.root' -o quality", show=tables.show_quality)
@_FILES
@_INPUT
@_BLIND
def _quality(common: Common, files: tuple[str, ...], blind: bool) -> Record:
    """Rate, ECAL and HCAL means of every run and spill; outlier spills, duplicates, events out of order.

    With -o also a figure against the spills.
    """
    from .reports import assess_quality

    _need(files)
    assessed = assess_quality(files, common.card, output_dir=common.output, blind=blind, force=common.force)
    for note in assessed.notes:
        logging.getLogger(__name__).warning("%s", note)
    return assessed


@_verb(application, "explain", show=tables.show_record,
       example="na64root explain --mass-GeV 0.39 --epsilon 6e-3")  # fmt: skip
@click.option("--mass-GeV", "mass_GeV", type=float, required=True, help="A' mass.")
@click.option("--epsilon", type=float, required=True, help="Kinetic mixing.")
@click.option("--alpha-dark", type=float, help="Dark coupling (default: the card's, 0.1).")
@click.option("--mass-ratio", type=float, help="m_A'/m_chi1 (default: the card's, 3).")
@click.option("--relative-splitting", type=float, help="(m_chi2 - m_chi1)/m_chi1 (default: the card's, 0.4).")
@click.option("--beam-energy-GeV", "beam_energy_GeV", type=float, help="Default: the card's, 100.")
@click.option("--material", help="Of the target (default: the card's, Pb).")
def _explain(common: Common, mass_GeV: float, epsilon: float, **parameters: Any) -> Record:
    """Every number of one model point, from couplings to verdict."""
    from .explain import explain

    return explain(
        common.card,
        mass_GeV=mass_GeV,
        epsilon=epsilon,
        seed=common.seed,
        threads=common.threads,
        **parameters,
    )


@_verb(application, "acceptance", show=tables.show_acceptance,
       example="na64root acceptance --mass-GeV 0.39 --epsilon 6e-3 -n 100000 --map map.json")  # fmt: skip
@_signal_point
@click.option("-n", "--events", type=int, default=100000, show_default=True, help="To simulate.")
@_EOT
@click.option("--r-report", "with_r", is_flag=True, help="What each cause takes by the R cut.")
@click.option("--best-r-cut", "with_best", is_flag=True, help="The cut on R with the best sensitivity of S1.")
@click.option("--map", "map_file", type=click.Path(path_type=Path), metavar="FILE.json",
              help="Also simulate a map of the efficiency against chi2 energy and c tau.")  # fmt: skip
def _acceptance(
    common: Common,
    mass_GeV: float,
    epsilon: float,
    mode: SignalMode,
    forced: ForcedVolume | None,
    events: int,
    eot: tuple[str, ...],
    with_r: bool,
    with_best: bool,
    map_file: Path | None,
) -> Record:
    """Simulated signal selected as data: cut flow, decay volumes, efficiencies, beside the chain.

    With --map also an efficiency map for models of others, -n events for each decade of c tau.
    """
    from .acceptance import AcceptanceReport, efficiency, r_report
    from .r_cut import best_r_cut
    from .simulate import Signal

    card, point = common.card, Signal(mass_GeV, epsilon, mode)
    if mode != "semivisible" and (with_r or with_best or map_file is not None):
        raise ConfigError(
            f"--r-report, --best-r-cut and --map in mode {mode} (they need decays of chi2): leave them out"
        )
    if map_file is not None and map_file.exists() and not common.force:
        raise Na64Error(f"{map_file} exists (results are kept): use --force or another name")
    found = efficiency(
        card,
        point,
        events=events,
        forced=forced,
        eot=exposure_option(card, eot, total=True),
        seed=common.seed,
        threads=common.threads,
    )
    how: dict[str, Any] = {"events": events, "seed": common.seed, "threads": common.threads}
    report = r_report(card, point, **how) if with_r else None
    best = best_r_cut(card, point, **how) if with_best else None
    if map_file is not None:
        from .efficiency_map import make_map

        made = make_map(
            card,
            mass_GeV,
            progress=_progress("samples"),
            **how,
        )
        made.save(map_file, force=common.force)
    return AcceptanceReport(
        **dict(found),
        r_report=report,
        best_r_cut=best,
        map=None if map_file is None else str(map_file),
    )


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a counting model; `_flags_model` makes it."""
    options: list[Callable[[Any], Any]] = [
        click.option("--observed", type=_Counts(), help="Events in each bin (default: the card's S1,S2)."),
        click.option("--background", type=_Numbers(),
                     help="Expected in each bin (default: the card's S1,S2)."),
        click.option("--background-uncertainty", type=_Numbers(),
                     help="Absolute (default: the card's, or 0 each)."),
        click.option("--signal-fraction", type=_Numbers(),
                     help="Share of the signal in each bin (default: equal)."),
        click.option("--signal-uncertainty", type=float, help="Relative, all bins (default: 0)."),
        click.option("--constraint", type=click.Choice(["lognormal", "gaussian"]),
                     help="Of the signal (default: the card's, lognormal)."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _flags_model(
    card: Card,
    *,
    observed: list[int] | None,
    background: list[float] | None,
    background_uncertainty: list[float] | None,
    signal_fraction: list[float] | None,
    signal_uncertainty: float | None,
    constraint: Constraint | None,
) -> CountingModel:
    if background is None:
        counts = [card.limit.counts(signature) for signature in SIGNATURES]
        background = [c.background.value for c in counts]
        if background_uncertainty is None:
            background_uncertainty = [c.background_uncertainty.value for c in counts]
        if observed is None:
            observed = [int(c.observed.value) for c in counts]
    if observed is None:
        raise ConfigError(
            "--background without --observed (the card's counts are for its own bins): give both"
        )
    from .limits import CountingModel

    return CountingModel.from_lists(
        observed=observed,
        background=background,
        background_uncertainty=background_uncertainty or [0.0] * len(background),
        signal_fraction=signal_fraction or [1.0] * len(background),
        signal_uncertainty=signal_uncertainty or 0.0,
        constraint=constraint or card.limit.constraint,
    )


@_verb(application, "limit", show=tables.show_limit,
       example="na64root limit --observed 0,0 --background 0.19,0.53 --signal-uncertainty 0.2")  # fmt: skip
@_model_options
@click.option("--cl", type=float, help="Confidence level (default: the card's, 0.9).")
@click.option(
    "--method", type=click.Choice(["exact", "roostats", "asymptotic"]), default="exact", show_default=True
)
@click.option(
    "--treatment",
    type=click.Choice(["none", "frequentist", "hybrid"]),
    help="Of the nuisances; none fixes every one (default: the card's, frequentist).",
)
@click.option("--criterion", type=click.Choice(["cls", "clsb"]), default="cls", show_default=True,
              help="What falls to 1 - CL at the limit: CLs or CLs+b.")  # fmt: skip
@click.option(
    "--diagnostics",
    is_flag=True,
    help="Write figures, and their numbers, of what the limit rests on; needs -o.",
)
@_ENGINE
def _limit(
    common: Common,
    engine: str,
    scheduler: str | None,
    cl: float | None,
    method: Method,
    treatment: Treatment | None,
    criterion: Criterion,
    diagnostics: bool,
    **flags: Any,
) -> Record:
    """A CLs upper limit on the total expected signal, from counts in one or more bins."""
    card, folder = common.card, common.output
    model = _flags_model(card, **flags)
    from .blinding import remember
    from .limits import evidence, upper_limit
    from .results import LimitReport, provenance, refuse_to_replace, require_writable

    toys_on = _engine(engine, scheduler, events=False)
    if engine == "dask" and (method != "roostats" or diagnostics):
        raise ConfigError(
            "--engine dask is for the toys of --method roostats without --diagnostics: leave it out"
        )
    cl = card.limit.confidence_level.value if cl is None else cl
    treatment = treatment or card.limit.treatment
    made = provenance(card, seed=common.seed, limit_method=f"{method}, {treatment}")
    files: dict[str, str] = {}
    if diagnostics:
        from .diagnostics import FILES, diagnose, write

        if folder is None:
            raise ConfigError("--diagnostics without -o (its figures are files): give a folder")
        if criterion != "cls":
            raise ConfigError("--diagnostics with --criterion clsb (they show CLs): leave one out")
        refuse_to_replace(folder, FILES, common.force)
        require_writable(folder)
        found = diagnose(
            model, cl=cl, method=method, treatment=treatment, seed=common.seed, processes=common.threads
        )
        result = found.limit
        files = write(found, folder, provenance=made, force=common.force)
    else:
        with toys_on.executor(common.threads) as executor:
            result = upper_limit(
                model,
                cl=cl,
                method=method,
                treatment=treatment,
                seed=common.seed,
                processes=toys_on.threads_here(common.threads),
                executor=executor,
                criterion=criterion,
            )
    discovery, interval = evidence(model, cl=cl, treatment=treatment)
    if folder is not None and (kept := remember(folder, "limit", blind=False, provenance=made)):
        files |= {kept.name: str(kept)}
    return LimitReport(**dict(result), provenance=made, discovery=discovery, interval=interval, files=files)


class _Axis(click.ParamType["Axis"]):
    """QUANTITY=LOW:HIGH[:POINTS[:lin]]"""

    name = "axis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from .planes import Axis

        try:
            quantity, _, numbers = value.partition("=")
            low, high, *rest = numbers.split(":")
            points = int(rest[0]) if rest else 60
            if rest[1:] not in ([], ["lin"], ["log"]):
                raise ValueError
            return Axis(quantity, float(low), float(high), points, logarithmic=rest[1:] != ["lin"])
        except ValueError:
            raise ConfigError(
                f"axis {value} is not readable: give QUANTITY=LOW:HIGH, for instance alpha=1e-3:1, or "
                "QUANTITY=LOW:HIGH:POINTS:lin"
            ) from None


@_verb(application, "scan", example="na64root scan mass-epsilon --eot 1e12 -o scan", show=tables.show_plane)
@click.argument("arguments", nargs=-1, metavar="PLANE FILES...")
@click.option(
    "--x", "x_axis", type=_Axis(), metavar="AXIS", help="Any plane: its axes, in place of PLANE, as"
)
@click.option("--y", "y_axis", type=_Axis(), metavar="AXIS", help="QUANTITY=LOW:HIGH[:POINTS[:lin]].")
@click.option("--mass-GeV", "mass_GeV", type=float, help="A' mass, where no axis gives it.")
@click.option("--epsilon", type=float, help="Where no axis gives it; default the central g-2 line.")
@_EOT
@click.option(
    "--mode", type=click.Choice(["semivisible", "invisible"]), default="semivisible", show_default=True
)
@_ENGINE
@_INPUT
@_OUTLIERS
@_BLIND
def _scan(
    common: Common,
    arguments: tuple[str, ...],
    x_axis: Axis | None,
    y_axis: Axis | None,
    mass_GeV: float | None,
    epsilon: float | None,
    eot: tuple[str, ...],
    mode: Mode,
    engine: str,
    scheduler: str | None,
    exclude_outlier_spills: bool,
    blind: bool,
) -> Record:
    """The excluded region of a plane; without FILES for the observed counts of the card.

    PLANE is mass-epsilon, mass-alpha or mass1-splitting, Figs. 4 and 5 of the paper. Other planes are given
    by --x and --y: QUANTITY is mass (A'), mass1 (chi1), epsilon, alpha, ratio (of A' to chi1 mass) or
    splitting (Delta over the chi1 mass).
    """
    from .analyze import scan
    from .planes import PLANES, Plane

    files = arguments
    plane: Plane | str
    if x_axis is not None and y_axis is not None:
        plane = Plane.of_axes(common.card, x_axis, y_axis, epsilon=epsilon, mass_GeV=mass_GeV)
    elif x_axis is not None or y_axis is not None:
        raise ConfigError("one axis without the other: give --x and --y")
    elif not arguments or arguments[0] not in PLANES:
        found = f"{arguments[0]} is no plane" if arguments else "no plane"
        raise ConfigError(f"{found} (known: {', '.join(PLANES)}): give one, or --x and --y")
    else:
        plane, files = arguments[0], arguments[1:]
        if epsilon is not None or mass_GeV is not None:
            raise ConfigError(f"--epsilon or --mass-GeV beside {plane}: give the axes by --x and --y")
    if not files:
        _only_of_files(common, exclude_outlier_spills=exclude_outlier_spills, blind=blind)
    return scan(
        files,
        common.card,
        plane,
        eot=exposure_option(common.card, eot, total=True),
        mode=mode,
        output_dir=common.output,
        engine=_engine(engine, scheduler, events=bool(files)),
        exclude_outlier_spills=exclude_outlier_spills,
        blind=blind,
        **common.how("masses"),
    )


@_verb(application, "scorecard", example="na64root scorecard -j 2", show=tables.show_scorecard)
def _scorecard(common: Common) -> Record:
    """Published numbers and curves beside those computed here, with tolerances fixed in advance."""
    from .analyze import score

    return score(common.card, seed=common.seed, threads=common.threads)


@_verb(application, "plot", show=tables.show_record, keeps=True,
       example="na64root plot scan/scan.json projection/scan.json -o figures")  # fmt: skip
@click.argument("plane", type=click.Path(path_type=Path))
@click.argument("projections", nargs=-1, type=click.Path(path_type=Path))
def _plot(common: Common, plane: Path, projections: tuple[Path, ...]) -> Record:
    """A plane drawn again from the JSON of `scan`: PDF, PNG, its curves as CSV, ROOT objects.

    PROJECTIONS are results in the same plane, drawn as lines with the description of their card. --config
    names the card of the plane, which the title is made from.
    """
    from .plane_files import plot
    from .results import PlaneResult, read_record

    drawn = read_record(plane, PlaneResult, "the JSON of `na64root scan`")
    others = {}
    for path in projections:
        other = read_record(path, PlaneResult, "the JSON of `na64root scan`")
        others[f"{other.provenance.card}: {sum(other.exposure.values()):.3g} EOT"] = other
    return plot(drawn, common.card, common.output_dir, projections=others, force=common.force)


@_verb(application, "ledger", example="na64root ledger -o ledger", show=tables.show_ledger)
@click.option("--presets", "presets_only", is_flag=True, help="Only the cards with other choices.")
def _ledger(common: Common, presets_only: bool) -> Record:
    """What each assumed number of the card and each choice of model moves, one at a time.

    Watched are the end of the excluded part of the central g-2 line and the lower edge at 10 and 100 MeV.
    With -o also as ledger.csv and ledger.md.
    """
    from .ledger import PresetComparison, as_csv, as_markdown, ledger, presets
    from .results import provenance, refuse_to_replace, require_writable, write_atomically

    if presets_only:
        return PresetComparison(
            presets=presets(), files={}, provenance=provenance(common.card, seed=common.seed)
        )
    folder = common.output
    if folder is not None:
        refuse_to_replace(folder, ("ledger.csv", "ledger.md"), common.force)
        require_writable(folder)
    record = ledger(common.card, threads=common.threads, progress=_progress("variations"), seed=common.seed)
    if folder is None:
        return record
    for name, text in (("ledger.csv", as_csv(record)), ("ledger.md", as_markdown(record))):
        write_atomically(folder / name, functools.partial(_write_text, text=text), force=common.force)
    files = {name: str(folder / name) for name in ("ledger.csv", "ledger.md")}
    return record.model_copy(update={"files": files})


@_verb(application, "plan", example="na64root plan --target relic -o plan", show=tables.show_plan)
@click.option(
    "--target",
    type=click.Choice(["g2", "g2-band", "relic"]),
    default="g2",
    show_default=True,
    help="What to exclude: the central g-2 line, all of its 2 sigma band, the thermal relic line.",
)
@click.option("--hcal1-length-cm", "lengths", type=_Numbers(), help="Default: 50,75,100,125,150.")
@click.option("--energies-GeV", "energies", type=_Numbers(), help="Of the beam; default: 50,75,100,125,150.")
@click.option("--masses-GeV", "masses", type=_Numbers(), help="Default: 30 from 0.02 to 0.8.")
@click.option(
    "--background",
    type=click.Choice(["scaled", "kept"]),
    default="scaled",
    show_default=True,
    help="With the exposure, or as in the card, whatever the exposure.",
)
@click.option("--largest-eot", type=float, default=1e14, show_default=True, help="Beyond it: none.")
def _plan(
    common: Common,
    target: Target,
    lengths: list[float] | None,
    energies: list[float] | None,
    masses: list[float] | None,
    background: Background,
    largest_eot: float,
) -> Record:
    """Electrons on target that it takes to reach a line of models, for lengths of HCAL1 and beam energies.

    With -o also the figure, exposure-TARGET.pdf and .png.
    """
    from .reports import plan

    return plan(
        common.card,
        target,
        hcal1_lengths_cm=lengths,
        beam_energies_GeV=energies,
        mass_GeV=masses,
        background=background,
        largest_eot=largest_eot,
        output_dir=common.output,
        seed=common.seed,
        threads=common.threads,
        force=common.force,
        progress=_progress("masses"),
    )


@_verb(application, "export", example="na64root export --format pyhf data.root -o exported",
       show=tables.show_exported, keeps=True)  # fmt: skip
@_FILES
@_EOT
@click.option(
    "--format",
    "formats",
    type=click.Choice(["workspace", "hs3", "pyhf", "datacard", "all"]),
    default="all",
    show_default=True,
)
@_model_options
@_INPUT
@_OUTLIERS
@_BLIND
def _export(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    formats: str,
    exclude_outlier_spills: bool,
    blind: bool,
    **flags: Any,
) -> Record:
    """The counting model for other programs: RooFit workspace, HS3, pyhf, Combine datacard.

    Of FILES it is the model that analyze sets its limit with, without FILES that of the card's own counts;
    with --observed, --background, ... it is the model of `na64root limit` with these options.
    """
    described = [name for name, value in flags.items() if value is not None]
    if described and (files or eot):
        option = f"--{described[0].replace('_', '-')}"
        raise ConfigError(
            f"{option} beside {'FILES' if files else '--eot'} (two counting models): give one or the other"
        )
    if not files:
        _only_of_files(common, exclude_outlier_spills=exclude_outlier_spills, blind=blind)
    from .blinding import remember
    from .export import FORMATS, RECORD, Exported, export
    from .results import provenance, refuse_to_replace, require_writable, to_json, write_atomically

    chosen = list(FORMATS) if formats == "all" else [formats]
    card, folder = common.card, common.output_dir
    refuse_to_replace(folder, [*(FORMATS[name][0] for name in chosen), RECORD], common.force)
    require_writable(folder)
    selected = None
    if described:
        model = _flags_model(card, **flags)
    else:
        from .analyze import counting_model

        model, selected = counting_model(
            files,
            card,
            eot=exposure_option(card, eot, total=not files),
            exclude_outlier_spills=exclude_outlier_spills,
            blind=blind,
            seed=common.seed,
            threads=common.threads,
            progress=_progress("masses"),
        )
    made = provenance(
        card,
        seed=common.seed,
        input_files=selected.files if selected else [],
        input_details=selected.input if selected else None,
    )
    comment = ""
    if selected and (blind or selected.weighted):
        why = "blinded" if blind else "weighted simulation"
        comment = f"Nothing is observed ({why}): the most probable counts without signal stand in."
    paths = export(model, folder, formats=chosen, comment=comment, force=common.force)
    record = folder / RECORD
    paths |= {RECORD: record}
    if kept := remember(folder, "export", blind=blind, provenance=made):
        paths |= {kept.name: kept}
    exported = Exported(
        files={name: str(path) for name, path in paths.items()},
        counts=list(model.bins),
        signal_uncertainty=model.signal_uncertainty,
        constraint=model.constraint,
        provenance=made,
        blind=blind,
        notes=[*(selected.notes if selected else ()), *filter(None, [comment])],
    )
    text = to_json(exported) + "\n"
    write_atomically(record, functools.partial(_write_text, text=text), force=common.force)
    return exported


def _progress(what: str) -> Callable[[int, int], None] | None:
    """Shows on a terminal how far `what` is, and the time left; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        return None
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


def _need(files: tuple[str, ...]) -> None:
    if not files:
        raise click.UsageError("missing FILES", click.get_current_context())


application.add_command(simulate)  # last in the list of verbs: the work starts with data


if __name__ == "__main__":
    sys.exit(main())
