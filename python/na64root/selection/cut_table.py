"""The cut table: the card's cuts and the quantities they look at, as functions of columns and numbers.

The predicates and derived quantities are those of the core's `selection.hpp`, thresholds come from the card.
The same table serves every engine of the event loop, and arrays of NumPy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import cling
from ..cling import compiler_messages, root
from ..config import SIGNATURES, Card, DeclaredCut, Quantity, Signature
from ..errors import ConfigError
from ..event_loop.compiled import Node, define, defined, filtered
from ..event_loop.expressions import Call, Code, Column, Constant, Expression, Number, Rows, Sum, literal
from ..event_loop.words import for_rdataframe
from ..ntuple import DEFINING_CUTS, Ntuple, good_runs_of, run_ranges
from ..records import Record

# The cuts that bound a signal box in the plane of ECAL against HCAL energy.
BOX_CUTS = ("ecal", "hcal")


PHYSICS_TRIGGER = Call("passes_trigger", ("isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"))


Range = tuple[float | None, float | None]


class Threshold(Record):
    """A number of a cut, by run period; its provenance is that of the value that holds in general."""

    name: str
    unit: str
    values: dict[str, float]
    provenance: str
    source: str


@dataclass(frozen=True)
class Variable:
    """A quantity that a cut looks at, made of columns; its axis, what the cut accepts by period."""

    name: str
    quantity: Expression
    title: str
    bins: int
    low: float
    high: float
    accepted: tuple[Range, ...]

    @property
    def expression(self) -> str:
        """The quantity in C++."""
        return self.quantity.expression


@dataclass(frozen=True)
class Cut:
    """A cut of a signature: what it asks of columns; `None` when the file lacks a branch it reads.

    `inputs` are the branches it reads; `declared`: it is a cut of the user's, with functions of `header`.
    """

    name: str
    condition: Call | Code | None
    inputs: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    variables: tuple[Variable, ...] = ()
    declared: bool = False
    header: str = ""

    @property
    def expression(self) -> str | None:
        """The condition in C++."""
        return None if self.condition is None else self.condition.expression


class CutVariable(Record):
    """A quantity that a cut looks at; `accepted`: by run period, null where the range is open."""

    name: str
    expression: str
    title: str
    accepted: dict[str, Range]


class CutDescription(Record):
    """A cut as a result tells of it; `expression` is null where the files lack a branch of `inputs`."""

    signature: Signature
    name: str
    expression: str | None
    inputs: tuple[str, ...]
    thresholds: tuple[Threshold, ...]
    variables: tuple[CutVariable, ...]
    declared: bool
    header: str


def descriptions(card: Card, table: Mapping[Signature, Sequence[Cut]]) -> tuple[CutDescription, ...]:
    """What a result says of the cuts, in the order they are applied."""
    periods = [period.name for period in card.periods]
    named = [(cut, signature) for signature, cuts in table.items() for cut in cuts]
    named.sort(key=lambda pair: card.selection.order.index(pair[0].name))
    return tuple(_description(cut, signature, periods) for cut, signature in named)


def _description(cut: Cut, signature: Signature, periods: Sequence[str]) -> CutDescription:
    return CutDescription(
        signature=signature,
        name=cut.name,
        expression=cut.expression,
        inputs=cut.inputs,
        thresholds=cut.thresholds,
        variables=tuple(
            CutVariable(
                name=variable.name,
                expression=variable.expression,
                title=variable.title,
                accepted=dict(zip(periods, variable.accepted, strict=True)),
            )
            for variable in cut.variables
        ),
        declared=cut.declared,
        header=cut.header,
    )


def cuts(card: Card, signature: Signature, ntuple: Ntuple) -> list[Cut]:
    """The cuts of a signature in the order they are applied."""
    declared = {cut.name: cut for cut in card.selection.declared}
    built_in = predicates(card, signature)
    table = []
    for name in card.selection.order:
        if name in declared:
            if signature in declared[name].signatures:
                table.append(_declared(card, declared[name], ntuple))
        elif name != "r" or "r" in DEFINING_CUTS[signature]:
            lacking = ntuple.schema.missing_for(name, ntuple.present)
            table.append(
                Cut(
                    name,
                    None if lacking else built_in[name],
                    inputs=tuple(ntuple.schema.cut_inputs[name]),
                    thresholds=_thresholds(card, name, signature),
                    variables=_variables(card, name, signature),
                )
            )
    return table


def predicates(card: Card, signature: Signature) -> dict[str, Call]:
    """The built-in cuts of a signature by name, as calls of the predicates of `selection.hpp`."""

    def cut(predicate: str, columns: str, *thresholds: str) -> Call:
        return Call(predicate, tuple(columns.split()), tuple(threshold(card, name) for name in thresholds))

    return {
        "trigger": PHYSICS_TRIGGER,
        "pile_up": cut("passes_pile_up", "na64_out_of_time", "pile_up.out_of_time_max_GeV"),
        "straw": cut("passes_straw", "straw3X straw3Y", "straw.hits_min", "straw.hits_max"),
        "beam_cell": Call(
            "passes_beam_cell",
            ("na64_leading_cell",),
            tuple(replace(threshold(card, f"beam_cell.{axis}"), whole=True) for axis in "xy"),
        ),
        "srd": cut(
            "passes_srd",
            "na64_srd0 na64_srd1 na64_srd2",
            "srd.module_min_GeV",
            "srd.module_max_GeV",
            "srd.modules_below_max",
        ),
        "momentum": cut("passes_momentum", "trackMomentum", "momentum.nominal_GeV", "momentum.window_GeV"),
        "preshower": cut("passes_preshower", "ecal0", "preshower.energy_min_GeV"),
        "ecal": cut("passes_ecal", "ecalTotal", f"ecal.{signature.lower()}_max_GeV"),
        "veto": cut("passes_veto", "na64_veto", "veto.energy_max_GeV"),
        "hcal": (
            cut("passes_hcal_s1", "hcal0 hcal1 hcal2", "hcal.s1_hcal1_max_GeV", "hcal.s1_signal_min_GeV")
            if signature == "S1"
            else cut("passes_hcal_s2", "hcal0 hcal1 hcal2", "hcal.s2_total_max_GeV")
        ),
        "r": cut("passes_r", "na64_r", "r.r_max"),
        "shower_chi2": cut("passes_shower_chi2", "showerChi2", "shower_chi2.chi2_max"),
    }


def _variables(card: Card, cut: str, signature: Signature) -> tuple[Variable, ...]:
    """What a built-in cut looks at; a bin of each axis ends at the threshold of the card `paper2021`."""

    def accepted(low: str | None, high: str | None) -> tuple[Range, ...]:
        nothing: list[float | None] = [None] * len(card.periods)
        lows = nothing if low is None else threshold_values(card, low)
        highs = nothing if high is None else threshold_values(card, high)
        return tuple(zip(lows, highs, strict=True))

    def around(middles: Sequence[float], widths: Sequence[float]) -> tuple[Range, ...]:
        return tuple((m - w, m + w) for m, w in zip(middles, widths, strict=True))

    s = signature.lower()
    if cut == "trigger":
        return (
            Variable("trigger", PHYSICS_TRIGGER, "Physics trigger (1: yes)", 2, -0.5, 1.5, _passed(card)),
        )
    if cut == "pile_up":
        ranges = accepted(None, "pile_up.out_of_time_max_GeV")
        title = "ECAL energy out of time [GeV]"
        return (Variable("out_of_time", Column("na64_out_of_time"), title, 60, -20.0, 100.0, ranges),)
    if cut == "straw":
        # Both ends are accepted, and hits are whole numbers.
        hits = zip(
            threshold_values(card, "straw.hits_min"), threshold_values(card, "straw.hits_max"), strict=True
        )
        ranges = tuple((low - 0.5, high + 0.5) for low, high in hits)
        return tuple(
            Variable(name, Column(name), f"Hits in {name}", 21, -0.5, 20.5, ranges)
            for name in ("straw3X", "straw3Y")
        )
    if cut == "beam_cell":
        x, y = threshold_values(card, "beam_cell.x"), threshold_values(card, "beam_cell.y")
        cells = [6.0 * i + j for i, j in zip(x, y, strict=True)]
        ranges = around(cells, [0.5] * len(cells))
        title = "Leading ECAL cell, 6x + y (-1: none)"
        return (Variable("leading_cell", Column("na64_leading_cell"), title, 37, -1.5, 35.5, ranges),)
    if cut == "srd":
        ranges = accepted("srd.module_min_GeV", "srd.module_max_GeV")
        return tuple(
            Variable(f"srd{i}", Column(f"na64_srd{i}"), f"SRD module {i} energy [GeV]", 100, 0.0, 0.1, ranges)
            for i in range(3)
        )
    if cut == "momentum":
        ranges = around(
            threshold_values(card, "momentum.nominal_GeV"), threshold_values(card, "momentum.window_GeV")
        )
        return (
            Variable("momentum", Column("trackMomentum"), "Track momentum [GeV]", 120, 80.0, 120.0, ranges),
        )
    if cut == "preshower":
        ranges = accepted("preshower.energy_min_GeV", None)
        return (Variable("preshower", Column("ecal0"), "Preshower energy [GeV]", 100, 0.0, 20.0, ranges),)
    if cut == "ecal":
        ranges = accepted(None, f"ecal.{s}_max_GeV")
        return (Variable("ecal", Column("ecalTotal"), "ECAL energy [GeV]", 120, 0.0, 120.0, ranges),)
    if cut == "veto":
        ranges = accepted(None, "veto.energy_max_GeV")
        return (Variable("veto", Column("na64_veto"), "VETO energy [GeV]", 60, -0.01, 0.05, ranges),)
    if cut == "hcal" and signature == "S1":
        quiet = accepted(None, "hcal.s1_hcal1_max_GeV")
        loud = accepted("hcal.s1_signal_min_GeV", None)
        behind = Sum(("hcal1", "hcal2"))
        return (
            Variable("hcal1", Column("hcal0"), "HCAL1 energy [GeV]", 122, -2.0, 120.0, quiet),
            Variable("hcal2_hcal3", behind, "HCAL2 + HCAL3 energy [GeV]", 120, 0.0, 120.0, loud),
        )
    if cut == "hcal":
        ranges = accepted(None, "hcal.s2_total_max_GeV")
        return (
            Variable(
                "hcal", Column("na64_hcal"), "HCAL1 + HCAL2 + HCAL3 energy [GeV]", 122, -2.0, 120.0, ranges
            ),
        )
    if cut == "r":
        return (Variable("r", Column("na64_r"), "R", 100, 0.0, 1.0, accepted(None, "r.r_max")),)
    ranges = accepted(None, "shower_chi2.chi2_max")
    return (Variable("shower_chi2", Column("showerChi2"), "ECAL shower chi2", 60, 0.0, 120.0, ranges),)


def _passed(card: Card) -> tuple[Range, ...]:
    return ((0.5, None),) * len(card.periods)


def _thresholds(card: Card, cut: str, signature: Signature) -> tuple[Threshold, ...]:
    """The numbers of a built-in cut; `s1_` and `s2_` are those of one signature."""
    default = getattr(card.selection, cut)
    other = {"S1": "s2_", "S2": "s1_"}[signature]
    return tuple(
        Threshold(
            name=f"selection.{cut}.{key}",
            unit=_unit(key),
            values=_of_periods(card, threshold_values(card, f"{cut}.{key}")),
            provenance=getattr(default, key).provenance,
            source=getattr(default, key).source,
        )
        for key in type(default).model_fields
        if isinstance(getattr(default, key), Quantity) and not key.startswith(other)
    )


def _of_periods(card: Card, values: Sequence[float]) -> dict[str, float]:
    return dict(zip((period.name for period in card.periods), values, strict=True))


def _unit(key: str) -> str:
    """The unit at the end of a name in the card."""
    return "GeV" if key.endswith("_GeV") else ""


def threshold_values(card: Card, name: str) -> list[float]:
    """A threshold (`ecal.s1_max_GeV`) in each period of the card."""
    cut, key = name.split(".")
    return [
        getattr(getattr(card.selection.in_period(period.name), cut), key).value for period in card.periods
    ]


def threshold(card: Card, name: str) -> Number:
    """A threshold (`ecal.s1_max_GeV`) as a number of a call."""
    return Number(tuple(threshold_values(card, name)))


def in_run_period(card: Card) -> Call:
    """The event is of a run period of the card."""
    return Call("in_run_period", ("na64_period",), (Number((len(card.periods),), whole=True),))


def _declared(card: Card, cut: DeclaredCut, ntuple: Ntuple) -> Cut:
    """A declared cut; its thresholds are put in by their names."""

    def filled(expression: str) -> str:
        for name, threshold in cut.thresholds.items():
            expression = re.sub(rf"(?<![\w.]){name}\b", f"({literal(threshold.value)})", expression)
        return expression

    passes = f"static_cast<bool>({filled(cut.expression)})"
    expression = " && ".join([*_are_numbers(cut.expression, ntuple), passes])
    if cut.periods:
        names = [period.name for period in card.periods]
        others = [f"na64_period != {names.index(period)}" for period in dict.fromkeys(cut.periods)]
        expression = f"({' && '.join(others)}) || ({expression})"
    where = f"selection.declared.{cut.name}.thresholds"
    return Cut(
        cut.name,
        Code(expression),
        inputs=tuple(sorted(set(re.findall(r"[A-Za-z_]\w*", cut.expression)) & ntuple.present)),
        thresholds=tuple(
            Threshold(
                name=f"{where}.{name}",
                unit=t.unit,
                values=_of_periods(card, [t.value] * len(card.periods)),
                provenance=t.provenance,
                source=t.source,
            )
            for name, t in cut.thresholds.items()
        ),
        variables=(_declared_variable(card, cut, expression, filled),),
        declared=True,
        header=cut.header,
    )


# With one of these a cut says itself what it makes of a value that is no number.
_OWN_WORD_ON_NAN = re.compile(r"\b(isnan|isfinite|isnormal|fpclassify)\b")


def _are_numbers(expression: str, ntuple: Ntuple) -> list[str]:
    """C++ conditions that no measured value which an expression reads is NaN, whatever it asks of it.

    Those are branches and derived quantities of one number, and elements by their number; an array as a whole
    is the business of who reads it.
    """
    if _OWN_WORD_ON_NAN.search(expression):
        return []
    found = re.findall(r"(?<![\w.:>])([A-Za-z_]\w*)(\[[\d\s+*-]+\])?(?![\w(]|::)", expression)
    known = ntuple.present | _DERIVED_NUMBERS
    values = dict.fromkeys(name + element for name, element in found if name in known)
    return [f"na64root::is_number({value})" for value in values]


# Derived quantities that are NaN where they do not exist.
_DERIVED_NUMBERS = frozenset(
    ["na64_out_of_time", *(f"na64_srd{i}" for i in range(3)), "na64_veto", "na64_hcal", "na64_r"]
)


def _declared_variable(
    card: Card, cut: DeclaredCut, expression: str, filled: Callable[[str], str]
) -> Variable:
    """What a declared cut looks at; without a quantity, whether it passes."""
    quantity = cut.quantity
    if quantity is None:
        return Variable(cut.name, Code(expression), f"{cut.name} (1: passed)", 2, -0.5, 1.5, _passed(card))
    low, high = (
        None if edge is None else cut.thresholds[edge].value for edge in (quantity.above, quantity.below)
    )
    return Variable(
        cut.name,
        Code(filled(quantity.expression)),
        quantity.title,
        quantity.bins,
        quantity.low,
        quantity.high,
        ((low, high),) * len(card.periods),
    )


def signal_boxes(table: Mapping[Signature, Sequence[Cut]]) -> str | None:
    """A C++ expression that is true inside the signal box of a signature, in the plane of its energies.

    That is after the cuts `ecal` and `hcal`, whatever the other cuts say. None where the files know no box.
    """
    boxes = []
    for signature in SIGNATURES:
        bounds = [cut.expression for cut in table[signature] if cut.name in BOX_CUTS]
        if all(bounds):
            boxes.append(" && ".join(f"({bound})" for bound in bounds))
    return " || ".join(f"({box})" for box in boxes) or None


def outside_signal_boxes(node: Any, table: Mapping[Signature, Sequence[Cut]]) -> Any:
    """The events of a node, of the library or of RDataFrame, that are in no signal box of a table."""
    if (boxes := signal_boxes(table)) is None:
        return node
    if not isinstance(node, Node):
        return node.Filter(for_rdataframe(node, f"!({boxes})"), "blind")
    inside = []
    for cuts_of_one in table.values():
        bounds: list[Any] = [cut.condition for cut in cuts_of_one if cut.name in BOX_CUTS]
        if all(bounds):
            box = node
            for bound in bounds:
                box = filtered(box, bound, "box")
            inside.append(box)
    return node.without(inside)


def functions(card: Card) -> tuple[tuple[str, str], ...]:
    """The headers of declared cuts: name and text."""
    names: dict[str, str] = {}
    for cut in card.selection.declared:
        if cut.code:
            names.setdefault(cut.code, cut.header or f"code of {cut.name}")
    return tuple((name, code) for code, name in names.items())


def declare_functions(card: Card) -> None:
    """Make known to Cling what the expressions of the table call: the core's predicates, declared headers.

    Raises:
        ConfigError: a header does not compile.
    """
    cling.include("selection.hpp")
    for name, code in functions(card):
        try:
            cling.declare_code(name, code)
        except cling.CodeError as error:
            raise ConfigError(f"{name} of a declared cut does not compile ({error}): correct it") from None


def without_signal_boxes(frame: Any, card: Card, ntuple: Ntuple) -> Any:
    """A frame of an input without the events that are in the signal box of a signature, in whatever run."""
    if not isinstance(frame, Node):
        declare_functions(card)
    table = {signature: cuts(card, signature, ntuple) for signature in SIGNATURES}
    return outside_signal_boxes(defined(frame, definitions(card, ntuple.present)), table)


def require_compiling(node: Any, table: Mapping[Signature, Sequence[Cut]]) -> None:
    """Compile each declared cut of a table alone, on the columns of a node.

    Raises:
        ConfigError: one does not compile, or reads a branch that is not there; the message names the cut.
    """
    texts = {}
    for cut in (cut for cuts in table.values() for cut in cuts if cut.declared):
        texts[cut.name, "expression"] = "bool", cut.expression or ""
        for variable in cut.variables:
            texts[cut.name, "quantity"] = "double", variable.expression
    for (name, what), (kind, text) in texts.items():
        if why := cling.why_not_whole(text):
            raise ConfigError(
                f"the {what} of cut {name} does not compile ({why}): correct selection.declared.{name}.{what}"
            )

        def tried(
            column: str = f"na64_check_{name}_{what}", code: str = f"static_cast<{kind}>({text})"
        ) -> str:
            with compiler_messages() as messages:
                try:
                    define(node, column, code)
                except root().std.exception as error:
                    return f"{messages()}{error}"
            return ""

        if not (said := cling.apart(tried)):
            continue
        columns = {str(column) for column in node.GetColumnNames()}
        raise ConfigError(
            f"the {what} of cut {name} does not compile ({_compiler_error(said, columns)}): correct "
            f"selection.declared.{name}.{what}"
        )


def _compiler_error(said: str, columns: Collection[str]) -> str:
    """The first error of what the compiler said, in words of the card."""
    match = re.search(r"(?:runtime_)?error: (.*)", said)
    reason = match[1].strip() if match else "the compiler gives no reason"
    if "tokenize" in reason:
        return "RDataFrame knows no such operator: write it with others, or as a function"
    if unknown := re.fullmatch(r"use of undeclared identifier '(\w+)'.*", reason):
        nearest = difflib.get_close_matches(unknown[1], columns, n=1, cutoff=0.5)
        return f"the files have no branch {unknown[1]}" + (f", did you mean {nearest[0]}?" if nearest else "")
    return reason


def definitions(card: Card, present: Collection[str]) -> dict[str, Expression]:
    """The derived quantities of an event by column, each where its branches are there.

    In this order each is defined by branches and by those before it.
    """
    balance = threshold(card, "veto.photomultiplier_balance")
    hcal = ("hcal0", "hcal1", "hcal2")
    needed_and_expression: dict[str, tuple[str, Expression]] = {
        # Of one type in all histograms: each combination of types costs a second of compilation.
        "na64_weight": ("", Sum(("mcWeight",)) if "mcWeight" in present else Constant(1.0)),
        "na64_one": ("", Constant(1.0)),
        "na64_period": ("run spill", _run_period(card)),
        "na64_out_of_time": (
            "ecalTotalNoTimecut ecalTotal",
            Call("out_of_time_energy", ("ecalTotalNoTimecut", "ecalTotal")),
        ),
        "na64_leading_cell": ("ECAL_ene", Call("leading_ecal_cell", ("ECAL_ene",))),
        **{f"na64_srd{i}": ("SRD_ene", Sum((f"SRD_ene[{i}]",))) for i in range(3)},
        "na64_veto": ("VETO_ene", Call("veto_energy", ("VETO_ene",), (balance,))),
        "na64_hcal": (" ".join(hcal), Sum(hcal)),
        "na64_r": ("HCAL_ene", Call("hcal_r_in_period", ("HCAL_ene", "na64_period"), (hcal_cores(card),))),
    }
    return {
        name: expression
        for name, (needs, expression) in needed_and_expression.items()
        if all(branch in present for branch in needs.split())
    }


def _run_period(card: Card) -> Call:
    """Index of the event in the names of :func:`na64root.ntuple.period_names`."""
    ranges = run_ranges(card)
    index = Call("run_period", ("run",), (Rows("RunRange", tuple(ranges)),))
    good = good_runs_of(card)
    if good is None:
        return index
    numbers = Number((len(card.periods),), whole=True), Number((len(ranges),), whole=True)
    spills = tuple((*divmod(first, 2**32), *divmod(last, 2**32)) for first, last in good.ranges)
    # The last name: a run of a period that the list does not have. For Cling, which would make a table of
    # arguments for each event, with the list made once.
    text = (
        f"const double na64_index = {index.expression}; {good.expression}"
        f"const bool na64_bad = na64_index < {len(card.periods)} && !na64_is_good; "
        f"return na64_bad ? {len(ranges) + 1}.0 : na64_index;"
    )
    rows = Rows("RunRange", tuple(ranges)), Rows("GoodSpills", spills)
    return Call("good_run_period", ("run", "spill"), (*numbers, *rows), text)


def ecal_below(card: Card, energy_max: float) -> Call:
    """The cut ecal with another edge, of a control region."""
    return replace(predicates(card, "S2")["ecal"], parameters=(Number((energy_max,)),))


def hcal_below(card: Card, total_max: float) -> Call:
    """The cut hcal of S2 with another edge, of a control region."""
    return replace(predicates(card, "S2")["hcal"], parameters=(Number((total_max,)),))


def neutral_hadron_tag(card: Card) -> Call:
    """The HCAL energies of S1 one module further up: the control region of hadrons that shower in HCAL1."""
    thresholds = ("hcal.s1_hcal1_max_GeV", "hcal.s1_signal_min_GeV")
    return Call("showers_in_hcal1", ("hcal0", "hcal1"), tuple(threshold(card, name) for name in thresholds))


def dimuon(card: Card) -> Call:
    """The control sample gamma -> mu+ mu-."""
    sample = card.backgrounds.dimuon
    return Call(
        "passes_dimuon",
        ("hcal2", "HCAL_ene[4]", "HCAL_ene[13]"),  # the central cells of HCAL1 and HCAL2
        tuple(
            Number((quantity.value,))
            for quantity in (sample.hcal3_min_GeV, sample.hcal3_with_centres_min_GeV, sample.centre_min_GeV)
        ),
    )


def hcal_cores(card: Card) -> Rows:
    """The core cells of each period, as a number of a call."""
    return Rows("HcalCore", tuple(tuple(bits) for bits in hcal_core_bits(card)))


def hcal_core_bits(card: Card) -> list[list[int]]:
    """Core cells of HCAL1, HCAL2, HCAL3 for each period, bit x * 3 + y of each module."""
    if card.selection.r.core == "single":
        return [[1 << 4] * 3 for _ in card.periods]
    return [
        [sum(1 << (3 * x + y) for x, y in {tuple(cell) for cell in module}) for module in period.hcal_core]
        for period in card.periods
    ]
