"""Mediators as tables of charges, and how they couple: kinetic mixing is one, a card may give its own."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from .quantity import Model, Quantity, nearest

# With coupling c: c psibar gamma^mu psi, the same with gamma^5, c psibar psi, c i psibar gamma^5 psi.
Coupling = Literal["vector", "axial", "scalar", "pseudoscalar"]


# The couplings of what has no spin, which no left-handed neutrino has alone.
SPINLESS = ("scalar", "pseudoscalar")


@dataclass(frozen=True)
class Mediator:
    """What couples to a fermion f by g q_f, g = epsilon e; neutrinos are left-handed.

    Attributes:
        name: in cards and results.  written: in titles of figures.  source: of the charges.
        vector_only: the charges are those of a gauge symmetry, and of no other coupling.
    """

    name: str
    written: str
    source: str
    electron: float = -1.0
    muon: float = -1.0
    tau: float = -1.0
    electron_neutrino: float = 0.0
    muon_neutrino: float = 0.0
    tau_neutrino: float = 0.0
    up: float = 2.0 / 3.0
    down: float = -1.0 / 3.0
    strange: float = -1.0 / 3.0
    vector_only: bool = True

    @property
    def charges(self) -> dict[str, float]:
        """The charges by the name of the fermion."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.type is float}

    @property
    def is_kinetic_mixing(self) -> bool:
        """Whether it couples as the photon does, whatever its name."""
        return self.charges == KINETIC_MIXING.charges


def _of_charged_leptons(name: str, written: str, source: str, **charges: float) -> Mediator:
    """A mediator of charged leptons alone, of any coupling."""
    found = _of_leptons(name, written, source, **charges)
    return replace(found, vector_only=False, electron_neutrino=0.0, muon_neutrino=0.0, tau_neutrino=0.0)


def _of_leptons(name: str, written: str, source: str, **charges: float) -> Mediator:
    """A mediator of differences of lepton numbers: neutrinos as their leptons, quarks not at all."""
    leptons: dict[str, Any] = {"electron": 0.0, "muon": 0.0, "tau": 0.0} | charges
    neutrinos: dict[str, Any] = {f"{lepton}_neutrino": charge for lepton, charge in leptons.items()}
    return Mediator(name, written, source, **leptons, **neutrinos, up=0.0, down=0.0, strange=0.0)


KINETIC_MIXING = Mediator("kinetic_mixing", "", "Holdom, Phys. Lett. B 166, 196 (1986): as the photon")


_ANOMALY_FREE = "He, Joshi, Lew, Volkas, Phys. Rev. D 43, 22 (1991)"


MEDIATORS = {
    mediator.name: mediator
    for mediator in (
        KINETIC_MIXING,
        Mediator(
            "b_minus_l",
            "B-L",
            "Mohapatra, Marshak, Phys. Rev. Lett. 44, 1316 (1980)",
            electron_neutrino=-1.0,
            muon_neutrino=-1.0,
            tau_neutrino=-1.0,
            up=1.0 / 3.0,
            down=1.0 / 3.0,
            strange=1.0 / 3.0,
        ),
        _of_leptons("l_e_minus_l_mu", r"$L_e-L_\mu$", _ANOMALY_FREE, electron=1.0, muon=-1.0),
        _of_leptons("l_e_minus_l_tau", r"$L_e-L_\tau$", _ANOMALY_FREE, electron=1.0, tau=-1.0),
        Mediator(
            "protophobic",
            "protophobic",
            "Feng et al., arXiv:1604.07411: no charge of the proton, 1 of the neutron",
            up=-1.0 / 3.0,
            down=2.0 / 3.0,
            strange=2.0 / 3.0,
        ),
        _of_charged_leptons(
            "electrons", "electrons only", "as NA64, arXiv:2102.01885: to electrons alone", electron=-1.0
        ),
        _of_charged_leptons(
            "charged_leptons",
            "charged leptons",
            "an assumption: to all charged leptons alike",
            electron=-1.0,
            muon=-1.0,
            tau=-1.0,
        ),
    )
}


class Charges(Model):
    """Charges of a mediator of the card's own."""

    electron: Quantity
    muon: Quantity
    tau: Quantity
    electron_neutrino: Quantity
    muon_neutrino: Quantity
    tau_neutrino: Quantity
    up: Quantity
    down: Quantity
    strange: Quantity


def mediator_of(name: str, charges: Charges | None, coupling: Coupling = "vector") -> Mediator:
    """The mediator of a card.

    Raises:
        ValueError: a name without charges, or charges beside a known name; charges that make nothing, or
            that this coupling does not have.
    """
    found = _mediator_of(name, charges)
    if coupling != "vector" and found.vector_only:
        those = ", ".join(known for known, mediator in MEDIATORS.items() if not mediator.vector_only)
        raise ValueError(
            f"coupling = {coupling} with mediator {name} (its charges are of a vector): set mediator to "
            f"one of {those}, or give charges in [model.charges]"
        )
    if coupling in SPINLESS and any(v for key, v in found.charges.items() if key.endswith("neutrino")):
        raise ValueError(
            f"coupling = {coupling} with charges of neutrinos (there are left-handed ones alone): make them 0"
        )
    return found


def _mediator_of(name: str, charges: Charges | None) -> Mediator:
    if charges is None:
        if name not in MEDIATORS:
            why = nearest(name, MEDIATORS) or f"known are {', '.join(MEDIATORS)}"
            raise ValueError(f"no mediator {name}: {why}, others have their charges in [model.charges]")
        return MEDIATORS[name]
    if name in MEDIATORS:
        raise ValueError(f"charges beside mediator {name}, whose charges are known: give it another name")
    if not name.strip() or not name.isprintable():
        raise ValueError("a mediator with charges of its own needs a name")
    values = {key: getattr(charges, key).value for key in Charges.model_fields}
    if values["electron"] == 0.0:
        raise ValueError(f"mediator {name} does not couple to electrons: nothing is produced in this beam")
    return Mediator(name, name, "the card", **values, vector_only=False)
