"""Every number of one model point, from couplings to the verdict."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import numpy as np

from .. import limits
from .._core import (
    Approximation,
    DarkBremsstrahlung,
    WidthFormula,
    aprime_width,
    chi2_branching_to_electrons,
    chi2_ctau,
    chi2_k_factor,
    chi2_width,
)
from ..config import SIGNATURES, Card, Quantity, SignalAcceptance, Signature
from ..errors import ConfigError, ConvergenceError
from ..records import Provenance, Quoted, Record, provenance
from ..signal import Parameters, SignalAtMass
from ..theory import landau_pole_bound, muon_g2_band, muon_moment
from ..work import Work, said_while
from .counting_models import counts_of_card, warn_of_published_sources
from .strength import Exclusion

log = logging.getLogger(__name__)

# Where the cross section is validated (docs/physics.md).
VALID_MASS_GEV = (1e-3, 3.0)


VALID_ENERGY_GEV = (1.0, 300.0)


class ByApproximation(Record):
    """A number by each approximation of the cross section; null where the channel is closed."""

    etl: float | None
    ww: float | None
    iww: float | None


class G2Line(Record):
    """epsilon of the g-2 band at this mass; null where the shift is not positive."""

    central: float | None
    minus1: float | None
    plus1: float | None
    minus2: float | None
    plus2: float | None


class DecayProbability(Record):
    """Where chi2 decays, for A' above the lower ECAL threshold, weighted by production; sums to 1.

    `before_veto` runs from the end of the ECAL to the VETO, `hcal1` from there to the front of HCAL2; the
    gaps between modules count to the module before them.
    """

    ecal: float
    before_veto: float
    hcal1: float
    hcal2: float
    hcal3: float
    beyond: float


class ExpectedEvents(Record):
    """Expected signal events, by signature and together.

    `s2` is what the card's `signal.s2` counts, `s2_inclusive` with the decays inside the detector, whatever
    the card counts; null where that has no meaning (calorimeters out of order).
    """

    s1: float
    s2: float
    s2_inclusive: float | None
    total: float


class EfficiencyStep(Record):
    """What a step keeps of what the one before left, and the expected events that are then left."""

    step: str
    efficiency: float
    events: float


class Efficiencies(Record):
    """The steps from A' produced to events expected, by signature, in order; of the chain.

    The first is A' -> chi1 chi2 of all A' above the lower threshold of the ECAL cut, the last one the
    residual efficiency of the run periods; the others are those of `SignalAtMass.efficiencies`.
    """

    s1: list[EfficiencyStep]
    s2: list[EfficiencyStep]


class Explanation(Record):
    """What `na64root explain` tells; units are in the names, cross sections per atom at the beam energy.

    `n_aprime` are A' made by the whole exposure above the lower threshold of the ECAL cut; the mean energy of
    chi2 and its mean decay length (null when stable), gamma beta c tau, are of these. `deciding_factor` is
    the step with the smallest efficiency of the signature that expects more events, or `production` where
    even all A' made would be fewer than the limit; `verdict` says what it decides, in words.
    `n_signal` and the verdict are of the chain or of the own simulation, as `acceptance` says; `k_factor` is
    the exact one, also where the card takes the width of the paper with its constant K.
    """

    mass_GeV: float
    epsilon: float
    alpha_dark: float
    mass_ratio: float
    relative_splitting: float
    chi1_mass_GeV: float
    chi2_mass_GeV: float
    splitting_GeV: float
    k_factor: float
    chi2_width_GeV: float
    chi2_ctau_cm: float | None
    branching_ee: float
    aprime_width_GeV: float
    cross_section_pb: ByApproximation
    mean_x: ByApproximation
    a_mu: float
    epsilon_g2: G2Line
    decay_probability: DecayProbability
    n_aprime: float
    mean_chi2_energy_GeV: float
    mean_decay_length_cm: float | None
    efficiency: Efficiencies
    n_signal: ExpectedEvents
    upper_limit: float
    cls: float
    excluded: bool
    deciding_factor: str
    verdict: str
    landau_pole_bound: float
    provenance: Provenance
    acceptance: SignalAcceptance
    quoted: Quoted


def explain(
    card: Card,
    *,
    mass_GeV: float,
    epsilon: float,
    alpha_dark: float | None = None,
    mass_ratio: float | None = None,
    relative_splitting: float | None = None,
    beam_energy_GeV: float | None = None,
    material: str | None = None,
    exposure: Mapping[str, float] | None = None,
    work: Work = Work(),
) -> Explanation:
    """Explain one point; parameters that are not given are the card's, as are counts and exposure.

    The limit is that of the card's counting model with the signal shared as at this point.

    Raises:
        ConfigError: an unphysical model, a material that is no element, an epsilon that is not positive.
    """
    if not 0.0 < epsilon <= 1.0:
        raise ConfigError(f"epsilon = {epsilon!r} is not acceptable (must lie between 0 and 1): correct it")
    given = {
        "mass_GeV": mass_GeV,
        "alpha_dark": alpha_dark,
        "mass_ratio": mass_ratio,
        "relative_splitting": relative_splitting,
        "beam_energy_GeV": beam_energy_GeV,
    }
    for name, value in given.items():
        if value is not None and not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"{name} = {value!r} is not acceptable (must be positive): correct it")
    given_beam = card.beam.energy_GeV.value
    card = _changed(card, alpha_dark, mass_ratio, relative_splitting, beam_energy_GeV, material)
    beam = card.beam.energy_GeV.value
    if not mass_GeV < beam:
        raise ConfigError(
            f"m_A' = {mass_GeV:g} GeV cannot be produced (the beam has {beam:g} GeV): give a smaller mass"
        )
    if beam != given_beam:
        log.warning(
            "the verdict takes exposure, background and cuts of the %g GeV beam for one of %g GeV",
            given_beam,
            beam,
        )
    model = Parameters.of(card).model(mass_GeV, epsilon)
    bound = landau_pole_bound(mass_GeV)
    if model.alpha_dark > bound:
        log.warning(
            "alpha_D = %g lies above the Landau-pole bound %.3g for a scale of 1 TeV", model.alpha_dark, bound
        )

    for name, value, (low, high) in (
        ("m_A'", mass_GeV, VALID_MASS_GEV),
        ("the beam energy", beam, VALID_ENERGY_GEV),
    ):
        if not low <= value <= high:
            log.warning(
                "%s = %g GeV lies outside the validated range of %g to %g GeV", name, value, low, high
            )

    warn_of_published_sources(card)
    counts, exposure = counts_of_card(card, exposure)
    exclusion = Exclusion(card, counts, exposure, work=work)
    at_mass = exclusion.signal.at_mass(mass_GeV)
    expected = exclusion.expected(exclusion.at_mass(mass_GeV), [epsilon])
    events = dict(zip(SIGNATURES, expected[0].tolist(), strict=True))
    inclusive = exclusion.at_mass(mass_GeV).s2_inclusive([epsilon])
    total = sum(events.values())
    counting_model = exclusion.model(exclusion.at_mass(mass_GeV), epsilon)
    with said_while("the limit"):
        limit = limits.card_limit(counting_model, card)
    upper_limit = limit.upper_limit
    cls = limits.experiment(counting_model, card.limit.treatment).confidence_levels(total)[2]
    width = WidthFormula.__members__[card.model.width]
    ctau = chi2_ctau(model, width)
    cross_section, mean_x = _by_approximation(card, exclusion, mass_GeV, epsilon)
    band = muon_g2_band(card, [mass_GeV])
    exposed = sum(exposure.values())
    efficiency, made = _efficiencies(exclusion, at_mass, epsilon, exposed)
    excluded = total >= upper_limit
    deciding, verdict = _verdict(made, efficiency, upper_limit, total, excluded)
    spectrum = at_mass.chi2_spectrum()
    mean_energy = float(np.sum(spectrum[0] * spectrum[1]))
    momentum = np.sqrt(np.maximum(spectrum[0] ** 2 - model.chi2_mass**2, 0.0))
    return Explanation(
        mass_GeV=mass_GeV,
        epsilon=epsilon,
        alpha_dark=model.alpha_dark,
        mass_ratio=model.mass_ratio,
        relative_splitting=model.relative_splitting,
        chi1_mass_GeV=model.chi1_mass,
        chi2_mass_GeV=model.chi2_mass,
        splitting_GeV=model.splitting,
        k_factor=chi2_k_factor(model),
        chi2_width_GeV=chi2_width(model, width),
        chi2_ctau_cm=ctau if math.isfinite(ctau) else None,
        branching_ee=chi2_branching_to_electrons(model, width),
        aprime_width_GeV=aprime_width(model),
        cross_section_pb=cross_section,
        mean_x=mean_x,
        a_mu=float(muon_moment(card, mass_GeV, epsilon)),
        epsilon_g2=G2Line(**{name: _finite(line[0]) for name, line in band._asdict().items()}),
        decay_probability=DecayProbability(**at_mass.decay_probability(epsilon)),
        n_aprime=made,
        mean_chi2_energy_GeV=mean_energy,
        mean_decay_length_cm=_finite(float(np.sum(momentum * spectrum[1])) / model.chi2_mass * ctau),
        efficiency=efficiency,
        n_signal=ExpectedEvents(
            s1=events["S1"],
            s2=events["S2"],
            s2_inclusive=None if inclusive is None else float(inclusive[0]) * float(exclusion.weight[1]),
            total=total,
        ),
        upper_limit=upper_limit,
        cls=cls,
        excluded=excluded,
        deciding_factor=deciding,
        verdict=verdict,
        landau_pole_bound=bound,
        provenance=provenance(card, seed=work.seed, limit_method=f"{limit.method}, {limit.treatment}"),
        acceptance=card.signal.acceptance,
        quoted=limits.quoted(limit),
    )


# The steps in words, for the verdict.
STEPS = {
    "aprime_to_chi1_chi2": "the branching ratio A' -> chi1 chi2",
    "ecal": "the cut on the ECAL energy",
    "decay": "the probability that chi2 decays in the right place",
    "chi2_to_ee": "the branching ratio chi2 -> chi1 e e",
    "hcal": "the threshold on the pair in the HCAL",
    "r": "the cut on R",
    "electron": "the cuts on the beam electron",
    "residual_efficiency": "the residual efficiency",
    "production": "production",
}


def _efficiencies(
    exclusion: Exclusion, at_mass: SignalAtMass, epsilon: float, exposed: float
) -> tuple[Efficiencies, float]:
    """The steps, and the A' made by `exposed` electrons on target above the lower ECAL threshold."""
    branching = at_mass.produced(epsilon) / at_mass.produced_to_anything(epsilon)
    made = at_mass.produced_to_anything(epsilon) * exposed
    found: dict[Signature, list[EfficiencyStep]] = {}
    for signature, weight in zip(SIGNATURES, exclusion.weight.tolist(), strict=True):
        steps = {
            "aprime_to_chi1_chi2": branching,
            **at_mass.efficiencies(epsilon)[signature],
            "residual_efficiency": weight / exposed,
        }
        events, rows = made, []
        for name, efficiency in steps.items():
            events *= efficiency
            rows.append(EfficiencyStep(step=name, efficiency=efficiency, events=events))
        found[signature] = rows
    return Efficiencies(s1=found["S1"], s2=found["S2"]), made


def _verdict(
    made: float, efficiency: Efficiencies, upper_limit: float, total: float, excluded: bool
) -> tuple[str, str]:
    """The deciding factor and the verdict in words: definitions in :class:`Explanation`."""
    answer = (
        f"{'excluded' if excluded else 'not excluded'}: {total:.3g} events are expected, "
        f"{upper_limit:.3g} or more are excluded."
    )
    if made < upper_limit:
        return "production", f"{answer} Production decides: only {made:.3g} A' are made."
    by_signature = {"S1": efficiency.s1, "S2": efficiency.s2}
    signature = max(by_signature, key=lambda name: by_signature[name][-1].events)
    steps = by_signature[signature]
    smallest = min(steps, key=lambda row: row.efficiency)
    what = f"{STEPS[smallest.step]}, {smallest.efficiency:.3g}, keeps least of {signature}"
    if excluded:
        events = steps[-1].events
        other = max(total - events, 0.0)
        if other >= upper_limit:
            return smallest.step, f"{answer} Of {made:.3g} A' {what}; the other signature alone would do."
        margin = events / (upper_limit - other)
        return smallest.step, f"{answer} Of {made:.3g} A' {what}; it could be {margin:.3g} times smaller."
    without = math.prod(row.efficiency for row in steps if row is not smallest) * made
    would = "enough" if without >= upper_limit else "still too few"
    return smallest.step, (
        f"{answer} Of {made:.3g} A' {what}; without that loss {signature} alone would be {without:.3g} "
        f"events, {would}."
    )


def _changed(
    card: Card,
    alpha_dark: float | None,
    mass_ratio: float | None,
    relative_splitting: float | None,
    beam_energy_GeV: float | None,
    material: str | None,
) -> Card:
    """The card with the parameters that were given, marked as the user's."""

    def changed(**values: float | None) -> dict[str, Quantity]:
        return {
            name: Quantity(value=value, provenance="user", source="given on the command line")
            for name, value in values.items()
            if value is not None
        }

    model = changed(alpha_dark=alpha_dark, mass_ratio=mass_ratio, relative_splitting=relative_splitting)
    return card.model_copy(
        update={
            "model": card.model.model_copy(update=model),
            "beam": card.beam.model_copy(update=changed(energy_GeV=beam_energy_GeV)),
            "target": card.target.model_copy(update={} if material is None else {"material": material}),
        }
    )


def _by_approximation(
    card: Card, exclusion: Exclusion, mass_GeV: float, epsilon: float
) -> tuple[ByApproximation, ByApproximation]:
    """Cross section and mean x by each approximation; mean x is null where the channel is closed."""
    beam, element = card.beam.energy_GeV.value, exclusion.signal.element
    totals: dict[str, float] = {}
    means: dict[str, float | None] = {}
    for name, approximation in Approximation.__members__.items():
        coupling = epsilon * abs(card.model.vector.electron)
        formula = DarkBremsstrahlung(mass_GeV, element, approximation, coupling)
        try:
            totals[name] = formula.total(beam).value
            means[name] = formula.mean_x(beam).value if totals[name] > 0.0 else None
        except RuntimeError as error:
            raise ConvergenceError(
                f"no {name} cross section at {mass_GeV:g} GeV ({error}): report this"
            ) from None
    return ByApproximation(**totals), ByApproximation(**means)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
