"""Options that several verbs share, and what they say."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..config import SIGNATURES, Card
from ..errors import ConfigError
from .verb import Common

if TYPE_CHECKING:
    from ..limits import CountingModel
    from ..limits.model_files import ModelFile
    from ..records import LimitResult, ModelOfFile
    from ..selection import SelectionResult
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


# Without files a bare number is the exposure of all periods.
EOT_OF_CARD = click.option(
    "--eot",
    multiple=True,
    metavar="[PERIOD=]N",
    help="Electrons on target of a run period, or of all (default: the card's).",
)


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


def _changes_card(
    *flags: tuple[str, str, Any, str],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of values of the card: (flag, name in the card, type, help) each."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        names = {flag.strip("-").replace("-", "_"): name for flag, name, *_ in flags}

        @functools.wraps(command)
        def changed(common: Common, **options: Any) -> Any:
            given = {option: options.pop(option) for option in names}
            changes = {names[option]: value for option, value in given.items() if value is not None}
            common = dataclasses.replace(common, changes={**common.changes, **changes})
            if "beam.energy_GeV" in changes:
                _warn_of_beam(common)
            return command(common, **options)

        wrapped: Any = changed
        for flag, _, kind, text in reversed(flags):
            wrapped = click.option(flag, flag.strip("-").replace("-", "_"), type=kind, help=text)(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return decorate


def _warn_of_beam(common: Common) -> None:
    before = dataclasses.replace(common, changes={}).card.beam.energy_GeV.value
    after = common.card.beam.energy_GeV.value
    if before != after:
        logging.getLogger(__name__).warning(
            "exposure, background and cuts of the %g GeV beam are taken for one of %g GeV", before, after
        )


MODEL_FLAGS = {
    "--alpha-dark": "model.alpha_dark",
    "--mass-ratio": "model.mass_ratio",
    "--relative-splitting": "model.relative_splitting",
    "--beam-energy-GeV": "beam.energy_GeV",
    "--material": "target.material",
}


# The model behind the signal: options of every verb that computes one.
MODEL = _changes_card(
    ("--alpha-dark", MODEL_FLAGS["--alpha-dark"], float, "Dark coupling (default: the card's, 0.1)."),
    ("--mass-ratio", MODEL_FLAGS["--mass-ratio"], float, "m_A'/m_chi1 (default: the card's, 3)."),
    (
        "--relative-splitting",
        MODEL_FLAGS["--relative-splitting"],
        float,
        "(m_chi2 - m_chi1)/m_chi1 (default: the card's, 0.4).",
    ),
    ("--beam-energy-GeV", MODEL_FLAGS["--beam-energy-GeV"], float, "Default: the card's, 100."),
    ("--material", MODEL_FLAGS["--material"], str, "Of the target (default: the card's, Pb)."),
)


# Of the signal, in every counting model.
CONSTRAINT = _changes_card(
    (
        "--constraint",
        "limit.constraint",
        click.Choice(["lognormal", "gaussian"]),
        "Of the signal (default: the card's, lognormal).",
    )
)


_LEVEL_AND_TREATMENT = _changes_card(
    ("--cl", "limit.confidence_level", float, "Confidence level (default: the card's, 0.9)."),
    (
        "--treatment",
        "limit.treatment",
        click.Choice(["none", "frequentist", "hybrid"]),
        "Of the nuisances; none fixes every one (default: the card's, frequentist).",
    ),
)


def LIMIT(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every verb that sets limits: level, treatment and constraint."""
    return _LEVEL_AND_TREATMENT(CONSTRAINT(command))


BLIND = click.option(
    "--blind", is_flag=True, help="Hide the events in the signal boxes in everything that is written."
)


def signal_point(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a simulated signal, those of its model included."""
    command = MODEL(command)
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
    """The options that describe a counting model; :func:`model_of_options` makes it."""
    options: list[Callable[[Any], Any]] = [
        click.option("--observed", type=_Counts(), help="Events in each bin (default: the card's S1,S2)."),
        click.option("--background", type=Numbers(),
                     help="Expected in each bin (default: the card's S1,S2)."),
        click.option("--background-uncertainty", type=Numbers(),
                     help="Absolute (default: the card's, or 0 each)."),
        click.option("--signal-fraction", type=Numbers(),
                     help="Share of the signal in each bin (default: equal; without --observed and "
                     "--background as at the end of the excluded g-2 line)."),
        click.option("--signal-uncertainty", type=float,
                     help="Relative, all bins (default: 0; without --observed and --background the card's)."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class ModelFlags:
    """What :func:`model_options` say of a counting model; None where they say nothing."""

    observed: list[int] | None
    background: list[float] | None
    background_uncertainty: list[float] | None
    signal_fraction: list[float] | None
    signal_uncertainty: float | None

    @property
    def given(self) -> list[str]:
        """The options that were given."""
        values = dataclasses.asdict(self)
        return [f"--{name.replace('_', '-')}" for name, value in values.items() if value is not None]

    @property
    def are_counts(self) -> bool:
        """Whether they are an experiment of their own, and not the card's with other uncertainties."""
        return self.observed is not None or self.background is not None

    def model(self, card: Card) -> CountingModel:
        """The counting model of these counts, with equal shares and no uncertainties but those given.

        Raises:
            ConfigError: numbers that are missing, or make no counting model.
        """
        observed, background, uncertainty = self.observed, self.background, self.background_uncertainty
        if background is None:
            counts = [card.limit.counts(signature) for signature in SIGNATURES]
            background = [c.background.value for c in counts]
            if uncertainty is None:
                uncertainty = [c.background_uncertainty.value for c in counts]
        if observed is None:
            raise ConfigError(
                "--background without --observed (the card's counts are for its own bins): give both"
            )
        from ..limits import CountingModel
        from ..limits.named_sources import LARGEST_RELATIVE

        for i, (value, error) in enumerate(zip(background, uncertainty or (), strict=False), 1):
            if math.inf > error > LARGEST_RELATIVE * value > 0.0:
                warnings.warn(
                    f"--background-uncertainty {error:g} of bin {i} is {error / value:.3g} times its "
                    "background (absolute, in events; was per cent meant?)",
                    stacklevel=2,
                )
        return CountingModel.from_lists(
            observed=observed,
            background=background,
            background_uncertainty=uncertainty or [0.0] * len(background),
            signal_fraction=self.signal_fraction or [1.0] * len(background),
            signal_uncertainty=self.signal_uncertainty or 0.0,
            constraint=card.limit.constraint,
        )

    def changed(self, model: CountingModel) -> CountingModel:
        """The card's model with the uncertainties and shares that are given.

        Raises:
            ConfigError: lists that are not one value per bin, or make no counting model.
        """
        bins = list(model.bins)
        for field, values in (
            ("background_uncertainty", self.background_uncertainty),
            ("signal_fraction", self.signal_fraction),
        ):
            if values is None:
                continue
            if len(values) != len(bins):
                raise ConfigError(
                    f"--{field.replace('_', '-')} has {len(values)} values for {len(bins)} bins "
                    f"({', '.join(b.name for b in bins)}): give one per bin"
                )
            changes: list[dict[str, Any]] = [{field: value} for value in values]
            bins = [dataclasses.replace(b, **change) for b, change in zip(bins, changes, strict=True)]
        model = dataclasses.replace(model, bins=tuple(bins))
        if self.signal_uncertainty is None:
            return model
        return dataclasses.replace(model, signal_sources={}, signal_uncertainty=self.signal_uncertainty)


def require_one_model(
    common: Common,
    eot: tuple[str, ...],
    flags: Mapping[str, Any],
    files: tuple[str, ...] = (),
    **of_events: bool,
) -> ModelFlags:
    """What options say of a counting model, before anything is read.

    Raises:
        ConfigError: two counting models in one command; options on events without FILES.
    """
    described = ModelFlags(**flags)
    of_signal = [flag for flag, name in MODEL_FLAGS.items() if name in common.changes]
    others = []
    if files:
        others = ["FILES"]
    elif described.are_counts:
        others = [*(["--eot"] if eot else []), *of_signal]
    if described.given and others:
        raise ConfigError(
            f"{described.given[0]} beside {others[0]} (two counting models): give one or the other"
        )
    if not files:
        only_of_files(common, **of_events)
    return described


def model_of_options(
    common: Common,
    eot: tuple[str, ...],
    flags: Mapping[str, Any],
    files: tuple[str, ...] = (),
    *,
    exclude_outlier_spills: bool = False,
    blind: bool = False,
) -> tuple[CountingModel, SelectionResult | None]:
    """The one counting model of every verb: of FILES, of the card, or of counts given by options.

    Without --observed and --background it is the card's, its signal shared as at the end of the excluded part
    of the central g-2 line; the other options change its uncertainties and shares.

    Args:
        flags: the values of :func:`model_options`.

    Returns:
        the model, and the selection of the files.

    Raises:
        ConfigError: as :func:`require_one_model`; numbers that make no counting model.
    """
    card = common.card
    described = require_one_model(
        common, eot, flags, files, exclude_outlier_spills=exclude_outlier_spills, blind=blind
    )
    if described.are_counts:
        return described.model(card), None
    from ..analyze import DataOptions, counting_model

    exposure = exposure_option(card, eot, total=not files)
    options = DataOptions(exposure, exclude_outlier_spills, blind=blind)
    model, selected = counting_model(files, card, options, work=common.work)
    return described.changed(model), selected


def require_one_source(model_file: str | None, files: tuple[str, ...], *, hepdata: bool = False) -> None:
    """Refuse a file of a counting model beside events, or beside results.

    Raises:
        ConfigError: both are given.
    """
    if model_file is not None and (files or hepdata):
        beside = "FILES" if files else "--format hepdata"
        raise ConfigError(f"--from beside {beside} (two counting models): give one or the other")


def model_of_file(path: str, common: Common, eot: tuple[str, ...], flags: Mapping[str, Any]) -> ModelFile:
    """The counting model of a file, beside which no option may describe another.

    Raises:
        ConfigError: an option of another model beside it.
        DataError: a file that holds no counting model.
    """
    of_card = {**MODEL_FLAGS, "--constraint": "limit.constraint"}
    given = [
        *ModelFlags(**flags).given,
        *(["--eot"] if eot else []),
        *(flag for flag, name in of_card.items() if name in common.changes),
    ]
    if given:
        raise ConfigError(f"{given[0]} beside --from {path} (two counting models): give one or the other")
    from ..limits.model_files import model_from

    return model_from(path)


def limits_of_file(of: ModelFile, result: LimitResult, blind: bool = False) -> ModelOfFile:
    """The file of a model, and the limits on its own parameter of interest."""
    from ..records import Expected, ModelOfFile
    from ..records.files import sha256_of

    expected = {
        name: None if value is None else value / of.signal_events
        for name, value in dict(result.expected).items()
    }
    return ModelOfFile(
        path=str(of.path),
        format=of.format,
        sha256=sha256_of(of.path),
        signal_events=of.signal_events,
        upper_limit=None if blind else result.upper_limit / of.signal_events,
        expected=Expected(**expected),
    )


def require_no_axis(common: Common, *quantities: str) -> None:
    """Refuse an option of the model that an axis gives too.

    Raises:
        ConfigError: both are given.
    """
    flags = {"alpha": "--alpha-dark", "ratio": "--mass-ratio", "splitting": "--relative-splitting"}
    for quantity in quantities:
        if quantity in flags and MODEL_FLAGS[flags[quantity]] in common.changes:
            raise ConfigError(f"{flags[quantity]} beside an axis {quantity} (both give it): give one of them")


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
