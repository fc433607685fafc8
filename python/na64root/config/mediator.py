"""Mediators as tables of charges: kinetic mixing is one of them, a card may give its own."""

from dataclasses import dataclass, fields

from .quantity import Model, Quantity, nearest


@dataclass(frozen=True)
class Mediator:
    """A vector that couples to a fermion f by g q_f, g = epsilon e; neutrinos are left-handed.

    Attributes:
        name: in cards and results.  written: in titles of figures.  source: of the charges.
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

    @property
    def charges(self) -> dict[str, float]:
        """The charges by the name of the fermion."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.type is float}

    @property
    def is_kinetic_mixing(self) -> bool:
        """Whether it couples as the photon does, whatever its name."""
        return self.charges == KINETIC_MIXING.charges


def _of_leptons(name: str, written: str, source: str, **charges: float) -> Mediator:
    """A mediator of differences of lepton numbers: neutrinos as their leptons, quarks not at all."""
    leptons = {"electron": 0.0, "muon": 0.0, "tau": 0.0} | charges
    neutrinos = {f"{lepton}_neutrino": charge for lepton, charge in leptons.items()}
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


def mediator_of(name: str, charges: Charges | None) -> Mediator:
    """The mediator of a card.

    Raises:
        ValueError: a name without charges, or charges beside a known name; charges that make nothing.
    """
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
    return Mediator(name, name, "the card", **values)
