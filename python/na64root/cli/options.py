"""Options that several verbs share, and what they say."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..config import SIGNATURES, Card, Constraint
from ..errors import ConfigError
from .verb import Common

if TYPE_CHECKING:
    from ..limits import CountingModel
    from ..limits.model_files import ModelFile
    from ..work import EngineName


class Numbers(click.ParamType[list[float]]):
    """A list of numbers separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """The numbers, or click's error."""
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
        ConfigError: not a number, no period; as :meth:`na64root.config.Card.exposure`.
    """
    exposure: dict[str, float] = {}
    for value in values:
        period, separator, number = value.rpartition("=")
        try:
            eot = float(number)
        except ValueError:
            raise ConfigError(f"cannot use --eot {value} (no exposure): write --eot 2018=1.87e11") from None
        if period == "all" or not (separator or total):
            raise ConfigError(f"cannot use --eot {value} (no period given): write --eot 2018=1.87e11")
        # A bare N is of all periods, whatever came before.
        exposure = exposure | {period: eot} if separator else {"all": eot}
    card.exposure(exposure)
    return exposure


FILES = click.argument("files", nargs=-1, metavar="FILES...")


def INPUT(command: Callable[..., Any]) -> Callable[..., Any]:
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


OUTLIERS = click.option(
    "--exclude-outlier-spills", is_flag=True, help="Leave out the spills that `quality` flags."
)


def only_of_files(common: Common, **options: bool) -> None:
    """Refuse options on the events of FILES where there are none."""
    given = {"skip_bad_files": common.skip_bad_files, "good_runs": common.good_runs is not None, **options}
    for name, is_given in given.items():
        if is_given:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} without FILES (the counts are the card's): leave it out")


FORMAT = click.option(
    "--format",
    type=click.Choice(["ttree", "rntuple"]),
    default="ttree",
    show_default=True,
    help="What the events are written as; the columns are the same.",
)


EOT = click.option("--eot", multiple=True, metavar="PERIOD=N", help="Electrons on target of a run period.")


def ENGINE(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a verb that can work on a cluster; what they say becomes part of `common.work`."""

    @functools.wraps(command)
    def on_engine(common: Common, *, engine: EngineName, scheduler: str | None, **options: Any) -> Any:
        return command(dataclasses.replace(common, engine=engine, scheduler=scheduler), **options)

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
    return name(scheduler(on_engine))


BLIND = click.option(
    "--blind", is_flag=True, help="Hide the events in the signal boxes in everything that is written."
)


def signal_point(command: Callable[..., Any]) -> Callable[..., Any]:
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


FROM = click.option(
    "--from",
    "model_file",
    metavar="FILE",
    help="Model of a datacard, a pyhf or HS3 workspace, or our export.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a counting model; `_flags_model` makes it."""
    options: list[Callable[[Any], Any]] = [
        click.option("--observed", type=_Counts(), help="Events in each bin (default: the card's S1,S2)."),
        click.option("--background", type=Numbers(),
                     help="Expected in each bin (default: the card's S1,S2)."),
        click.option("--background-uncertainty", type=Numbers(),
                     help="Absolute (default: the card's, or 0 each)."),
        click.option("--signal-fraction", type=Numbers(),
                     help="Share of the signal in each bin (default: equal)."),
        click.option("--signal-uncertainty", type=float, help="Relative, all bins (default: 0)."),
        click.option("--constraint", type=click.Choice(["lognormal", "gaussian"]),
                     help="Of the signal (default: the card's, lognormal)."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def flags_model(
    card: Card,
    *,
    observed: list[int] | None,
    background: list[float] | None,
    background_uncertainty: list[float] | None,
    signal_fraction: list[float] | None,
    signal_uncertainty: float | None,
    constraint: Constraint | None,
) -> CountingModel:
    """The counting model that the flags of `limit` and `export` describe.

    Raises:
        ConfigError: numbers that are missing, or make no counting model.
    """
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
    from ..limits import CountingModel
    from ..limits.named_sources import LARGEST_RELATIVE

    for i, (value, error) in enumerate(zip(background, background_uncertainty or (), strict=False), 1):
        if error > LARGEST_RELATIVE * value > 0.0:
            warnings.warn(
                f"--background-uncertainty {error:g} of bin {i} is {error / value:.3g} times its background "
                "(absolute, in events; was per cent meant?)",
                stacklevel=2,
            )
    return CountingModel.from_lists(
        observed=observed,
        background=background,
        background_uncertainty=background_uncertainty or [0.0] * len(background),
        signal_fraction=signal_fraction or [1.0] * len(background),
        signal_uncertainty=signal_uncertainty or 0.0,
        constraint=constraint or card.limit.constraint,
    )


def model_of_file(path: str, flags: Mapping[str, Any]) -> ModelFile:
    """The counting model of a file, beside which no flag may describe another.

    Raises:
        ConfigError: a flag of :func:`flags_model` beside it.
        DataError: a file that holds no counting model.
    """
    for name, value in flags.items():
        if value is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} beside --from {path} (two counting models): give one or the "
                "other"
            )
    from ..limits.model_files import model_from

    return model_from(path)


class AxisOption(click.ParamType[Any]):
    """QUANTITY=LOW:HIGH[:POINTS[:lin]]"""

    name = "axis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The :class:`na64root.exclusion.grids.Axis`.

        Raises:
            ConfigError: not readable, or no axis.
        """
        from ..exclusion.grids import Axis

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


def need(files: tuple[str, ...]) -> None:
    """Raise click's UsageError where a verb has no files."""
    if not files:
        raise click.UsageError("missing FILES", click.get_current_context())
