"""The verdict: expected events against the limit for their shares, and in words what decides."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from .. import limits
from ..config import SIGNATURES, Card, Signature, changed_card, load_card
from ..errors import ConfigError, DataError
from ..exclusion import Exclusion
from ..inputs import note
from ..limits import CountingModel
from ..records import provenance, sha256_of
from ..signal import Parameters, card_counts, effective_electrons
from ..simulation.samples import SignalSamples
from ..work import Work
from . import hepmc3, lhe
from .accepted import Accepted, of_aprimes, of_decays, require_beam, require_reading
from .events import Events
from .records import EventFacts, ExpectedEvents, Step, Verdict


@dataclass(frozen=True)
class Point:
    """A model point; parameters of the dark sector that are not given are the card's."""

    mass_GeV: float
    epsilon: float
    alpha_dark: float | None = None
    mass_ratio: float | None = None
    relative_splitting: float | None = None


@dataclass(frozen=True)
class _Judged:
    """What a verdict is made of, whatever it is about."""

    kind: Literal["point", "hepmc3", "lhe"]
    card: Card
    exclusion: Exclusion
    model: CountingModel
    mass_GeV: float
    epsilon: float | None
    accepted: Accepted
    events: EventFacts | None
    notes: list[str]


def verdict(
    what: Point | str | Path,
    card: Card | None = None,
    *,
    epsilon: float | None = None,
    produced: float | None = None,
    work: Work = Work(),
) -> Verdict:
    """Whether a model is excluded by the card's counts, and why.

    Args:
        what: a model point, or a file of generated events: HepMC3 (``.hepmc3``, ``.hepmc``) with decays and
            their places, or Les Houches events (``.lhe``) of A', each also with ``.gz``.
        card: the default card when not given. Its exposure and counts are those of the verdict; masses in a
            file take the place of its mass ratio and splitting.
        epsilon: of Les Houches events, whose A' decay as the model says; HepMC3 may say its own.
        produced: A' that are made in the exposure, before the residual efficiency, in all events of the file:
            weights are then shares. Without, HepMC3 has them in its weights, and for Les Houches events the
            chain says how many there are above the threshold.

    Raises:
        ConfigError: an unphysical model, options that do not go with what is judged, a file of another
            model or beam than the card's.
        DataError: a file that is not readable, or whose events are not understood.
        Na64Error: the library that reads the file is not installed.
    """
    card = load_card() if card is None else card
    if isinstance(what, Point):
        if epsilon is not None or produced is not None:
            raise ConfigError("epsilon or produced beside a model point (they are of a file): leave them out")
        judged = _point(what, card, work)
    else:
        judged = _file(Path(what), card, epsilon, produced, work)
    return _verdict(judged, work)


def _exclusion(card: Card, work: Work) -> Exclusion:
    exposure = card.exposure()
    return Exclusion(card, card_counts(card, exposure), exposure, work=work)


def _point(point: Point, card: Card, work: Work) -> _Judged:
    for name in ("mass_GeV", "epsilon"):
        value = getattr(point, name)
        if not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"{name} = {value!r} is not acceptable (must be positive): correct it")
    given = {f"model.{n}": getattr(point, n) for n in ("alpha_dark", "mass_ratio", "relative_splitting")}
    changes = {name: value for name, value in given.items() if value is not None}
    card = changed_card(card, changes) if changes else card
    Parameters.of(card).model(point.mass_GeV, point.epsilon)
    if not point.mass_GeV < card.beam.energy_GeV.value:
        raise ConfigError(
            f"m_A' = {point.mass_GeV:g} GeV cannot be produced (the beam has "
            f"{card.beam.energy_GeV.value:g} GeV): "
            "give a smaller mass"
        )
    exclusion = _exclusion(card, work)
    at_mass = exclusion.at_mass(point.mass_GeV)
    counted = dict(zip(SIGNATURES, exclusion.expected(at_mass, [point.epsilon])[0].tolist(), strict=True))
    errors = dict.fromkeys(SIGNATURES, 0.0)
    notes: list[str] = []
    if isinstance(at_mass, SignalSamples):
        found = at_mass.at(point.epsilon)
        for i, signature in enumerate(SIGNATURES):
            relative = found.error[0, i] / found.expected[0, i] if found.expected[0, i] > 0.0 else 0.0
            errors[signature] = float(relative) * counted[signature]
    chain = exclusion.signal.at_mass(point.mass_GeV)
    steps: dict[Signature, list[Step]] = {}
    for signature, weight in zip(SIGNATURES, exclusion.weight.tolist(), strict=True):
        left = chain.produced(point.epsilon) * weight
        rows = [Step(step="produced", events=left)]
        for name, efficiency in chain.efficiencies(point.epsilon)[signature].items():
            left *= efficiency
            rows.append(Step(step=name, events=left))
        steps[signature] = rows
    if isinstance(at_mass, SignalSamples):
        notes.append("the steps are those of the chain, the expected events those of the own simulation")
    accepted = Accepted(counted, errors, steps)
    model = exclusion.model(at_mass, point.epsilon)
    return _Judged("point", card, exclusion, model, point.mass_GeV, point.epsilon, accepted, None, notes)


def _file(path: Path, card: Card, epsilon: float | None, produced: float | None, work: Work) -> _Judged:
    kind = _kind(path)
    for name, value in (("epsilon", epsilon), ("produced", produced)):
        if value is not None and not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"{name} = {value!r} is not acceptable (must be positive): correct it")
    if kind == "lhe" and epsilon is None:
        raise ConfigError(f"{path} has no decays (their places depend on the mixing): give --epsilon")
    require_reading(card, path)
    note(path)
    if not path.exists():
        raise DataError(f"cannot read {path} (no such file): check the path")
    events = hepmc3.read(path, produced=produced is not None) if kind == "hepmc3" else lhe.read(path)
    require_beam(card, events)
    _require_same(card, events, epsilon)
    epsilon = events.stated.epsilon if epsilon is None else epsilon
    card, notes = _with_masses(card, events)
    exclusion = _exclusion(card, work)
    weight = dict(zip(SIGNATURES, exclusion.weight.tolist(), strict=True))
    exposed = sum(card.exposure().values())
    if kind == "lhe":
        assert epsilon is not None
        share = None if produced is None else produced / exposed
        accepted = of_aprimes(events, exclusion.signal, Parameters.of(card), epsilon, weight, share)
        notes.append(
            "energies and weights of the A' are taken from the file; they are made at the mean depth of "
            "the chain "
            "and decay as the model says"
        )
        if produced is None:
            notes.append(
                "as many A' are made above the threshold as the chain says for this mass and epsilon, "
                "by bremsstrahlung"
            )
        if card.model.annihilation != "off":
            notes.append("annihilation, which the card has on, is not added to the A' of the file")
    else:
        kept = None
        if card.signal.residual == "rest":
            kept = exclusion.signal.at_mass(events.masses.aprime).electrons_kept
        accepted = of_decays(events, exclusion.signal, _scale(events, card, weight, produced), kept)
        notes.append("places of decays are taken along the beam from the front of the ECAL")
        if events.expected and not events.exposure:
            notes.append(
                f"the file does not say which exposure its weights are for: those of the card, {exposed:.4g} "
                "electrons, times the residual efficiency"
            )
    model = _model(exclusion, accepted)
    facts = EventFacts(
        path=str(path),
        size=path.stat().st_size,
        sha256=sha256_of(path),
        events=len(events.weight),
        weights_sum=float(events.weight.sum()),
        decays=events.decays,
    )
    return _Judged(
        cast(Literal["hepmc3", "lhe"], kind),
        card,
        exclusion,
        model,
        events.masses.aprime,
        epsilon,
        accepted,
        facts,
        notes,
    )


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".hepmc3", ".hepmc")):
        return "hepmc3"
    if name.endswith(".lhe"):
        return "lhe"
    raise ConfigError(
        f"{path} is of no known format (known by their endings: .hepmc3, .hepmc, .lhe, with .gz too): name "
        "it so"
    )


def _require_same(card: Card, events: Events, epsilon: float | None) -> None:
    """Raise ConfigError where the file is of another model than the card or the option say."""
    stated, own = events.stated, Parameters.of(card)
    if epsilon is not None and stated.epsilon is not None and not _same(stated.epsilon, epsilon):
        raise ConfigError(
            f"{events.path} is of epsilon = {stated.epsilon:g} ({epsilon:g} is given): leave --epsilon out"
        )
    if stated.alpha_dark is not None and not _same(stated.alpha_dark, own.alpha_dark):
        raise ConfigError(
            f"{events.path} is of alpha_dark = {stated.alpha_dark:g} (the card has {own.alpha_dark:g}): "
            f"--set model.alpha_dark={stated.alpha_dark:g}, or give events of the card's model"
        )
    if stated.mediator is not None and stated.mediator != own.mediator.name:
        raise ConfigError(
            f"{events.path} is of mediator {stated.mediator} (the card has {own.mediator.name}): set "
            "model.mediator, or give events of the card's model"
        )


def _same(one: float, other: float) -> bool:
    """As text of six digits has them, `%g` among others."""
    return math.isclose(one, other, rel_tol=1e-5)


def _with_masses(card: Card, events: Events) -> tuple[Card, list[str]]:
    """The card with the masses of the file, where they are in it and are not its own."""
    masses, own = events.masses, Parameters.of(card)
    if masses.chi1 is None or masses.chi2 is None:
        return card, []
    if not 0.0 < masses.chi1 < masses.chi2:
        raise DataError(
            f"{events.path} has m_chi1 = {masses.chi1:g}, m_chi2 = {masses.chi2:g} GeV (chi2 is the heavier "
            "one): correct it"
        )
    ratio, splitting = masses.aprime / masses.chi1, (masses.chi2 - masses.chi1) / masses.chi1
    same = math.isclose(ratio, own.mass_ratio, rel_tol=2e-3) and math.isclose(
        splitting, own.relative_splitting, rel_tol=1e-2
    )
    if same:
        return card, []
    changed = changed_card(card, {"model.mass_ratio": ratio, "model.relative_splitting": splitting})
    return changed, [f"m_A'/m_chi1 = {ratio:.4g} and Delta/m_chi1 = {splitting:.4g} are those of the file"]


def _scale(
    events: Events, card: Card, weight: dict[Signature, float], produced: float | None
) -> dict[Signature, float]:
    """Factor on the weights of events that have their decays."""
    exposed = sum(card.exposure().values())
    if produced is not None:
        total = float(events.weight.sum())
        return {signature: produced / exposed * weight[signature] / total for signature in SIGNATURES}
    ours = sum(effective_electrons(card, card.exposure()).values())
    theirs = sum(events.exposure.values()) or ours
    return {signature: weight[signature] / theirs for signature in SIGNATURES}


def _model(exclusion: Exclusion, accepted: Accepted) -> CountingModel:
    """The counting model for the shares of these events, each bin with their statistical error."""
    total = sum(accepted.expected.values())
    if not total > 0.0:
        return exclusion.limit.model(0.5)
    model = exclusion.limit.model(accepted.expected["S1"] / total)
    bins = []
    for b in model.bins:
        expected = accepted.expected[cast(Signature, b.signature)]
        error = accepted.error[cast(Signature, b.signature)]
        bins.append(replace(b, signal_uncertainty=error / expected if expected > 0.0 else 0.0))
    return replace(model, bins=tuple(bins), signal_uncertainty=0.0)


def _verdict(judged: _Judged, work: Work) -> Verdict:
    card, accepted, model = judged.card, judged.accepted, judged.model
    total = sum(accepted.expected.values())
    limit = limits.card_limit(model, card)
    cls = limits.experiment(model, card.limit.treatment).confidence_levels(total)[2]
    parameters = Parameters.of(card)

    def expected(value: float, statistical: float) -> ExpectedEvents:
        systematic = model.signal_uncertainty * value
        return ExpectedEvents(expected=value, statistical=statistical, systematic=systematic)

    excluded = total >= limit.upper_limit
    return Verdict(
        kind=judged.kind,
        mass_GeV=judged.mass_GeV,
        epsilon=judged.epsilon,
        alpha_dark=parameters.alpha_dark,
        mass_ratio=parameters.mass_ratio,
        relative_splitting=parameters.relative_splitting,
        s1=expected(accepted.expected["S1"], accepted.error["S1"]),
        s2=expected(accepted.expected["S2"], accepted.error["S2"]),
        total=expected(total, math.hypot(*accepted.error.values())),
        steps={signature: list(steps) for signature, steps in accepted.steps.items()},
        upper_limit=limit.upper_limit,
        upper_limit_error=limit.upper_limit_error,
        cls=float(cls),
        strength=total / limit.upper_limit,
        excluded=excluded,
        why=_why(accepted, total, limit.upper_limit, excluded),
        confidence_level=card.limit.confidence_level.value,
        acceptance=card.signal.acceptance if judged.kind == "point" else "chain",
        events=judged.events,
        notes=judged.notes,
        provenance=provenance(card, seed=work.seed, limit_method=f"exact, {card.limit.treatment}"),
    )


WORDS = {
    "ecal": "the cut on the ECAL energy",
    "decay": "the place of the decay",
    "chi2_to_ee": "the branching ratio chi2 -> chi1 e e",
    "hcal": "the threshold on the pair in the HCAL",
    "r": "the cut on R",
    "electron": "the cuts on the beam electron",
}


def _why(accepted: Accepted, total: float, upper_limit: float, excluded: bool) -> str:
    """What decides, in words."""
    answer = f"{total:.3g} events are expected, {upper_limit:.3g} or more are excluded"
    made = max(steps[0].events for steps in accepted.steps.values())
    if made < upper_limit:
        return f"{answer}; production decides: only {made:.3g} A' are made, residual efficiency included."
    signature = max(accepted.expected, key=lambda name: accepted.expected[name])
    steps = accepted.steps[signature]
    kept = {
        row.step: row.events / before.events
        for before, row in itertools.pairwise(steps)
        if before.events > 0.0
    }
    least = min(kept, key=lambda name: kept[name])
    what = f"{WORDS.get(least, least)} keeps least of {signature}, {kept[least]:.3g}"
    if excluded:
        return f"{answer}; {what}, and leaves {total / upper_limit:.3g} times the limit."
    return (
        f"{answer}; {what}: {upper_limit / total:.3g} times as many would be needed."
        if total > 0.0
        else (f"{answer}; {what}.")
    )
