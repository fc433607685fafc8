"""A simulated signal sample given as files: what it stands for, and its selected events in each bin.

The contract: over the whole sample, before cuts, `mcWeight` sums in each run period to the expected number of
A' (above the energy at which an A' leaves less than the ECAL cut of S1) in the electrons on target of that
period times its residual efficiency. So after cuts it sums to the expected signal, and what the residual
efficiency stands for is not simulated again. Files of `simulate signal` have the cuts on the electron
simulated: these are divided out where the card's residual efficiency stands for them too. Such files say
themselves which point, exposure and part of a sample they are; of others the user gives mass and epsilon.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .. import selection
from .._core import DecayVolume
from ..config import SIGNATURES, Card, DeclaredCut, Signature
from ..errors import ConfigError, DataError
from ..ntuple import Ntuple, about, expand, open_ntuple
from ..records import InputFile, Record
from ..selection import SelectionOptions
from ..selection.systematics import SystematicEffect, require_all, scaled_sum
from ..signal import MODES, Parameters, SignalModel, effective_electrons
from ..work import Work
from .core_config import SignalMode
from .sample import effective_events

log = logging.getLogger(__name__)

# Production per electron is the same in all periods: beyond these standard errors the weights are not for it.
PERIOD_ERRORS = 5.0


# A sample whose production differs by more from the chain's is told: another normalisation, or forced decays.
PRODUCTION_RATIO = 1.5


# The cut on the truth that leaves of S2 what the paper counts.
DECAYS_BEHIND = "decays_behind"


class SignalBin(Record):
    """Selected events of a sample in a bin; `effective_events` unweighted ones have the same error."""

    period: str
    signature: Signature
    expected: float
    error: float
    events: int
    effective_events: float


class SimulatedSignal(Record):
    """The expected signal of a sample, for the exposure of an analysis.

    `origin` is ``na64root`` for files of `simulate signal`, ``other`` for another simulation. `produced` is
    the sum of weights before cuts, `produced_by_chain` what the semi-analytic chain expects of it (null in
    mode visible). `systematics` is what the card's systematic sources do to `bins`, empty unless asked for.
    """

    origin: Literal["na64root", "other"]
    mode: SignalMode
    mass_GeV: float
    epsilon: float
    alpha_dark: float
    mass_ratio: float
    relative_splitting: float
    produced: float
    produced_by_chain: float | None
    bins: list[SignalBin]
    systematics: list[SystematicEffect]
    files: list[InputFile]

    def of(self, period: str, signature: Signature) -> SignalBin:
        """The bin of a run period and a signature."""
        return next(b for b in self.bins if (b.period, b.signature) == (period, signature))

    def total(self, signature: Signature) -> float:
        """Expected events of a signature in all periods."""
        return sum(b.expected for b in self.bins if b.signature == signature)


@dataclass(frozen=True)
class _Part:
    """Files that are selected together, and the factor on their weights in each period."""

    ntuple: Ntuple
    scale: Mapping[str, float]


@dataclass(frozen=True)
class _Point:
    mode: SignalMode
    mass_GeV: float
    epsilon: float
    parameters: Parameters


def read_signal(
    files: Sequence[str],
    card: Card,
    exposure: Mapping[str, float],
    *,
    mass_GeV: float | None = None,
    epsilon: float | None = None,
    vary: bool = False,
    work: Work = Work(),
) -> SimulatedSignal:
    """Select a signal sample with the code that selects data.

    Files of `simulate signal` are parts of one sample: they are averaged by their numbers of events, period
    by period, and scaled to `exposure`. Files of another simulation are summed as they are.

    Args:
        exposure: electrons on target of each period of the analysis; a period without is left out.
        mass_GeV, epsilon: the point that files of another simulation are made for.
        vary: also vary the card's systematic sources, those that smear with random numbers of `seed`.

    Raises:
        ConfigError: no point is given, or another one than the files say; parts of different samples; a
            source that cannot be varied, where the card has `systematics.in_limit = "varied"`.
        DataError: no mcWeight, weights that are negative, NaN or all zero, a period without simulated events,
            production that differs between the periods, no event that passes; as
            :func:`na64root.selection.select`.
    """
    ntuples = _opened(expand(files), card)
    paths = [path for ntuple in ntuples for path in ntuple.paths]
    own = [facts for ntuple in ntuples if (facts := _facts(ntuple)) is not None]
    electrons = effective_electrons(card, exposure)
    if own:
        point = _own_point(paths, own, card, mass_GeV, epsilon)
        parts = _own_parts(ntuples, own, electrons)
    else:
        point = _given_point(paths[0], card, mass_GeV, epsilon)
        parts = [_Part(ntuple, dict.fromkeys(electrons, 1.0)) for ntuple in ntuples]
    counting = _counting(card, point, ntuples)
    selected = [_select(part, counting, vary=vary, work=work) for part in parts]
    inputs = [file for found in selected for file in found.files]
    bins, produced = _summed(parts, selected, electrons)
    if not own:
        _require_same_production(paths[0], produced, electrons)
    if not sum(b.expected for b in bins) > 0.0:
        raise DataError(
            f"no event of the signal sample {paths[0]} passes the selection in a period with exposure "
            "(nothing to set a limit on): simulate more, or another point"
        )
    # What the cuts on the electron lose is in the sample, and in a residual efficiency that stands for all.
    kept = _electrons_kept(card, point) if own else 1.0
    total = sum(weight for weight, _ in produced.values())
    chain = _produced_by_chain(card, point, sum(electrons.values()))
    if chain is not None and not 1.0 / PRODUCTION_RATIO < total / chain < PRODUCTION_RATIO:
        log.warning(
            "the signal sample has %.3g A' before cuts, the chain expects %.3g in this exposure times "
            "residual efficiency: check what its mcWeight sums to",
            total,
            chain,
        )
    return SimulatedSignal(
        origin="na64root" if own else "other",
        mode=point.mode,
        mass_GeV=point.mass_GeV,
        epsilon=point.epsilon,
        alpha_dark=point.parameters.alpha_dark,
        mass_ratio=point.parameters.mass_ratio,
        relative_splitting=point.parameters.relative_splitting,
        produced=total,
        produced_by_chain=chain,
        bins=[b.model_copy(update={"expected": b.expected / kept, "error": b.error / kept}) for b in bins],
        systematics=[scaled_sum([(1.0 / kept, effect)]) for effect in _effects(parts, selected, electrons)],
        files=inputs,
    )


def _opened(paths: Sequence[str], card: Card) -> list[Ntuple]:
    """Each file of `simulate signal` by itself, as a part of a sample; those of another simulation as one."""
    card = card.for_simulation
    own = {path: _is_own(about(path)) for path in paths}
    if len(set(own.values())) > 1:
        stranger = next(path for path in paths if not own[path])
        ours = next(path for path in paths if own[path])
        raise ConfigError(f"{stranger} is no file of simulate signal, {ours} is one: give files of one kind")
    groups = [[path] for path in paths] if own[paths[0]] else [paths]
    return [open_ntuple(group, card, unpack=False) for group in groups]


def _is_own(facts: Mapping[str, Any] | None) -> bool:
    # A skim of files of another simulation says of itself that it is one.
    return facts is not None and facts.get("simulation") != []


def _facts(ntuple: Ntuple) -> dict[str, Any] | None:
    """What a file of `simulate signal` says of itself; None for another file."""
    path = ntuple.paths[0]
    facts = ntuple.made_by_na64root.get(path)
    if facts is None or not _is_own(facts):
        return None
    simulated = facts["simulation"][0] if "simulation" in facts else facts
    if "epsilon" not in simulated or "electrons" not in simulated:
        raise ConfigError(f"{path} is a sample of na64root, but of no signal: give one of simulate signal")
    if simulated is not facts or facts["events"] != ntuple.entries:
        raise ConfigError(
            f"{path} has {ntuple.entries} events, {simulated['events']} were simulated for it (merged or "
            "skimmed files have no normalisation): give the files as they were simulated"
        )
    return facts


def _own_point(
    paths: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    card: Card,
    mass_GeV: float | None,
    epsilon: float | None,
) -> _Point:
    names = ("mode", "mass_GeV", "epsilon", "alpha_dark", "mass_ratio", "relative_splitting")
    first = facts[0]
    for path, fact in zip(paths, facts, strict=True):
        for name in names:
            if fact[name] != first[name]:
                raise ConfigError(
                    f"{name} is {fact[name]} in {path}, {first[name]} in {paths[0]} (parts of one sample are "
                    "expected): give files of one point"
                )
        if fact["forced"] is not None:
            raise ConfigError(
                f"decays in {path} are forced (the others are missing in it): simulate without --forced"
            )
    for name, given in (("mass_GeV", mass_GeV), ("epsilon", epsilon)):
        if given is not None and given != first[name]:
            raise ConfigError(f"{name} is {first[name]:g} in {paths[0]}, {given:g} was given: leave it out")
    parameters = Parameters(first["alpha_dark"], first["mass_ratio"], first["relative_splitting"])
    if parameters != Parameters.of(card):
        raise ConfigError(
            f"{paths[0]} has alpha_D, m_A'/m_chi1, splitting = {parameters.alpha_dark:g}, "
            f"{parameters.mass_ratio:g}, {parameters.relative_splitting:g}, the card others: use "
            "--set model..."
        )
    if first["provenance"]["card_sha256"] != card.sha256:
        log.warning("%s was simulated with another card than this analysis uses", paths[0])
    return _Point(first["mode"], first["mass_GeV"], first["epsilon"], parameters)


def _own_parts(
    ntuples: Sequence[Ntuple], facts: Sequence[Mapping[str, Any]], electrons: Mapping[str, float]
) -> list[_Part]:
    """Each part counts by its number of events among those that have a period, for these electrons."""
    paths = [ntuple.paths[0] for ntuple in ntuples]
    for i, (path, fact) in enumerate(zip(paths, facts, strict=True)):
        for other_path, other in zip(paths[:i], facts[:i], strict=True):
            first, last = fact["first_event"], fact["first_event"] + fact["events"]
            apart = last <= other["first_event"] or other["first_event"] + other["events"] <= first
            shared = any(
                fact["electrons"][p] * other["electrons"].get(p, 0.0) > 0.0 for p in fact["electrons"]
            )
            if fact["seed"] == other["seed"] and not apart and shared:
                raise ConfigError(
                    f"{path} and {other_path} hold the same events (seed {fact['seed']}): give each once"
                )
    parts = []
    for ntuple, fact in zip(ntuples, facts, strict=True):
        scale = {}
        for period, needed in electrons.items():
            events = sum(f["events"] for f in facts if f["electrons"].get(period, 0.0) > 0.0)
            made = fact["electrons"].get(period, 0.0)
            scale[period] = fact["events"] / events * needed / made if made > 0.0 else 0.0
        parts.append(_Part(ntuple, scale))
    return parts


def _given_point(path: str, card: Card, mass_GeV: float | None, epsilon: float | None) -> _Point:
    if mass_GeV is None or epsilon is None:
        raise ConfigError(
            f"{path} does not say which point of the model it is: give --signal-mass-GeV and --signal-epsilon"
        )
    for name, value in (("--signal-mass-GeV", mass_GeV), ("--signal-epsilon", epsilon)):
        if not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"{name} {value:g} is not acceptable (must be positive): correct it")
    return _Point("semivisible", mass_GeV, epsilon, Parameters.of(card))


def _counting(card: Card, point: _Point, ntuples: Sequence[Ntuple]) -> Card:
    """The card with a cut on the truth where it counts S2 of decays behind the detector alone."""
    if card.signal.s2 == "inclusive" or point.mode != "semivisible":
        return card
    blind = [ntuple for ntuple in ntuples if not ntuple.data_frame().HasColumn("mc_decay_volume")]
    if blind:
        log.warning(
            "%s does not say where chi2 decays (no branch mc_decay_volume): S2 of decays inside the detector "
            'are counted, as with signal.s2 = "inclusive"',
            blind[0].paths[0],
        )
        return card
    behind = [int(DecayVolume.__members__[name]) for name in ("none", "beyond")]
    cut = DeclaredCut(
        name=DECAYS_BEHIND,
        expression=" || ".join(f"mc_decay_volume == {volume}" for volume in behind),
        after="shower_chi2",
        signatures=["S2"],
    )
    selection = card.selection.model_copy(update={"declared": [*card.selection.declared, cut]})
    return card.model_copy(update={"selection": selection})


def _electrons_kept(card: Card, point: _Point) -> float:
    """What a residual efficiency that stands for all losses has of those that are simulated."""
    if card.signal.residual == "rest" or point.mode not in MODES:
        return 1.0
    return SignalModel(card).at_mass(point.mass_GeV, point.parameters).electrons_kept


_Produced = dict[str, tuple[float, float]]


def _select(part: _Part, card: Card, *, vary: bool, work: Work) -> selection.SelectionResult:
    path = part.ntuple.paths[0]
    if "mcWeight" not in part.ntuple.present:
        raise DataError(
            f"the signal sample {path} has no branch mcWeight (expected events per simulated one): add it"
        )
    card = card.for_simulation
    # Its weights say what it is worth: no exposure has to be found.
    found = selection.select(
        part.ntuple, card, SelectionOptions(eot=card.exposure(), systematics=vary), work=work
    )
    if found.negative_weights:
        raise DataError(
            f"branch mcWeight in {path} is negative in {found.negative_weights} events (a weight is an "
            "expected number): correct it"
        )
    if vary:
        varied = {effect.source for effect in found.systematics}
        if card.systematics.in_limit == "varied":
            require_all(card, varied)
        for name in card.systematics.sources.keys() - varied:
            log.warning("the signal sample %s lacks what %s varies: left out", path, name)
    # Of many parts, only what is summed is kept.
    return found.model_copy(update={"candidates": [], "histograms": {}})


def _summed(
    parts: Sequence[_Part], selected: Sequence[selection.SelectionResult], electrons: Mapping[str, float]
) -> tuple[list[SignalBin], _Produced]:
    """Bins with exposure, and the weight before cuts in each of their periods with its square."""
    sums: dict[tuple[str, str], tuple[int, float, float]] = {}
    produced: _Produced = {}
    for part, found in zip(parts, selected, strict=True):
        last = {(row.period, row.signature): row.cut for row in found.cutflow}
        for row, error in zip(found.cutflow, found.cutflow_errors, strict=True):
            scale = part.scale.get(row.period, 0.0)
            if row.cut == "initial" and row.signature == SIGNATURES[0] and row.period in electrons:
                weight, square = produced.get(row.period, (0.0, 0.0))
                produced[row.period] = weight + scale * row.weighted, square + (scale * error) ** 2
            if row.cut == last[row.period, row.signature]:
                n, weight, square = sums.get((row.period, row.signature), (0, 0.0, 0.0))
                sums[row.period, row.signature] = (
                    n + (row.events if scale > 0.0 else 0),
                    weight + scale * row.weighted,
                    square + (scale * error) ** 2,
                )
    for period, needed in electrons.items():
        if needed > 0.0 and not produced[period][0] > 0.0:
            raise DataError(
                f"the signal sample {parts[0].ntuple.paths[0]} has no events in period {period}, the "
                "analysis has exposure there: simulate that period too"
            )
    bins = []
    for signature in SIGNATURES:
        for period in (p for p, needed in electrons.items() if needed > 0.0):
            n, weight, square = sums[period, signature]
            bins.append(
                SignalBin(
                    period=period,
                    signature=signature,
                    expected=weight,
                    error=math.sqrt(square),
                    events=n,
                    effective_events=float(effective_events(weight, square)),
                )
            )
    return bins, {p: produced[p] for p, needed in electrons.items() if needed > 0.0}


def _effects(
    parts: Sequence[_Part], selected: Sequence[selection.SelectionResult], electrons: Mapping[str, float]
) -> list[SystematicEffect]:
    """Of each source and bin with exposure, summed over the parts."""
    groups: dict[tuple[str, str, str], list[tuple[float, SystematicEffect]]] = {}
    for part, found in zip(parts, selected, strict=True):
        for effect in found.systematics:
            if electrons[effect.period] > 0.0:
                key = effect.source, effect.period, effect.signature
                groups.setdefault(key, []).append((part.scale[effect.period], effect))
    return [scaled_sum(group) for group in groups.values()]


def _require_same_production(path: str, produced: _Produced, electrons: Mapping[str, float]) -> None:
    """Weights of a foreign sample must share out production as the analysis shares its electrons."""
    needed = sum(electrons[period] for period in produced)
    total = sum(weight for weight, _ in produced.values())
    for period, (weight, square) in produced.items():
        share = electrons[period] / needed
        # The sample's own share moves with it: binomial in effective events.
        error = math.sqrt(square) * math.sqrt(max(0.0, 1.0 - share))
        if abs(weight - share * total) > PERIOD_ERRORS * error + 1e-9 * total:
            raise DataError(
                f"the signal sample {path} has {100 * weight / total:.3g} % of its weight in period "
                f"{period}, the analysis {100 * share:.3g} % of its electrons (exposure mismatch): "
                "weigh it for this exposure, or give --eot"
            )


def _produced_by_chain(card: Card, point: _Point, electrons: float) -> float | None:
    if point.mode not in MODES:
        return None
    at_mass = SignalModel(card, mode=point.mode).at_mass(point.mass_GeV, point.parameters)
    return at_mass.produced(point.epsilon) * electrons
