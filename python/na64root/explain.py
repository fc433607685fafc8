"""Every number of one model point, from couplings to the verdict."""

from __future__ import annotations

import logging
import math

from . import _core, limits
from .config import SIGNATURES, Acceptance, Card, Quantity
from .errors import ConfigError, ConvergenceError
from .exclusion import Exclusion
from .results import Provenance, Record, provenance
from .signal import Parameters, card_counts
from .theory import landau_pole_bound, muon_g2_band

log = logging.getLogger(__name__)

# Where the cross section is validated (docs/physics.md).
VALID_MASS_GEV = (1e-3, 3.0)
VALID_ENERGY_GEV = (1.0, 300.0)


class ByApproximation(Record):
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
    s1: float
    s2: float
    total: float


class Explanation(Record):
    """What `na64root explain` tells; units are in the names, cross sections per atom at the beam energy.

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
    n_signal: ExpectedEvents
    upper_limit: float
    cls: float
    excluded: bool
    landau_pole_bound: float
    provenance: Provenance
    acceptance: Acceptance


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
    seed: int = 1,
    threads: int = 1,
) -> Explanation:
    """Explain one point; parameters that are not given are the card's, as are counts and exposure.

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

    exposure = card.exposure()
    exclusion = Exclusion(card, card_counts(card, exposure), exposure, seed=seed, threads=threads)
    at_mass = exclusion.signal.at_mass(mass_GeV)
    expected = exclusion.expected(exclusion.at_mass(mass_GeV), [epsilon])
    events = dict(zip(SIGNATURES, expected[0].tolist(), strict=True))
    total = sum(events.values())
    share = events["S1"] / total if total > 0.0 else 0.0
    upper_limit = exclusion.limit.exact(share)
    cls = limits.experiment(exclusion.limit.model(share), card.limit.treatment).confidence_levels(total)[2]
    width = _core.WidthFormula.__members__[card.model.width]
    ctau = _core.chi2_ctau(model, width)
    cross_section, mean_x = _by_approximation(card, exclusion, mass_GeV, epsilon)
    band = muon_g2_band(card, [mass_GeV])
    return Explanation(
        mass_GeV=mass_GeV,
        epsilon=epsilon,
        alpha_dark=model.alpha_dark,
        mass_ratio=model.mass_ratio,
        relative_splitting=model.relative_splitting,
        chi1_mass_GeV=model.chi1_mass,
        chi2_mass_GeV=model.chi2_mass,
        splitting_GeV=model.splitting,
        k_factor=_core.chi2_k_factor(model),
        chi2_width_GeV=_core.chi2_width(model, width),
        chi2_ctau_cm=ctau if math.isfinite(ctau) else None,
        branching_ee=_core.chi2_branching_to_electrons(model, width),
        aprime_width_GeV=_core.aprime_width(model),
        cross_section_pb=cross_section,
        mean_x=mean_x,
        a_mu=float(_core.magnetic_moment(_core.units.muon_mass, mass_GeV, epsilon)),
        epsilon_g2=G2Line(**{name: _finite(line[0]) for name, line in band._asdict().items()}),
        decay_probability=DecayProbability(**at_mass.decay_probability(epsilon)),
        n_signal=ExpectedEvents(s1=events["S1"], s2=events["S2"], total=total),
        upper_limit=upper_limit,
        cls=cls,
        excluded=total >= upper_limit,
        landau_pole_bound=bound,
        provenance=provenance(card, seed=seed, limit_method=f"exact, {card.limit.treatment}"),
        acceptance=card.signal.acceptance,
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
    for name, approximation in _core.Approximation.__members__.items():
        formula = _core.DarkBremsstrahlung(mass_GeV, element, approximation, epsilon)
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
