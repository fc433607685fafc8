"""Expected signal: thick-target production, flight and decay of chi2, the card's acceptance.

A' are made by dark bremsstrahlung and, where the card says so, by resonant annihilation of positrons.

Nothing here is Monte Carlo: the integrals run in the C++ core (``thick_target.hpp``), so yields carry no
statistical noise. A card's efficiencies stand for what is not computed: the R cut and the residual one.
"""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate

from .._core import (
    Approximation,
    Chi2Decayer,
    Chi2Flux,
    Coupling,
    DarkBremsstrahlung,
    DecayModel,
    InclusiveS2,
    Material,
    ProductionPoint,
    ResonantAnnihilation,
    WidthFormula,
    annihilation_spectrum,
    aprime_width,
    aprime_width_to_chi,
    aprime_width_to_neutrinos,
    chi2_branching_to_electrons,
    chi2_ctau,
    chi2_flux,
    chi2_width_to_neutrinos,
    decays_between,
    production_spectrum,
    track_length,
    units,
)
from .._core import material as core_material
from ..annotations import Array
from ..config import Card, Signature
from ..errors import ConfigError, ConvergenceError
from .inside import S2Tables, Target, s2_tables
from .parameters import Mode, Parameters, require_mode

# Below it the cascade, without ionisation, is not valid: A' of less energy are left out.
LOWEST_APRIME_ENERGY_GEV = 1.0


# Energies of chi2 between which the share of decays above a threshold is interpolated: yields to 1e-6.
ENERGY_POINTS = 400


# Masses whose production is kept, some 100 kB each.
PRODUCTIONS_KEPT = 400


# The regions along the beam in which a chi2 can decay, in the order of the beam.
REGIONS = ("ecal", "before_veto", "hcal1", "hcal2", "hcal3", "beyond")


class SignalModel:
    """The expected signal of a card. The cascade is solved once, production at each mass by :meth:`at_mass`.

    Raises:
        ConfigError: a target that is not an element, a beam without a shower, decays of chi2 by another
            mediator than a vector.
    """

    def __init__(self, card: Card, *, mode: Mode = "semivisible") -> None:
        require_mode(card, mode)
        self.card = card
        self.mode = mode
        self.material = _target_material(card)
        self.element = self.material.components[0].element
        beam = card.beam.energy_GeV.value
        if not beam > LOWEST_APRIME_ENERGY_GEV:
            raise ConfigError(
                f"a beam of {beam:g} GeV makes no shower that is described here (from "
                f"{LOWEST_APRIME_ENERGY_GEV:g} GeV): give more"
            )
        # E_A' = E_beam - E_ECAL; a cut above the beam energy accepts every A'.
        self.aprime_threshold: dict[Signature, float] = {
            "S1": max(LOWEST_APRIME_ENERGY_GEV, beam - card.selection.ecal.s1_max_GeV.value),
            "S2": max(LOWEST_APRIME_ENERGY_GEV, beam - card.selection.ecal.s2_max_GeV.value),
        }
        self.track = track_length(
            self.material, beam, min(self.aprime_threshold.values()), beam_charge=card.beam.charge
        )
        absorber = card.target.lead_layer_cm.value / self.material.radiation_length_cm()
        scintillator = (
            card.target.scintillator_layer_cm.value / core_material("polystyrene").radiation_length_cm()
        )
        layer = card.target.lead_layer_cm.value + card.target.scintillator_layer_cm.value
        self.depth_scale_cm = layer / (absorber + scintillator)
        # Only the track in the absorber counts, as in the Geant4 tables for yields.
        self.atoms_per_radiation_length = (
            units.avogadro
            / self.element.atomic_mass
            * self.material.radiation_length
            * (absorber / (absorber + scintillator))
        )

        # A refined plane asks for the masses of its coarse grid again, after some hundred others.
        self._production = functools.lru_cache(maxsize=PRODUCTIONS_KEPT)(self._produced)

    def __reduce__(self) -> Any:
        # What the core made is made again, the same, where this is unpickled.
        return functools.partial(SignalModel, mode=self.mode), (self.card,)

    @functools.cached_property
    def s2_tables(self) -> S2Tables | None:
        """What the selection of S2 leaves of decays inside; None where that reading has no meaning."""
        target = Target(
            (self.aprime_threshold["S2"], self.aprime_threshold["S1"]),
            self.atoms_per_radiation_length,
            self.depth_scale_cm,
        )
        return s2_tables(self.card, target)

    def cross_section(self, mass_GeV: float, epsilon: float = 1.0) -> DarkBremsstrahlung:
        """e Z -> e Z A' by the card's approximation and mediator, for the target's element."""
        approximation = Approximation.__members__[self.card.model.approximation]
        strength = epsilon * abs(self.card.model.vector.electron)
        coupling = Coupling.__members__[self.card.model.coupling]
        return DarkBremsstrahlung(mass_GeV, self.element, approximation, strength, coupling)

    def production(self, mass_GeV: float) -> list[ProductionPoint]:
        """A' of bremsstrahlung along the shower, for epsilon = 1; it depends on no other parameter.

        Raises:
            ConvergenceError: an integral that did not converge.
        """
        return list(self._production(mass_GeV))

    def _produced(self, mass_GeV: float) -> list[ProductionPoint]:
        try:
            return production_spectrum(
                self.cross_section(mass_GeV),
                self.track,
                self.atoms_per_radiation_length,
                sorted(self.aprime_threshold.values()),
            )
        except RuntimeError as error:
            raise ConvergenceError(f"no yield at m_A' = {mass_GeV:g} GeV ({error}): report this") from None

    def annihilation(self, mass_GeV: float, parameters: Parameters) -> list[ProductionPoint]:
        """A' -> chi1 chi2 of annihilation along the shower, for epsilon = 1; none where the card has it off.

        The width of the A' is that to chi1 chi2. That to all else multiplies the peak, as it does any other
        A', by the branching ratio to chi1 chi2; what lies off the peak it leaves as it is, which is not
        followed here: at most alpha epsilon^2/alpha_D of it.

        Raises:
            ConfigError: an unphysical model.
        """
        if self.card.model.annihilation == "off":
            return []
        formula = ResonantAnnihilation(parameters.model(mass_GeV, 0.0), self.element.atomic_number)
        return annihilation_spectrum(
            formula, self.track, self.atoms_per_radiation_length, sorted(self.aprime_threshold.values())
        )

    def at_mass(
        self,
        mass_GeV: float,
        parameters: Parameters | None = None,
        production: list[ProductionPoint] | None = None,
        *,
        annihilation: bool = True,
    ) -> SignalAtMass:
        """The signal as a function of epsilon at one mass.

        Args:
            production: :meth:`production` at this mass, where it serves several parameters; annihilation,
                which depends on them, is added to it.
            annihilation: whether it is, where the card has it on; not where `production` is all there is.

        Raises:
            ConfigError: an unphysical model.  ConvergenceError: an integral that did not converge.
        """
        made = self.production(mass_GeV) if production is None else production
        try:
            parameters = parameters or Parameters.of(self.card)
            return SignalAtMass(self, mass_GeV, parameters, made, annihilation=annihilation)
        except RuntimeError as error:
            raise ConvergenceError(f"no yield at m_A' = {mass_GeV:g} GeV ({error}): report this") from None


@dataclass(frozen=True)
class _Flux:
    """The chi2 of one process, and the share of each that counts for a signature; shape (n,)."""

    chi2: Chi2Flux
    accepted: dict[Signature, Array]


class SignalAtMass:
    """The signal at one mass, for any epsilon. Per electron on target, before the residual efficiency."""

    def __init__(
        self,
        signal: SignalModel,
        mass_GeV: float,
        parameters: Parameters,
        production: list[ProductionPoint],
        *,
        annihilation: bool = True,
    ) -> None:
        self.signal = signal
        self.mass_GeV = mass_GeV
        self._annihilates = annihilation and signal.card.model.annihilation != "off"
        self._set_widths(parameters)
        self._decay = None
        if parameters.coupling == "vector" and self._model.chi2_decays:
            model = signal.card.model.decay
            self._decay = Chi2Decayer(self._model, DecayModel.__members__[model])
        self._bremsstrahlung = self._flux_of(production)
        self._annihilation = self._flux_of_annihilation()
        self._inclusive: list[InclusiveS2] = []  # one or none, shared with other alpha_D

    def _flux_of(self, production: list[ProductionPoint]) -> _Flux | None:
        if not production:
            return None
        card, signal = self.signal.card, self.signal
        start = card.geometry.ecal_start_cm.value
        flux = chi2_flux(self._model, production, signal.depth_scale_cm, start)
        accepted: dict[Signature, Array] = {
            signature: np.where(flux.aprime_energy > threshold, 1.0, 0.0)
            for signature, threshold in signal.aprime_threshold.items()
        }
        if self._decay is not None:
            threshold = card.selection.hcal.s1_signal_min_GeV.value
            energies = np.linspace(flux.chi2_energy.min(), flux.chi2_energy.max(), ENERGY_POINTS)
            above = interpolate.PchipInterpolator(energies, self._decay.fraction_above(threshold, energies))
            accepted["S1"] = accepted["S1"] * above(flux.chi2_energy)
        return _Flux(flux, accepted)

    def _flux_of_annihilation(self) -> _Flux | None:
        if not self._annihilates:
            return None
        return self._flux_of(self.signal.annihilation(self.mass_GeV, self.parameters))

    @property
    def _fluxes(self) -> list[_Flux]:
        return [flux for flux in (self._bremsstrahlung, self._annihilation) if flux is not None]

    def _set_widths(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._model = parameters.model(self.mass_GeV, 1.0)
        self._width_to_chi = aprime_width_to_chi(self._model)
        self._width_to_leptons = aprime_width(self._model) - self._width_to_chi
        self._width_to_neutrinos = aprime_width_to_neutrinos(self._model)
        self._ctau, self._branching_ee, self._branching_to_neutrinos = math.inf, 0.0, 0.0
        if parameters.coupling != "vector":  # mode invisible, in which no decay of chi2 is seen
            return
        self._width = WidthFormula.__members__[self.signal.card.model.width]
        self._ctau = chi2_ctau(self._model, self._width)
        self._branching_ee = chi2_branching_to_electrons(self._model, self._width)
        neutrinos = chi2_width_to_neutrinos(self._model)
        self._branching_to_neutrinos = neutrinos * self._ctau / units.hbar_c if neutrinos > 0.0 else 0.0

    def with_alpha_dark(self, alpha_dark: float) -> SignalAtMass:
        """The same at another alpha_D, on which widths and annihilation depend; the rest does not.

        Raises:
            ConfigError: an unphysical model.
        """
        other = copy.copy(self)
        parameters = replace(self.parameters, alpha_dark=alpha_dark)
        other._set_widths(parameters)
        other._annihilation = other._flux_of_annihilation()
        if other._annihilation is not None:
            other._inclusive = []
        return other

    def ctau_cm(self, epsilon: ArrayLike) -> Array:
        """c tau of chi2 in cm for each epsilon; infinite where it is stable."""
        square = np.square(np.asarray(epsilon, dtype=float))
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(square > 0.0, self._ctau / square, math.inf))

    def per_electron(self, epsilon: ArrayLike) -> Array:
        """Expected (S1, S2) per electron on target, shape (n_epsilon, 2); epsilon of shape (n_epsilon,).

        S2 is what the card's `signal.s2` says: decays behind the detector, or :meth:`s2_inclusive`.
        """
        epsilon = np.atleast_1d(np.asarray(epsilon, dtype=float))
        square = epsilon**2
        kept = self.electrons_kept if self.signal.card.signal.residual == "rest" else 1.0
        if self.signal.mode == "invisible":
            produced = sum(float(np.sum(f.chi2.weight * f.accepted["S2"])) for f in self._fluxes)
            total = self._width_to_chi + self._width_to_leptons * square
            unseen = (self._width_to_chi + self._width_to_neutrinos * square) / total
            return np.stack([np.zeros_like(square), kept * produced * square * unseen], axis=1)
        geometry = self.signal.card.geometry
        ctau = self.ctau_cm(epsilon)
        front, end = geometry.hcal2_start_cm.value, geometry.hcal3_end_cm.value
        s1, s2 = np.zeros_like(square), np.zeros_like(square)
        inclusive = self.signal.card.signal.s2 == "inclusive"
        for flux in self._fluxes:
            s1 = s1 + decays_between(flux.chi2, flux.accepted["S1"], ctau, front, end)
            if not inclusive:
                s2 = s2 + decays_between(flux.chi2, flux.accepted["S2"], ctau, end, math.inf)
        if inclusive:
            s2 = np.asarray(self._inclusive_s2()(ctau))
        s2 = s2 + self._unseen(ctau)
        branching = kept * self._width_to_chi / (self._width_to_chi + self._width_to_leptons * square)
        s1 = s1 * self._branching_ee * self.signal.card.signal.r_efficiency.value
        return np.stack([s1 * square * branching, s2 * square * branching], axis=1)

    def s2_inclusive(self, epsilon: ArrayLike) -> Array | None:
        """Expected S2 per electron on target with the decays inside the detector, shape (n_epsilon,).

        Each decay is weighted with what the selection of S2 leaves of it (``s2_selection.hpp``). None where
        the calorimeters are in no order to simulate, and in mode invisible, where nothing decays.
        """
        if self.signal.mode == "invisible" or self.signal.s2_tables is None:
            return None
        values = np.atleast_1d(np.asarray(epsilon, dtype=float))
        square = values**2
        kept = self.electrons_kept if self.signal.card.signal.residual == "rest" else 1.0
        branching = self._width_to_chi / (self._width_to_chi + self._width_to_leptons * square)
        ctau = self.ctau_cm(values)
        s2 = self._inclusive_s2()(ctau) + self._unseen(ctau)
        return np.asarray(s2 * kept * square * branching)

    def _unseen(self, ctau: Array) -> Array:
        """Decays to neutrinos within the detector, of which nothing is seen wherever they are."""
        unseen = np.zeros_like(ctau)
        if self._branching_to_neutrinos > 0.0:
            end = self.signal.card.geometry.hcal3_end_cm.value
            for flux in self._fluxes:
                unseen = unseen + decays_between(flux.chi2, flux.accepted["S2"], ctau, -math.inf, end)
        return np.asarray(self._branching_to_neutrinos * unseen)

    @property
    def electrons_kept(self) -> float:
        """What the cuts on the electron (trigger, beam cell, preshower, shower chi2) keep of A' of S2.

        Of those above the ECAL cut whose decay nothing sees. It is part of the residual efficiency, and a
        factor beside it where the card has `signal.residual = "rest"`.

        Raises:
            ConfigError: calorimeters that cannot be simulated.
        """
        return float(self._inclusive_s2().electrons_kept)

    def _inclusive_s2(self) -> InclusiveS2:
        tables = self.signal.s2_tables
        if tables is None:
            raise ConfigError(
                "decays inside the detector cannot be selected here (calorimeters overlap or are not in the "
                'order of the beam): correct the geometry, or use signal.s2 = "beyond" and '
                'signal.residual = "total"'
            )
        if not self._inclusive:
            self._inclusive.append(
                InclusiveS2(
                    [flux.chi2 for flux in self._fluxes],
                    self._decay,
                    self._branching_ee,
                    self.signal.aprime_threshold["S2"],
                    self.signal.depth_scale_cm,
                    tables.pairs,
                    tables.electrons,
                )
            )
        return self._inclusive[0]

    def chi2_spectrum(self) -> tuple[Array, Array]:
        """Energies of chi2 in GeV of A' above the lower ECAL threshold, and weights, which sum to 1."""
        if not self._fluxes:
            return np.array([]), np.array([])
        energy, weight = (
            np.concatenate([getattr(flux.chi2, name) for flux in self._fluxes])
            for name in ("chi2_energy", "weight")
        )
        return energy, weight / np.sum(weight)

    def produced(self, epsilon: float) -> float:
        """A' to chi1 chi2 above the lower ECAL threshold, per electron on target."""
        return self.produced_to_anything(epsilon) * self._branching_to_chi(epsilon)

    def produced_to_anything(self, epsilon: float) -> float:
        """A' above the lower ECAL threshold, whatever they decay to, per electron on target."""
        return self._weight() * epsilon**2

    def _weight(self) -> float:
        """A' above the lower ECAL threshold, per electron on target at epsilon = 1."""
        return sum(float(np.sum(flux.chi2.weight)) for flux in self._fluxes)

    def _branching_to_chi(self, epsilon: float) -> float:
        return self._width_to_chi / (self._width_to_chi + self._width_to_leptons * epsilon**2)

    def efficiencies(self, epsilon: float) -> dict[Signature, dict[str, float]]:
        """What each step keeps of what the one before left, from :meth:`produced` to :meth:`per_electron`.

        In the order of the chain: ``ecal`` the cut on E_A', ``decay`` of chi2 in HCAL2 or HCAL3 (S1), behind
        them or to neutrinos (S2; read inclusively, also inside, as far as the selection leaves it), and for
        S1 ``chi2_to_ee``, ``hcal`` the threshold on the pair, ``r``; ``electron`` the cuts on the electron
        where the residual efficiency is without them. A step that nothing reaches keeps nothing.
        """
        geometry = self.signal.card.geometry
        ctau = self.ctau_cm([epsilon])
        front, end = geometry.hcal2_start_cm.value, geometry.hcal3_end_cm.value
        volumes: dict[Signature, tuple[float, float]] = {"S1": (front, end), "S2": (end, math.inf)}
        found: dict[Signature, dict[str, float]] = {}
        for signature, volume in volumes.items():
            left, decayed, accepted = 0.0, 0.0, 0.0
            for flux in self._fluxes:
                kept = np.where(flux.chi2.aprime_energy > self.signal.aprime_threshold[signature], 1.0, 0.0)
                left += float(np.sum(flux.chi2.weight * kept))
                decayed += float(decays_between(flux.chi2, kept, ctau, *volume)[0])
                accepted += float(decays_between(flux.chi2, flux.accepted[signature], ctau, *volume)[0])
            if signature == "S2":
                if self.signal.card.signal.s2 == "inclusive":
                    decayed = float(self._inclusive_s2()(ctau)[0])
                decayed += float(self._unseen(ctau)[0])
            steps = {"ecal": _share(left, self._weight()), "decay": _share(decayed, left)}
            if signature == "S1":
                steps["chi2_to_ee"] = self._branching_ee
                steps["hcal"] = _share(accepted, decayed)
                steps["r"] = self.signal.card.signal.r_efficiency.value
            if self.signal.card.signal.residual == "rest":
                steps["electron"] = self.electrons_kept
            found[signature] = steps
        return found

    def decay_probability(self, epsilon: float) -> dict[str, float]:
        """Where chi2 decays, by region; sums to 1. Weighted by production above the lower ECAL threshold.

        Raises:
            ConfigError: nothing is produced there.
        """
        geometry = self.signal.card.geometry
        edges = [
            -math.inf,
            geometry.ecal_end_cm.value,
            geometry.veto_cm.value,
            geometry.hcal2_start_cm.value,
            geometry.hcal3_start_cm.value,
            geometry.hcal3_end_cm.value,
            math.inf,
        ]
        ctau = self.ctau_cm([epsilon])
        total = self._weight()
        if not total > 0.0:
            raise ConfigError(
                f"no A' of {self.mass_GeV:g} GeV is produced above the ECAL threshold: give a smaller mass"
            )
        return {
            region: sum(
                float(decays_between(f.chi2, np.ones_like(f.chi2.weight), ctau, low, high)[0])
                for f in self._fluxes
            )
            / total
            for region, low, high in zip(REGIONS, edges[:-1], edges[1:], strict=True)
        }


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0


def _target_material(card: Card) -> Material:
    name = card.target.material
    try:
        material = core_material(name)
    except ValueError as error:
        raise ConfigError(f"target.material is not acceptable ({error}): choose one of them") from None
    if len(material.components) != 1:
        raise ConfigError(f"target.material {name} is a compound (yields are per atom): choose an element")
    return material
