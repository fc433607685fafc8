"""The cut table: the card's cuts and the quantities they look at, as C++ expressions of columns.

The predicates and derived quantities are those of the core's `selection.hpp`, thresholds come from the card.
The same table serves every engine of the event loop.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .config import Card, Selection, Signature
from .ntuple import DEFINING_CUTS, Ntuple, good_runs_of, run_ranges


@dataclass(frozen=True)
class Cut:
    """A cut of a signature: a C++ expression of columns; `None` when the file lacks a branch it reads."""

    name: str
    expression: str | None


def cuts(card: Card, signature: Signature, ntuple: Ntuple) -> list[Cut]:
    """The cuts of a signature in the order of the card, as C++ expressions of columns."""
    cut, value = card.selection, number
    expressions = {
        "trigger": "passes_trigger(isPhysics, isTriggerPhysics, isOnSpill, isCalibration)",
        "pile_up": f"passes_pile_up(na64_out_of_time, {value(cut.pile_up.out_of_time_max_GeV.value)})",
        "straw": f"passes_straw(straw3X, straw3Y, {value(cut.straw.hits_min.value)}, "
        f"{value(cut.straw.hits_max.value)})",
        "beam_cell": f"passes_beam_cell(na64_leading_cell, {int(cut.beam_cell.x.value)}, "
        f"{int(cut.beam_cell.y.value)})",
        "srd": f"passes_srd(na64_srd0, na64_srd1, na64_srd2, {value(cut.srd.module_min_GeV.value)}, "
        f"{value(cut.srd.module_max_GeV.value)}, {value(cut.srd.modules_below_max.value)})",
        "momentum": f"passes_momentum(trackMomentum, {value(cut.momentum.nominal_GeV.value)}, "
        f"{value(cut.momentum.window_GeV.value)})",
        "preshower": f"passes_preshower(ecal0, {value(cut.preshower.energy_min_GeV.value)})",
        "ecal": f"passes_ecal(ecalTotal, "
        f"{value((cut.ecal.s1_max_GeV if signature == 'S1' else cut.ecal.s2_max_GeV).value)})",
        "veto": f"passes_veto(na64_veto, {value(cut.veto.energy_max_GeV.value)})",
        "hcal": (
            f"passes_hcal_s1(hcal0, hcal1, hcal2, {value(cut.hcal.s1_hcal1_max_GeV.value)}, "
            f"{value(cut.hcal.s1_signal_min_GeV.value)})"
            if signature == "S1"
            else f"passes_hcal_s2(hcal0, hcal1, hcal2, {value(cut.hcal.s2_total_max_GeV.value)})"
        ),
        "r": f"passes_r(na64_r, {value(cut.r.r_max.value)})",
        "shower_chi2": f"passes_shower_chi2(showerChi2, {value(cut.shower_chi2.chi2_max.value)})",
    }
    return [
        Cut(
            name,
            None if ntuple.schema.missing_for(name, ntuple.present) else f"na64root::{expressions[name]}",
        )
        for name in Selection.model_fields
        if name != "r" or "r" in DEFINING_CUTS[signature]
    ]


def definitions(card: Card, present: Collection[str]) -> dict[str, str]:
    """The derived quantities of an event as C++ expressions by column, each where its branches are there.

    In this order each is defined by branches and by those before it.
    """
    balance = number(card.selection.veto.photomultiplier_balance.value)
    needed_and_expression = {
        # Of one type in all histograms: each combination of types costs a second of compilation.
        "na64_weight": ("", "static_cast<double>(mcWeight)" if "mcWeight" in present else "1.0"),
        "na64_one": ("", "1.0"),
        "na64_period": ("run spill", _period_expression(card)),
        "na64_out_of_time": (
            "ecalTotalNoTimecut ecalTotal",
            "na64root::out_of_time_energy(ecalTotalNoTimecut, ecalTotal)",
        ),
        "na64_leading_cell": ("ECAL_ene", "na64root::leading_ecal_cell(ECAL_ene)"),
        **{f"na64_srd{i}": ("SRD_ene", f"static_cast<double>(SRD_ene[{i}])") for i in range(3)},
        "na64_veto": ("VETO_ene", f"na64root::veto_energy(VETO_ene, {balance})"),
        "na64_hcal": ("hcal0 hcal1 hcal2", "static_cast<double>(hcal0) + hcal1 + hcal2"),
        "na64_r": ("HCAL_ene", _core_expression(card)),
    }
    return {
        name: expression
        for name, (needs, expression) in needed_and_expression.items()
        if all(branch in present for branch in needs.split())
    }


def _period_expression(card: Card) -> str:
    """Index of the event in the names of :func:`na64root.ntuple.period_names`."""
    ranges = ", ".join(f"{{{first}u, {last}u}}" for first, last in run_ranges(card))
    count = len(run_ranges(card))
    index = (
        f"constexpr std::array<na64root::RunRange, {count}> na64_ranges{{{{{ranges}}}}}; "
        "const int na64_index = na64root::range_index(na64_ranges, static_cast<std::uint32_t>(run)); "
    )
    good = good_runs_of(card)
    if good is None:
        return f"{index}return static_cast<double>(na64_index);"
    # The last name: a run of a period that the list does not have.
    return (
        f"{index}{good.expression}"
        f"const bool na64_bad = na64_index < {len(card.periods)} && !na64_is_good; "
        f"return static_cast<double>(na64_bad ? {count + 1} : na64_index);"
    )


def _core_expression(card: Card) -> str:
    """R of an event with the core cells of its period."""
    cores = ", ".join("{{" + ", ".join(map(str, bits)) + "}}" for bits in hcal_core_bits(card))
    size = len(card.periods)
    # Runs outside all periods get the first core; no histogram or count sees them.
    return (
        f"constexpr na64root::HcalCore cores[{size}] = {{{cores}}}; "
        f"return na64root::hcal_r(HCAL_ene, cores[na64_period < {size} ? static_cast<int>(na64_period) : 0]);"
    )


def hcal_core_bits(card: Card) -> list[list[int]]:
    """Core cells of HCAL1, HCAL2, HCAL3 for each period, bit x * 3 + y of each module."""
    if card.selection.r.core == "single":
        return [[1 << 4] * 3 for _ in card.periods]
    return [
        [sum(1 << (3 * x + y) for x, y in {tuple(cell) for cell in module}) for module in period.hcal_core]
        for period in card.periods
    ]


def number(value: float) -> str:
    """A C++ literal of exactly this double."""
    return float(value).hex()
