"""Systematic variations of the selection: the card's sources, event by event.

They are variations of the compiled library, or of RDataFrame (Vary) where strings are booked, in the event
loop of the selection: every cut sees the varied quantities, and the counts after the last cut of each
signature come out once for each direction of each source. A source that varies several columns varies them
together. Smearing draws its random numbers from the seed and the event's run, spill and number in the spill,
so that neither threads nor the order of the files matter.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import cling
from ..config import Card, Signature, SystematicSource, VariationKind
from ..errors import ConfigError
from ..event_loop.compiled import Node, Result, Variation, define
from ..event_loop.expressions import Expression, literal
from ..event_loop.histograms import Histogram, bins, record, stable, variances
from ..event_loop.words import for_rdataframe
from ..ntuple import Ntuple
from ..records import Record
from .cut_table import Cut

# Quantities derived from branches that a source can vary, beside the floating branches that cuts read.
QUANTITIES = {"out_of_time": "na64_out_of_time"}


NOMINAL = "na64_nominal"


# The histograms of the selection that are also filled under each variation.
VARIED_HISTOGRAMS = ("ecal_hcal_preselection", "momentum", "r")


# A sum of squared weights below this share of another one is what rounding leaves of zero.
ROUNDING = 1e-12


class SystematicEffect(Record):
    """What one source does to the events of a bin that pass every cut: events of data, weights of simulation.

    The errors are statistical, of the shift from `nominal`: it is made by the events that pass before or
    after the variation and not both, so that its error is the root of the sum of their squared weights.
    Smearing has one direction, `up`, a worse resolution. `relative` is the symmetrised effect, the mean of
    |up - nominal| and |down - nominal| over nominal (the first alone without `down`); null where nothing
    passes.
    """

    source: str
    kind: VariationKind
    size: float
    period: str
    signature: Signature
    nominal: float
    up: float
    up_shift_error: float
    down: float | None
    down_shift_error: float | None
    relative: float | None
    relative_error: float | None


class Variations:
    """The card's sources in one computation graph: call the methods in this order, then run the loop."""

    def __init__(self, card: Card, ntuple: Ntuple, seed: int) -> None:
        """
        Raises:
            ConfigError: the card has no sources, or one names an unknown column.
        """
        self._card, self._seed = card, seed
        known = [b.name for b in ntuple.schema.branches if b.used and b.kind == "floating"]
        known = [name for name in known if name != "mcWeight"] + list(QUANTITIES)
        if not card.systematics.sources:
            raise ConfigError(
                f"card {card.card.name} has no systematics.sources (nothing to vary): declare them, as in "
                "the card paper2021"
            )
        for name, source in card.systematics.sources.items():
            for column in source.columns:
                if column not in known:
                    raise ConfigError(
                        f"unknown column {column} in systematics.sources.{name} (known: {', '.join(known)}): "
                        "correct it"
                    )
        present = ntuple.present | {
            name for name in QUANTITIES if not ntuple.schema.missing_for("pile_up", ntuple.present)
        }
        self._columns = {
            name: [column for column in source.columns if column in present]
            for name, source in card.systematics.sources.items()
        }
        self._begin(distributed=False)

    def _begin(self, *, distributed: bool) -> None:
        self._distributed = distributed
        self._is_compiled = False
        self._compiled: dict[str, Variation] = {}
        self._booked: dict[Signature, Any] = {}
        self._sums: dict[Signature, Callable[[], dict[str, _Split]]] = {}
        self._histograms: dict[str, tuple[str, Sequence[str], Any]] = {}
        self._varied_histograms: dict[str, Callable[[], dict[str, Any]]] = {}

    @property
    def sources(self) -> dict[str, SystematicSource]:
        """The sources that the input has a column for."""
        return {name: s for name, s in self._card.systematics.sources.items() if self._columns[name]}

    @property
    def notes(self) -> list[str]:
        """What is not varied, and why."""
        return [
            f"systematic source {name} is not varied (no branch {', '.join(source.columns)})"
            for name, source in self._card.systematics.sources.items()
            if name not in self.sources
        ]

    def on_branches(
        self, frame: Any, definitions: Mapping[str, Expression], cuts: Mapping[Signature, Sequence[Cut]]
    ) -> Any:
        """The branches varied; before that, which signatures the event passes without any variation.

        Args:
            definitions, cuts: of the cut table, for all that is defined and filtered after this.
        """
        self._begin(distributed=not isinstance(frame, Node) and cling.is_distributed(frame))
        self._is_compiled = isinstance(frame, Node)
        if isinstance(frame, Node):
            return frame  # what a stage reads is varied after it
        frame = define(frame, NOMINAL, _nominal(definitions, cuts))
        return self._vary(frame, derived=False)

    def on_quantities(self, frame: Any) -> Any:
        """The derived quantities varied, once they are defined."""
        if isinstance(frame, Node):
            self._compiled = {key: frame.vary(*how, columns) for key, how, columns in self._directions()}
            return frame
        return self._vary(frame, derived=True)

    def book(self, signature: Signature, node: Any) -> None:
        """Count the events that reach the last node of a signature, in each variation."""
        if isinstance(node, Node):
            self._sums[signature] = self._book_compiled(node)
            return
        periods = len(self._card.periods)
        model = ("", "", periods, -0.5, periods - 0.5, 4, -0.5, 3.5)
        self._booked[signature] = node.Histo2D(model, "na64_period", NOMINAL, "na64_weight")

    def keep(self, name: str, title: str, axes: Sequence[str], action: Any) -> None:
        """Also fill a booked histogram under each variation that reaches it."""
        self._histograms[name] = title, axes, action
        if isinstance(action, Result):
            of_all = {key: variation.of_histogram(action) for key, variation in self._compiled.items()}
            varied = {key: result for key, result in of_all.items() if result is not None}
            self._varied_histograms[name] = lambda: varied

    def prepare(self) -> None:
        """Ask for the variations, after everything else is booked: each call compiles what is new."""
        if self._is_compiled:
            return
        RDF = cling.root().RDF
        varied = (RDF.Distributed if self._distributed else RDF.Experimental).VariationsFor
        for signature, action in self._booked.items():
            self._sums[signature] = functools.partial(self._split, varied(action), signature)
        for name, (*_, action) in self._histograms.items():
            self._varied_histograms[name] = functools.partial(_by_variation, varied(action))

    def histograms(self, weighted: bool) -> dict[str, Histogram]:
        """The varied histograms: ``r_hcal_scale_up`` is ``r`` under the source hcal_scale, up."""
        found = {}
        for name, filled in self._varied_histograms.items():
            title, axes, _ = self._histograms[name]
            for key, action in filled().items():
                what = key.replace(":", " ")
                varied_name = f"{name}_{what.replace(' ', '_')}"
                found[varied_name] = record(action, f"{title}, {what}", axes, weighted)
        return found

    def effects(self) -> list[SystematicEffect]:
        """What each source does, source by source, in each period and signature."""
        found = []
        sums = {signature: of_all() for signature, of_all in self._sums.items()}
        for name, source in self.sources.items():
            for i, period in enumerate(self._card.periods):
                for signature, of_variation in sums.items():
                    nominal, square = (a[i] for a in of_variation["nominal"][1])
                    shifts = [
                        # Of a source that changes no cut of the signature there is nothing but the nominal.
                        _shift(nominal, square, of_variation.get(f"{name}:{tag}", of_variation["nominal"]), i)
                        for tag in _tags(source)
                    ]
                    found.append(
                        SystematicEffect(
                            source=name,
                            kind=source.kind,
                            size=source.size.value,
                            period=period.name,
                            signature=signature,
                            **_measured(float(nominal), shifts),
                        )
                    )
        return found

    # An event is in the graph with its nominal verdict, so that a varied count can be split into what
    # passes nominally too and what only the variation brings in.
    def _split(self, varied: Any, signature: Signature) -> dict[str, _Split]:
        """By variation: weights and their squares of events that fail nominally, and of those that pass."""
        shape = (len(self._card.periods), 4)
        inside = (slice(1, -1), slice(1, -1))
        passes = np.array([bool(bits & _bit(signature)) for bits in range(4)])
        found = {}
        for key in varied.GetKeys():
            both = bins(varied[key], shape)[inside], variances(varied[key], shape)[inside]
            outside, within = (
                tuple(values[:, chosen].sum(axis=1) for values in both) for chosen in (~passes, passes)
            )
            found[str(key)] = (outside[0], outside[1]), (within[0], within[1])
        return found

    def _book_compiled(self, nominal: Node) -> Callable[[], dict[str, _Split]]:
        """What gives the same as `_split`, booked on the last node of a signature."""
        periods = len(self._card.periods)

        def booked(node: Node) -> Any:
            model = ("", "", periods, -0.5, periods - 0.5)
            return node.Histo1D(model, "na64_period", "na64_weight")

        all_nominal, parts = booked(nominal), {}
        for key, variation in self._compiled.items():
            if (varied := variation.of_node(nominal)) is not None:
                outside = varied.without([nominal])
                parts[key] = booked(outside), booked(varied.without([outside]))

        def sums(action: Any) -> _Sums:
            filled = action.GetValue()
            return bins(filled, (periods,))[1:-1], variances(filled, (periods,))[1:-1]

        def split() -> dict[str, _Split]:
            nothing = np.zeros(periods)
            found = {key: (sums(outside), sums(within)) for key, (outside, within) in parts.items()}
            return {"nominal": ((nothing, nothing), sums(all_nominal))} | found

        return split

    def _directions(self) -> Iterator[tuple[str, tuple[str, float, int, int], list[str]]]:
        """Each direction of each source as the compiled library takes it, by its name in RDataFrame."""
        for name, source in self.sources.items():
            columns = [QUANTITIES.get(column, column) for column in self._columns[name]]
            for tag in _tags(source):
                size = source.size.value if tag == "up" else -source.size.value
                yield f"{name}:{tag}", (source.kind, size, self._seed, source_number(name)), columns

    def _vary(self, frame: Any, *, derived: bool) -> Any:
        for name, source in self.sources.items():
            groups: dict[str, list[str]] = {}
            for column in self._columns[name]:
                if (column in QUANTITIES) == derived:
                    node_column = QUANTITIES.get(column, column)
                    groups.setdefault(str(frame.GetColumnType(node_column)), []).append(node_column)
            # Columns of one type in one call; several calls of one name vary together too.
            for columns in groups.values():
                frame = frame.Vary(
                    columns if len(columns) > 1 else columns[0],
                    for_rdataframe(frame, _expression(name, source, columns, self._seed)),
                    list(_tags(source)),
                    name,
                )
        return frame


_Sums = tuple[NDArray[np.float64], NDArray[np.float64]]


_Split = tuple[_Sums, _Sums]


def _by_variation(varied: Any) -> dict[str, Any]:
    return {str(key): varied[key] for key in varied.GetKeys() if str(key) != "nominal"}


def declare_variations() -> None:
    """Make known to Cling what the expressions call."""
    cling.declare_header("variations.hpp")


def _bit(signature: Signature) -> int:
    return 1 if signature == "S1" else 2


def _tags(source: SystematicSource) -> tuple[str, ...]:
    return ("up", "down") if source.kind in ("scale", "threshold") else ("up",)


def source_number(name: str) -> int:
    """What tells the random numbers of one source from those of another, whatever else the card holds."""
    return zlib.crc32(name.encode())


def _expression(name: str, source: SystematicSource, columns: Sequence[str], seed: int) -> str:
    """The columns under each change, in C++; names that no branch has, since RDataFrame replaces those."""
    size = source.size.value
    function = {
        "scale": "scaled",
        "threshold": "against_threshold",
        "resolution": "smeared",
        "stochastic": "smeared_stochastic",
    }[source.kind]
    event = ", ".join(f"static_cast<std::uint32_t>({n})" for n in ("run", "spill", "spillevent"))
    arguments = literal(size)
    lines = []
    if source.kind in ("resolution", "stochastic"):
        normal = f"na64root::event_normal({seed}ull, {event}, {source_number(name)}u)"
        lines.append(f"const double na64_normal = {normal};")
        arguments += ", na64_normal"
    for tag in _tags(source):
        relative = arguments if tag == "up" else f"-{arguments}"
        call = f"na64root::{function}(na64_value, {relative})"
        lines.append(f"const auto na64_{tag} = [&](double na64_value) {{ return {call}; }};")
    changes = ", ".join(f"na64_{tag}" for tag in _tags(source))
    varied = [f"na64root::variations({column}, {changes})" for column in columns]
    result = varied[0]
    if len(varied) > 1:
        result = f"ROOT::RVec<std::decay_t<decltype({varied[0]})>>{{{', '.join(varied)}}}"
    return " ".join([*lines, f"return {result};"])


def _nominal(definitions: Mapping[str, Expression], cuts: Mapping[Signature, Sequence[Cut]]) -> str:
    """Bits of the signatures that an event passes, from the branches alone."""
    lines = []
    for name, derived in definitions.items():
        expression = derived.expression
        body = expression if "return " in expression else f"return {expression};"
        lines.append(f"[[maybe_unused]] const auto {name} = [&] {{ {body} }}();")
    bits = []
    for signature, table in cuts.items():
        passes = " && ".join(cut.expression for cut in table if cut.expression is not None)
        bits.append(f"(({passes or 'true'}) ? {_bit(signature)} : 0)")
    return " ".join([*lines, f"return static_cast<double>({' + '.join(bits)});"])


def _shift(nominal: float, square: float, sums: _Split, period: int) -> tuple[float, float]:
    """Weight gained less weight lost, and its statistical error."""
    (gained, gained_square), (kept, kept_square) = ((a[period], b[period]) for a, b in sums)
    lost_square = square - kept_square
    # What stays is summed twice, in another order of events on several threads.
    if lost_square <= ROUNDING * square:
        return float(gained), math.sqrt(gained_square)
    return float(gained - (nominal - kept)), math.sqrt(gained_square + lost_square)


def _measured(nominal: float, shifts: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The numbers of an effect."""
    relative, error = symmetrised(nominal, shifts) or (None, None)
    up, down = shifts[0], shifts[1] if len(shifts) > 1 else None
    return {
        "nominal": stable(nominal),
        "up": stable(nominal + up[0]),
        "up_shift_error": stable(up[1]),
        "down": None if down is None else stable(nominal + down[0]),
        "down_shift_error": None if down is None else stable(down[1]),
        "relative": relative,
        "relative_error": error,
    }


def symmetrised(nominal: float, shifts: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The mean size of the shifts over nominal, and its error; None where nothing passes nominally.

    Where up and down go to opposite sides it is half their difference; where they go to the same side it does
    not cancel. The directions move different events, so that their errors add in quadrature.

    Args:
        shifts: of each direction the shift and its statistical error.
    """
    if not nominal > 0.0:
        return None
    scale = 1.0 / (nominal * len(shifts))
    return (
        stable(scale * math.fsum(abs(shift) for shift, _ in shifts)),
        stable(scale * math.hypot(*(error for _, error in shifts))),
    )


def scaled_sum(parts: Iterable[tuple[float, SystematicEffect]]) -> SystematicEffect:
    """One source in one bin over several samples, each times a factor; they have no event in common."""
    weighed = list(parts)
    return weighed[0][1].model_copy(update=_measured(*_total(weighed)))


def of_total(effects: Iterable[SystematicEffect]) -> tuple[float, float] | None:
    """The symmetrised effect of one source on the sum of several bins, and its error.

    A shift from one bin into another leaves the sum.
    """
    return symmetrised(*_total([(1.0, effect) for effect in effects]))


def require_all(card: Card, varied: Collection[str]) -> None:
    """Refuse a limit without a source of the card: what takes its place would hold only part of the detector.

    Raises:
        ConfigError: one of the card's sources is not among those varied.
    """
    if missing := [name for name in card.systematics.sources if name not in varied]:
        columns = dict.fromkeys(c for name in missing for c in card.systematics.sources[name].columns)
        raise ConfigError(
            f"the signal sample was not varied by {', '.join(missing)} (systematics.in_limit = varied puts "
            f"all sources in place of {', '.join(card.systematics.replaces) or 'none'}): give a sample with "
            f"{', '.join(columns)}, a card without these sources, or set in_limit to published"
        )


def _total(parts: Sequence[tuple[float, SystematicEffect]]) -> tuple[float, list[tuple[float, float]]]:
    nominal = math.fsum(scale * e.nominal for scale, e in parts)
    shifts = [
        (
            math.fsum(scale * (e.up - e.nominal) for scale, e in parts),
            math.hypot(*(scale * e.up_shift_error for scale, e in parts)),
        )
    ]
    if all(e.down is not None for _, e in parts):
        shifts.append(
            (
                math.fsum(scale * ((e.down or 0.0) - e.nominal) for scale, e in parts),
                math.hypot(*(scale * (e.down_shift_error or 0.0) for scale, e in parts)),
            )
        )
    return nominal, shifts
