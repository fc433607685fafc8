"""The estimates that the card asks for, from one loop over the data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from ..config import BackgroundMethod, Card, Signature
from ..errors import DataError
from ..ntuple import Input, Ntuple, electrons_of_simulation
from ..records import Count, provenance
from ..selection.blinding import in_signal_box
from ..selection.cut_table import predicates
from ..selection.exposure import input_exposure
from ..work import Work
from .events import Events, dimuon_control, quiet_hcal, read
from .records import Backgrounds, BackgroundUsed, Estimate
from .regions import abcd, check_regions, neutral_hadrons
from .sideband import sideband, sideband_curve


def estimate(
    inputs: Input,
    card: Card,
    *,
    simulation: Sequence[str] = (),
    eot: Mapping[str, float] | None = None,
    simulation_eot: Mapping[str, float] | None = None,
    without_spills: Collection[tuple[int, int]] = (),
    blind: bool = False,
    work: Work = Work(),
) -> Backgrounds:
    """Every background estimate that the input allows, and the dimuon control sample.

    Args:
        inputs: data.
        simulation: a simulated background sample whose weights sum to the events of `simulation_eot`.
        eot, simulation_eot: exposure of run periods, taken as it is; of others that of the card, for the data
            as :func:`na64root.selection.exposure.input_exposure`, for the simulation that of its files,
            where they say so.
        without_spills: run and spill of those that are left out of the data.
        blind: leave out the events in the signal boxes, which are all that pass the cuts `ecal` and `hcal` of
            a signature, whatever its other cuts say; of the simulation too, to be compared.

    Raises:
        ConfigError: regions that overlap the box of S2, an unknown period.
        DataError: the input cannot be read, or lacks branches that define the signatures.
    """
    check_regions(card)
    card.exposure(eot)  # before anything is read
    sample = read(inputs, card, without_spills=without_spills, blind=blind, work=work)
    of_input = input_exposure(sample.ntuple, card, eot, without_spills, blind=blind)
    exposure = {p: n * (sample.triggers[p] > 0.0) for p, n in of_input.electrons.items()}
    methods: dict[tuple[Signature, BackgroundMethod], Callable[[Events, Card], Estimate]] = {
        ("S1", "neutral_hadron"): neutral_hadrons,
        ("S2", "sideband"): sideband,
        ("S2", "abcd"): abcd,
    }
    estimates: list[Estimate] = []
    missing: dict[str, str] = {}
    for (_, method), make in methods.items():
        if blind and (why := in_signal_box(card, method)):
            missing[method] = f"blinded: {why}"
            continue
        try:
            estimates.append(make(sample.events, card))
        except DataError as error:
            missing[method] = str(error)
    share = sum(exposure.values()) / card.eot
    boxes = card.limit
    # The box of S2 is left out: an estimate shall not show what it is for.
    quiet = card.selection.hcal.s2_total_max_GeV.value
    in_box = sample.events.passes(predicates(card, "S2")["ecal"])
    shown = sample.events.where(~(in_box & quiet_hcal(sample.events, card)))
    ecal_edges = np.linspace(0.0, card.beam.energy_GeV.value, 51)
    hcal_edges = np.arange(0.0, 2.0 * card.backgrounds.abcd.hcal_max_GeV.value, 0.5 * quiet)
    plane = np.histogram2d(shown.ecal, shown.hcal, bins=[ecal_edges, hcal_edges], weights=shown.weight)[0]
    simulated = read(simulation, card.for_simulation, blind=blind, work=work) if simulation else None
    notes = [*sample.notes, *of_input.notes]
    made_for = card.exposure(simulation_eot)
    if simulated is not None:
        made_for, said = _exposure_of_simulation(card, simulated.ntuple, simulation_eot)
        notes += said
    files = [*sample.ntuple.files, *(simulated.ntuple.files if simulated else ())]
    if blind:
        notes.append("blind: events in the signal boxes, after the cuts ecal and hcal, are in no region")
    if sample.weighted:
        notes.append("mcWeight differs from 1: a simulation in place of data")
    return Backgrounds(
        estimates=estimates,
        not_estimated=missing,
        published={
            "S1": (boxes.S1.background.value * share, boxes.S1.background_uncertainty.value * share),
            "S2": (boxes.S2.background.value * share, boxes.S2.background_uncertainty.value * share),
        },
        chosen={"S1": card.backgrounds.S1, "S2": card.backgrounds.S2},
        dimuon=dimuon_control(card, sample, exposure, simulated, made_for),
        sideband=None if "sideband" in missing else sideband_curve(sample.events, card),
        ecal_edges_GeV=ecal_edges.tolist(),
        hcal_edges_GeV=hcal_edges.tolist(),
        plane=plane.tolist(),
        weighted=sample.weighted,
        exposure=exposure,
        files={},
        notes=notes,
        provenance=provenance(card, input_files=files, input_details=sample.ntuple.details),
        blind=blind,
    )


def _exposure_of_simulation(
    card: Card, ntuple: Ntuple, by_hand: Mapping[str, float] | None
) -> tuple[dict[str, float], list[str]]:
    """Electrons on target of simulated background, by hand, by its files or the card's; and a note."""
    given = card.exposure(by_hand)
    if by_hand and ("all" in by_hand or by_hand.keys() >= given.keys()):
        return given, []
    held = electrons_of_simulation([ntuple.made_by_na64root.get(path) for path in ntuple.paths])
    if held is None:
        return given, [
            f"the card's exposure is assumed for the simulation ({ntuple.paths[0]} does not say its own): "
            "give --mc-eot"
        ]
    names = [name for name in given if name not in (by_hand or {})]
    exposure = given | {name: held.get(name, 0.0) for name in names}
    told = ", ".join(f"{name}={exposure[name]:.4g}" for name in names)
    return exposure, [f"the simulation has electrons on target by its own files: {told}"]


def with_estimates(
    counts: Sequence[Count], found: Backgrounds
) -> tuple[list[Count], dict[Signature, BackgroundUsed]]:
    """The counts with the backgrounds of the methods that the card chose, shared by exposure.

    Raises:
        DataError: the input did not allow a chosen method.
    """
    total = sum(found.exposure.values())
    used: dict[Signature, BackgroundUsed] = {}
    changed = []
    for count in counts:
        method = found.chosen[count.signature]
        if method == "published":
            changed.append(count)
            continue
        estimated = found.of(count.signature, method)
        share = found.exposure[count.period] / total if total > 0.0 else 0.0
        used[count.signature] = BackgroundUsed(
            method=method,
            value=estimated.value,
            uncertainty=estimated.uncertainty,
            source="estimated from the input, na64root.backgrounds",
        )
        changed.append(
            count.model_copy(
                update={
                    "background": estimated.value * share,
                    "background_uncertainty": estimated.uncertainty * share,
                }
            )
        )
    return changed, used
