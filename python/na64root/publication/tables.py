"""Tables of results: numbers with units, what they hold for, and their uncertainties; nothing is computed.

A cell is a number, a text, a bin (its two edges), or null where there is no number. An uncertainty is a
number where it is symmetric, (minus, plus) with their signs where it is not, and null where there is none.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import field_validator, model_validator

from ..analyze import Analysis
from ..backgrounds import Backgrounds
from ..config import SIGNATURES, Card
from ..errors import ConfigError
from ..limits.export import Exported
from ..records import (
    Count,
    CutFlowRow,
    Expected,
    LimitReport,
    LimitResult,
    PlaneResult,
    Record,
    cuts_in_order,
)
from ..reports.selection_report import SelectionReport
from ..simulation.acceptance import AcceptanceReport
from ..simulation.efficiency_map import EfficiencyMap
from .sources import MAP, Source

Cell = int | float | str | tuple[float, float] | None

# The longest name of a table that HEPData takes.
LONGEST_NAME = 64


class Qualifier(Record):
    """What the numbers of a column hold for."""

    name: str
    value: int | float | str
    units: str = ""


class Uncertainty(Record):
    """One uncertainty of each cell of a column."""

    label: str
    values: list[float | tuple[float, float] | None]

    @field_validator("values")
    @classmethod
    def _plain(cls, values: list[Any]) -> list[Any]:
        """(-x, x) is x, and zero is none: a table says the same in one way."""
        plain = [v[1] if isinstance(v, tuple) and v[0] == -v[1] else v for v in values]
        return [None if v == 0.0 else v for v in plain]


class Column(Record):
    """A variable of a table."""

    name: str
    units: str = ""
    values: list[Cell]
    qualifiers: list[Qualifier] = []
    uncertainties: list[Uncertainty] = []

    @field_validator("uncertainties")
    @classmethod
    def _of_some_cell(cls, uncertainties: list[Uncertainty]) -> list[Uncertainty]:
        return [u for u in uncertainties if any(value is not None for value in u.values)]

    @model_validator(mode="after")
    def _same_lengths(self) -> "Column":
        for uncertainty in self.uncertainties:
            if len(uncertainty.values) != len(self.values):
                raise ValueError(f"{uncertainty.label} of {self.name} has another length")
        return self


class Table(Record):
    """Columns of one length; `keywords` are those of HEPData: reactions, observables, phrases."""

    name: str
    description: str
    keywords: dict[str, list[str]]
    independent: list[Column]
    dependent: list[Column]

    @model_validator(mode="after")
    def _same_lengths(self) -> "Table":
        if len({len(column.values) for column in [*self.independent, *self.dependent]}) != 1:
            raise ValueError(f"{self.name} has columns of different lengths, or none")
        return self

    def column(self, name: str) -> Column:
        """The first column of that name.

        Raises:
            ConfigError: there is none.
        """
        for column in [*self.independent, *self.dependent]:
            if column.name == name:
                return column
        names = ", ".join(column.name for column in [*self.independent, *self.dependent])
        raise ConfigError(f"no column {name} in table {self.name} (known: {names}): correct it")


# The axes of planes: header and unit, and the qualifiers that an axis takes the place of.
AXES: dict[str, tuple[str, str]] = {
    "mass": ("$m_{A'}$", "GeV"),
    "mass1": (r"$m_{\chi_1}$", "GeV"),
    "m_chi": (r"$m_{\chi_1}$", "GeV"),
    "epsilon": (r"$\epsilon$", ""),
    "g": ("$g$", ""),
    "alpha": (r"$\alpha_D$", ""),
    "ratio": (r"$m_{A'}/m_{\chi_1}$", ""),
    "splitting": (r"$\Delta/m_{\chi_1}$", ""),
    "y": (r"$y = \alpha_D \epsilon^2 (m_{\chi_1}/m_{A'})^4$", ""),
}
ALPHA, RATIO, SPLITTING, EPSILON, MASS = (
    AXES[name][0] for name in ("alpha", "ratio", "splitting", "epsilon", "mass")
)

LEVELS = {
    "minus2": "expected, -2 sigma",
    "minus1": "expected, -1 sigma",
    "median": "expected, median",
    "plus1": "expected, +1 sigma",
    "plus2": "expected, +2 sigma",
}

# What S2 counts, by `signal.s2` of the card.
S2_READING = "S2 counts decays"
S2_READINGS = {"beyond": "behind HCAL3", "inclusive": "wherever the selection leaves them"}

STAND_IN = "expected, for the most probable counts without signal"

SIGNAL_EVENTS = "signal events (S1 + S2)"


def tables_of(source: Source) -> list[Table]:
    """All tables of a result.

    Raises:
        ConfigError: a plane with an axis that has no name here.
    """
    return _OF_KIND[source.kind](source.record, source)


def named_apart(tables: Iterable[Table]) -> list[Table]:
    """The same tables, a number behind a name that was there before."""
    seen: dict[str, int] = {}
    result = []
    for table in tables:
        short = table.name[:LONGEST_NAME]
        seen[short] = number = seen.get(short, 0) + 1
        ending = f" ({number})" if number > 1 else ""
        result.append(table.model_copy(update={"name": short[: LONGEST_NAME - len(ending)] + ending}))
    return result


def _keywords(card: Card, *observables: str) -> dict[str, list[str]]:
    """Those of HEPData; a mediator that is no dark photon has its name and no reaction of its particles."""
    phrases = ["inelastic dark matter", "semi-visible decay", "fixed target", "NA64"]
    if card.model.mediator != "kinetic_mixing":
        return {"observables": list(observables), "phrases": [_mediator(card), *phrases]}
    lepton = "E+" if card.beam.particle == "e+" else "E-"
    nucleus = card.target.material.upper()
    return {
        "reactions": [f"{lepton} {nucleus} --> {lepton} {nucleus} DARKPHOTON"],
        "observables": list(observables),
        "phrases": ["dark photon", *phrases],
    }


def _qualifiers(card: Card, *axes: str) -> list[Qualifier]:
    """The beam, the mediator and the dark sector of a card, without what the axes of a plane give."""
    model = card.model
    found = [
        Qualifier(name="Beam", value=getattr(card.beam, "particle", "e-")),
        Qualifier(name="Beam energy", value=card.beam.energy_GeV.value, units="GeV"),
        Qualifier(name="Target", value=card.target.material),
        Qualifier(name="Mediator", value=_mediator(card)),
    ]
    dark = {"alpha": model.alpha_dark, "ratio": model.mass_ratio, "splitting": model.relative_splitting}
    found += [Qualifier(name=AXES[a][0], value=q.value) for a, q in dark.items() if a not in axes]
    found.append(Qualifier(name=S2_READING, value=S2_READINGS[card.signal.s2]))
    found.append(Qualifier(name="Signal from", value=card.signal.acceptance))
    return found


def _mediator(card: Card) -> str:
    named = getattr(card.model, "mediator", None)
    if named is None:
        return "dark photon A', vector, kinetic mixing"
    name = str(getattr(named, "name", named))
    return name if card.model.coupling == "vector" else f"{card.model.coupling}, {name}"


def _level(cl: float) -> Qualifier:
    return Qualifier(name="Confidence level", value=cl)


def _origin(source: Source) -> str:
    made = source.record.provenance
    inputs = f", {len(made.input_files)} input files" if made.input_files else ""
    return (
        f"na64root {source.kind}, version {made.na64root}, card {made.card} "
        f"(SHA-256 {made.card_sha256[:16]}){inputs}."
    )


def _analysis(record: Analysis, source: Source) -> list[Table]:
    nothing_observed = record.blind or (record.limit is not None and record.limit.kind == "expected")
    tables = _selected(record, source, observed=not nothing_observed)
    if record.limit is not None:
        observed = record.limit.kind == "observed"
        tables.append(_limits(record.limit.named, source, _qualifiers(source.card), observed=observed))
    ends = record.exclusion
    if any(low is not None for low in ends.epsilon_low):
        edges = ends.mass_GeV, ends.epsilon_low, ends.epsilon_high
        tables.append(_range(*edges, source, mode=ends.mode, observed=not nothing_observed))
    return tables


def _selected(record: Analysis | SelectionReport, source: Source, *, observed: bool) -> list[Table]:
    """Cut flows, events left out, counts in the signal boxes."""
    tables = [_cut_flow(signature, record.cutflow, source) for signature in SIGNATURES]
    left_out = [row for row in record.cutflow if row.signature not in SIGNATURES or not _in_card(row, source)]
    if left_out:
        tables.append(_left_out(left_out, source))
    tables.append(_counts(record.counts, source, observed=observed))
    if record.expected:
        tables.append(_weighted_counts(record, source))
    return tables


def _selection(record: SelectionReport, source: Source) -> list[Table]:
    """A selection without limit: weighted events are simulation, of which nothing is observed."""
    return _selected(record, source, observed=not (record.blind or record.expected))


def _backgrounds(record: Backgrounds, source: Source) -> list[Table]:
    """Estimates from control regions, beside what is published; none looks into the signal boxes."""
    rows = [(name, "published", *found) for name, found in record.published.items()]
    rows += [(e.signature, e.method, e.value, e.uncertainty) for e in record.estimates]
    of_what = ", estimated from weighted simulation and not from data" if record.weighted else ""
    regions = [(e.signature, e.method, *one) for e in record.estimates for one in e.events.items()]
    tables = []
    if rows:
        tables.append(
            Table(
                name="Backgrounds",
                description=f"Backgrounds in the signal boxes, by their method{of_what}. {_origin(source)}",
                keywords=_keywords(source.card, "N"),
                independent=[
                    Column(name="Signature", values=[row[0] for row in rows]),
                    Column(name="Method", values=[row[1] for row in rows]),
                ],
                dependent=[
                    Column(
                        name="Background events",
                        values=[row[2] for row in rows],
                        uncertainties=[Uncertainty(label="total", values=[row[3] for row in rows])],
                    )
                ],
            )
        )
    if regions:
        tables.append(
            Table(
                name="Events in control regions",
                description=f"Events that the estimates of backgrounds rest on{of_what}. {_origin(source)}",
                keywords=_keywords(source.card, "N"),
                independent=[
                    Column(name="Signature", values=[row[0] for row in regions]),
                    Column(name="Method", values=[row[1] for row in regions]),
                    Column(name="Region", values=[row[2] for row in regions]),
                ],
                dependent=[
                    Column(
                        name="Sum of weights" if record.weighted else "Events",
                        values=[row[3] for row in regions],
                    )
                ],
            )
        )
    return tables


def _in_card(row: CutFlowRow, source: Source) -> bool:
    return row.period in [period.name for period in source.card.periods]


def _cut_flow(signature: str, rows: Sequence[CutFlowRow], source: Source) -> Table:
    flow = [row for row in rows if row.signature == signature and _in_card(row, source)]
    order = cuts_in_order(flow)
    weighted = any(row.weighted != row.events for row in flow)
    columns = []
    for period in source.card.periods:
        events: dict[str, Cell] = {
            row.cut: row.weighted if weighted else row.events for row in flow if row.period == period.name
        }
        if events:
            columns.append(
                Column(
                    name="Sum of weights" if weighted else "Events",
                    values=[events.get(cut) for cut in order],
                    qualifiers=[
                        Qualifier(name="Signature", value=signature),
                        Qualifier(name="Run period", value=period.name),
                    ],
                )
            )
    hidden = " The signal boxes are hidden: the flow ends before them." if source.blind else ""
    return Table(
        name=f"Cut flow {signature}",
        description=f"Events left after each cut of {signature}, by run period.{hidden} {_origin(source)}",
        keywords=_keywords(source.card, "N"),
        independent=[Column(name="Cut", values=list(order))],
        dependent=columns,
    )


def _left_out(rows: Sequence[CutFlowRow], source: Source) -> Table:
    """Events in no run period, counted once, not for each signature."""
    reasons = {row.period: row.events for row in rows if row.cut == "initial"}
    return Table(
        name="Events left out",
        description=f"Events of the input that belong to no run period, by the reason. {_origin(source)}",
        keywords=_keywords(source.card, "N"),
        independent=[Column(name="Reason", values=list(reasons))],
        dependent=[Column(name="Events", values=list(reasons.values()))],
    )


def _counts(counts: Sequence[Count], source: Source, *, observed: bool) -> Table:
    qualifiers = _qualifiers(source.card)
    columns = []
    if observed:
        columns.append(
            Column(name="Observed events", values=[c.observed for c in counts], qualifiers=qualifiers)
        )
    columns.append(
        Column(
            name="Background events",
            values=[c.background for c in counts],
            qualifiers=qualifiers,
            uncertainties=[Uncertainty(label="total", values=[c.background_uncertainty for c in counts])],
        )
    )
    why = "" if observed else " Nothing is observed: the signal boxes are hidden, or the input is simulation."
    return Table(
        name="Events",
        description=f"Events in the signal boxes and their expected background.{why} {_origin(source)}",
        keywords=_keywords(source.card, "N"),
        independent=[
            Column(name="Run period", values=[c.period for c in counts]),
            Column(name="Signature", values=[c.signature for c in counts]),
        ],
        dependent=columns,
    )


def _weighted_counts(record: Analysis | SelectionReport, source: Source) -> Table:
    counts = record.expected
    return Table(
        name="Simulated events",
        description=f"Sum of weights of simulated events in the signal boxes. {_origin(source)}",
        keywords=_keywords(source.card, "N"),
        independent=[
            Column(name="Run period", values=[c.period for c in counts]),
            Column(name="Signature", values=[c.signature for c in counts]),
        ],
        dependent=[
            Column(
                name="Sum of weights",
                values=[c.expected for c in counts],
                uncertainties=[Uncertainty(label="stat", values=[c.error for c in counts])],
            )
        ],
    )


def _limits(
    limits: Mapping[str, LimitResult], source: Source, qualifiers: Sequence[Qualifier] = (), *, observed: bool
) -> Table:
    """Upper limits by their method; the observed ones only where something is observed."""
    results = list(limits.values())
    qualifiers = [*qualifiers, _level(results[0].cl)]
    columns = []
    if observed:
        columns.append(
            Column(
                name="Observed upper limit",
                units=SIGNAL_EVENTS,
                values=[limit.upper_limit for limit in results],
                qualifiers=qualifiers,
                uncertainties=[
                    Uncertainty(label="numerical", values=[limit.upper_limit_error for limit in results])
                ],
            )
        )
    columns.append(
        Column(
            name="Expected upper limit",
            units=SIGNAL_EVENTS,
            values=[limit.expected.median for limit in results],
            qualifiers=qualifiers,
            uncertainties=[
                Uncertainty(label="68%", values=[_band(limit.expected, 1) for limit in results]),
                Uncertainty(label="95%", values=[_band(limit.expected, 2) for limit in results]),
            ],
        )
    )
    why = "" if observed else " Nothing is observed: only the limit expected without signal is given."
    # The model of a file is of whatever experiment it is.
    of_file = getattr(source.record, "model_file", None) is not None
    return Table(
        name="Upper limit",
        description=f"Upper limit on the total expected number of signal events, by its method.{why} "
        f"{_origin(source)}",
        keywords={"observables": ["N", "CLS"]} if of_file else _keywords(source.card, "N", "CLS"),
        independent=[
            Column(name="Method", values=list(limits)),
            Column(name="Criterion", values=[limit.criterion for limit in results]),
        ],
        dependent=columns,
    )


def _band(expected: Expected, sigma: Literal[1, 2]) -> tuple[float, float] | None:
    """(minus, plus) of a band around the median; None where an end of it is not known."""
    low, high = getattr(expected, f"minus{sigma}"), getattr(expected, f"plus{sigma}")
    if expected.median is None or low is None or high is None:
        return None
    return low - expected.median, high - expected.median


def _range(
    mass_GeV: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    source: Source,
    *,
    mode: str,
    observed: bool,
) -> Table:
    qualifiers = [
        *_qualifiers(source.card),
        _level(source.card.limit.confidence_level.value),
        Qualifier(name="Mode", value=mode),
    ]
    kind = "observed" if observed else STAND_IN
    return Table(
        name="Excluded range of epsilon",
        description=f"Ends of the excluded range of epsilon at each mass ({kind}), of its widest part where "
        f"it has several; empty where nothing is excluded. {_origin(source)}",
        keywords=_keywords(source.card, "EPSILON", "CLS"),
        independent=[Column(name=MASS, units="GeV", values=list(mass_GeV))],
        dependent=[
            Column(name=f"{EPSILON}, lower end", values=list(low), qualifiers=qualifiers),
            Column(name=f"{EPSILON}, upper end", values=list(high), qualifiers=qualifiers),
        ],
    )


def _plane(record: PlaneResult, source: Source) -> list[Table]:
    axes = record.plane.split("-")
    for axis in axes:
        if axis not in AXES:
            raise ConfigError(
                f"plane {record.plane} has an axis {axis} that HEPData has no name for here (known: "
                f"{', '.join(AXES)}): leave {source.path} out"
            )
    observed = not (record.blind or record.weighted)
    x, y = (AXES[axis] for axis in axes)
    qualifiers = [
        *_qualifiers(source.card, *axes),
        _level(source.card.limit.confidence_level.value),
        Qualifier(name="Mode", value=record.mode),
    ]
    if "epsilon" not in axes:
        qualifiers.append(Qualifier(name=EPSILON, value=record.epsilon_is.removeprefix("epsilon = ")))
    kind = "observed" if observed else STAND_IN
    points = [(i, j) for j in range(len(record.y)) for i in range(len(record.x))]
    keywords = _keywords(source.card, "EPSILON", "CLS")
    mode = "" if record.mode == "semivisible" else f", {record.mode}"
    tables = [
        Table(
            name=f"Upper limit on the signal strength, {record.plane}{mode}",
            description="Upper limit on the expected signal over that of the model at each point of the "
            f"plane ({kind}): points below 1 are excluded; empty where there is no signal or no model. "
            f"{_origin(source)}",
            keywords=keywords,
            independent=[
                Column(name=x[0], units=x[1], values=[record.x[i] for i, _ in points]),
                Column(name=y[0], units=y[1], values=[record.y[j] for _, j in points]),
            ],
            dependent=[
                Column(
                    name="Upper limit on the signal strength",
                    values=[record.upper_limit_mu[j][i] for i, j in points],
                    qualifiers=qualifiers,
                )
            ],
        )
    ]
    contours = {kind: record.contours} if observed else {}
    contours |= {LEVELS.get(name, name): lines for name, lines in record.expected_contours.items()}
    of_contours = dict.fromkeys(contours, qualifiers)
    if record.inclusive is not None and source.card.signal.s2 != "inclusive":
        name = f"S2 inclusive, {kind}"
        contours[name] = record.inclusive.contours
        of_contours[name] = [
            q.model_copy(update={"value": S2_READINGS["inclusive"]}) if q.name == S2_READING else q
            for q in qualifiers
        ]
    for name, lines in contours.items():
        if lines:
            numbered = [(number, *point) for number, line in enumerate(lines, 1) for point in line]
            tables.append(
                Table(
                    name=f"Contour, {record.plane}{mode}, {name}",
                    description=f"Contour around what is excluded ({name}), point by point; several where it "
                    f"has several parts. {_origin(source)}",
                    keywords=keywords,
                    independent=[
                        Column(name="Part", values=[n for n, _, _ in numbered]),
                        Column(name=x[0], units=x[1], values=[a for _, a, _ in numbered]),
                    ],
                    dependent=[
                        Column(
                            name=y[0],
                            units=y[1],
                            values=[b for _, _, b in numbered],
                            qualifiers=of_contours[name],
                        )
                    ],
                )
            )
    if record.plane == "mass-epsilon" and any(low is not None for low in record.epsilon_low):
        ends = record.epsilon_low, record.epsilon_high
        tables.append(_range(record.x, *ends, source, mode=record.mode, observed=observed))
    return tables


def _limit(record: LimitReport, source: Source) -> list[Table]:
    """The counts may be anybody's: the dark sector of the card does not enter, and is no qualifier."""
    limits = {f"{record.method}, {record.treatment}": record}
    return [_limits(limits, source, observed=record.upper_limit is not None)]


def _acceptance(record: AcceptanceReport, source: Source) -> list[Table]:
    qualifiers = [
        *_qualifiers(source.card),
        Qualifier(name=MASS, value=record.mass_GeV, units="GeV"),
        Qualifier(name=EPSILON, value=record.epsilon),
        Qualifier(name="Mode", value=record.mode),
        Qualifier(name="Decays", value="wherever they happen" if record.forced is None else record.forced),
    ]
    found = record.signatures
    where = f"A' of {record.mass_GeV:g} GeV, epsilon {record.epsilon:g}, {record.events} simulated events"
    tables = [
        Table(
            name="Acceptance of the signal",
            description=f"Share of the simulated A' that is selected, and expected events. {where}. "
            f"{_origin(source)}",
            keywords=_keywords(source.card, "ACC", "EFF"),
            independent=[Column(name="Signature", values=[s.signature for s in found])],
            dependent=[
                Column(
                    name="Acceptance times efficiency",
                    values=[s.acceptance for s in found],
                    qualifiers=qualifiers,
                    uncertainties=[Uncertainty(label="stat", values=[s.acceptance_error for s in found])],
                ),
                Column(
                    name="Expected events",
                    values=[s.expected for s in found],
                    qualifiers=qualifiers,
                    uncertainties=[Uncertainty(label="stat", values=[s.error for s in found])],
                ),
            ],
        )
    ]
    for s in found:
        tables.append(
            Table(
                name=f"Cut flow of the signal, {s.signature}",
                description=f"Expected signal events left after each cut of {s.signature}. {where}. "
                f"{_origin(source)}",
                keywords=_keywords(source.card, "ACC", "EFF"),
                independent=[Column(name="Cut", values=[row.cut for row in s.cut_flow])],
                dependent=[
                    Column(
                        name="Expected events",
                        values=[row.expected for row in s.cut_flow],
                        qualifiers=qualifiers,
                        uncertainties=[Uncertainty(label="stat", values=[row.error for row in s.cut_flow])],
                    )
                ],
            )
        )
    return tables


def _map(record: EfficiencyMap, source: Source) -> list[Table]:
    edges = record.chi2_energy_edges_GeV
    bins = list(itertools.pairwise(edges))
    cells = [(i, j) for i in range(len(bins)) for j in range(len(record.ctau_cm))]
    qualifiers = [
        *_qualifiers(source.card, "ratio", "splitting"),
        Qualifier(name=MASS, value=record.mass_GeV, units="GeV"),
        Qualifier(name=RATIO, value=record.mass_ratio),
        Qualifier(name=SPLITTING, value=record.relative_splitting),
    ]
    return [
        Table(
            name=f"Efficiency map, {signature}",
            description=f"{record.definition}. {record.events_per_sample} events for each decade of c tau. "
            f"{_origin(source)}",
            keywords=_keywords(source.card, "EFF"),
            independent=[
                Column(name=r"$E_{\chi_2}$", units="GeV", values=[bins[i] for i, _ in cells]),
                Column(name=r"$c\tau_{\chi_2}$", units="cm", values=[record.ctau_cm[j] for _, j in cells]),
            ],
            dependent=[
                Column(
                    name=f"Efficiency, {signature}",
                    values=[table.efficiency[i][j] for i, j in cells],
                    qualifiers=qualifiers,
                    uncertainties=[
                        Uncertainty(label="stat", values=[table.error[i][j] for i, j in cells]),
                    ],
                )
            ],
        )
        for signature, table in record.signatures.items()
    ]


def nothing_observed(record: Exported) -> bool:
    """Whether other counts stand in for observed ones in an export.

    It says in a field that it is blinded, and in a note that its input is simulation.
    """
    return record.blind or any(note.startswith("Nothing is observed") for note in record.notes)


def _exported(record: Exported, source: Source) -> list[Table]:
    """The bins of the counting model whose likelihood is among the resources."""
    bins, columns = record.counts, []
    if not nothing_observed(record):
        columns.append(Column(name="Observed events", values=[b.observed for b in bins]))
    total = Uncertainty(label="total", values=[b.background_uncertainty for b in bins])
    columns += [
        Column(name="Background events", values=[b.background for b in bins], uncertainties=[total]),
        Column(name="Share of the signal", values=[b.signal_fraction for b in bins]),
    ]
    return [
        Table(
            name="Counting model",
            description="Bins of the likelihood that is among the resources; relative signal uncertainty "
            f"{record.signal_uncertainty:g}, {record.constraint}. {_origin(source)}",
            keywords=_keywords(source.card, "N"),
            independent=[Column(name="Bin", values=[b.name for b in record.counts])],
            dependent=columns,
        )
    ]


_OF_KIND: dict[str, Callable[[Any, Source], list[Table]]] = {
    "analyze": _analysis,
    "select": _selection,
    "background": _backgrounds,
    "scan": _plane,
    "limit": _limit,
    "acceptance": _acceptance,
    "export": _exported,
    MAP: _map,
}
