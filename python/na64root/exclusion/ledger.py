"""The ledger of assumptions: what each assumed number of a card and each choice of model moves.

The answers that are watched are the end of the excluded part of the central g-2 line, as the card counts S2
and read inclusively, and the lower edge of the excluded range of epsilon at 10 and 100 MeV. A number that
moves none of them, beyond rounding, is listed as one that does not enter.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import optimize

from ..annotations import Array
from ..config import (
    Annihilation,
    Approximation,
    Card,
    Constraint,
    DecayModel,
    ResidualMeaning,
    S2Reading,
    Treatment,
    WidthFormula,
    changed_card,
    load_card,
)
from ..errors import ConfigError
from ..records import Provenance, Record, provenance
from ..signal import card_counts
from ..theory.scorecard import PAPER_END_POINT_GEV
from ..work import Work
from .counting_models import NO_SIGNAL
from .strength import Exclusion

Kind = Literal["number", "choice"]


# Masses where edges are given, in GeV.
EDGE_MASSES_GEV = (0.01, 0.1)


# Where the edge with S2 read inclusively is given, in GeV: chi2 decay all along the ECAL there.
INCLUSIVE_EDGE_MASS_GEV = 0.5


PRESET_MASSES_GEV = (0.005, 0.01, 0.03, 0.1, 0.2, 0.3)


PRESETS = ("paper2021", "paper_choices", "best")


# Masses between which the end point is bracketed.
MASS_POINTS = 24
MORE_MASS_POINTS = 5


# The inclusive reading has no upper edge: its end point is searched up to this mass (GeV), the end of the
# validated range.
LARGEST_MASS_GEV = 3.0


# Of a number for which SIZES has none.
SHARE = 0.1


# A strength moved by less is moved by rounding.
ROUNDING = 1e-12


class Size(NamedTuple):
    """What is added to a number of the card, downwards and upwards, and why so much."""

    low: float
    high: float
    reason: str


SIZES: dict[str, Size] = {
    "geometry.ecal_start_cm": Size(-5.0, 5.0, "the ECAL against all behind it, from recollection"),
    "geometry.hcal1_start_cm": Size(-5.0, 5.0, "no gap behind the VETO; as much the other way"),
    "geometry.hcal2_start_cm": Size(-10.0, 30.0, "no gap behind HCAL1; 2.5 m"),
    "geometry.hcal2_end_cm": Size(-10.0, 10.0, "gaps between modules of 0 to 20 cm"),
    "geometry.hcal3_start_cm": Size(-10.0, 10.0, "gaps between modules of 0 to 20 cm"),
    "geometry.hcal3_end_cm": Size(-20.0, 70.0, "modules without gaps; S2 from about 6 m, as the paper says"),
    "selection.ecal.s1_max_GeV": Size(-35.0, 8.5, "as for S2, E_A' > 50 GeV; 10 %"),
    "selection.hcal.s1_signal_min_GeV": Size(-10.0, 10.0, "5 GeV, hardly above noise; 25 GeV"),
    "selection.hcal.s2_total_max_GeV": Size(-0.5, 0.5, "half: at zero noise alone would fail every event"),
    "signal.late_shower_shift_X0": Size(
        -2.0,
        2.0,
        "no Geant4 table of late showers; 2 X0 are a factor of 2 in what leaks",
    ),
}


# Choices of model by their names in a card, with all that can be chosen.
CHOICES: dict[str, tuple[str, ...]] = {
    "model.approximation": get_args(Approximation),
    "model.width": get_args(WidthFormula),
    "model.decay": get_args(DecayModel),
    "model.annihilation": get_args(Annihilation),
    "limit.treatment": get_args(Treatment),
    "limit.constraint": get_args(Constraint),
    "signal.s2": get_args(S2Reading),
    "signal.residual": get_args(ResidualMeaning),
}


# Shown of presets, and no row: both readings are columns of every row.
COLUMN_CHOICE = "signal.s2"


# Numbers that are no assumptions of the card and still open: what they are varied to, and why.
OTHER_VALUES: dict[str, tuple[tuple[float, str], ...]] = {
    "signal.r_efficiency": (
        (0.45, "the paper's minimum over its models"),
        (1.0, "two core cells in HCAL3, as in data of all runs up to 4309: the cut takes nothing"),
    ),
}


# What an electron pair reads in the HCAL over its energy, where the scale is not that of electrons (assumed:
# iron and scintillator, e/h as of such calorimeters at 10 GeV, e/mu of a minimum ionising particle's scale).
HCAL_SCALES = {"hadrons, e/h = 1.2": 1.2, "muons, e/mu = 0.85": 0.85}


@dataclass(frozen=True)
class Variation:
    """Other values for names of a card, under one name and for one reason."""

    name: str
    kind: Kind
    card_value: float | str
    varied_to: float | str
    reason: str
    values: Mapping[str, float | str]


class Answers(Record):
    """What a card excludes. Edges are of the excluded range of epsilon; null where nothing is excluded.

    `has_inclusive`: whether S2 read inclusively has a meaning; where not, those answers are null too.
    """

    end_point_GeV: float | None
    lower_edge_10MeV: float | None
    lower_edge_100MeV: float | None
    inclusive_end_point_GeV: float | None = None
    inclusive_lower_edge_500MeV: float | None = None
    has_inclusive: bool = True


class Band(Record):
    """The lowest and highest end point of all rows, each alone; `without` names the rows that have none.

    Where there are such rows the band is open: one of the assumptions takes the end point away. Rows that
    the card refuses, or in which the reading has no meaning, are no part of it.
    """

    low_GeV: float | None
    high_GeV: float | None
    without: list[str]


class LedgerRow(Record):
    """One variation. Shifts are against the card as it is, of lower edges relative; null without an answer.

    `inclusive_end_point_GeV` is that with S2 read inclusively, at most LARGEST_MASS_GEV; null where nothing
    is excluded or the reading has no meaning, which `has_inclusive` tells apart.

    `refused` says why the card does not accept the value; then there are no answers.
    """

    name: str
    kind: Kind
    card_value: float | str
    varied_to: float | str
    reason: str
    end_point_GeV: float | None = None
    end_point_shift_GeV: float | None = None
    lower_edge_10MeV_shift: float | None = None
    lower_edge_100MeV_shift: float | None = None
    inclusive_end_point_GeV: float | None = None
    inclusive_end_point_shift_GeV: float | None = None
    inclusive_lower_edge_500MeV_shift: float | None = None
    has_inclusive: bool = True
    refused: str | None = None


class Preset(Record):
    """What one card excludes, at `mass_GeV` and along the central g-2 line.

    An upper edge at `epsilon_max`, the top of the card's plane, lies above it.
    """

    card: str
    description: str
    choices: dict[str, str]
    end_point_GeV: float | None
    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    epsilon_max: float


class PresetComparison(Record):
    """Cards with other choices, beside each other."""

    presets: list[Preset]
    files: dict[str, str]
    provenance: Provenance


class Ledger(Record):
    """Assumptions and choices that move an answer (`rows`), and the assumed numbers that do not enter.

    `band` and `inclusive_band` are those of the end points over the rows.
    """

    answers: Answers
    band: Band
    inclusive_band: Band
    rows: list[LedgerRow]
    does_not_enter: list[str]
    presets: list[Preset]
    files: dict[str, str]
    provenance: Provenance


def ledger(card: Card, *, work: Work = Work()) -> Ledger:
    """The ledger of a card, with the presets beside each other.

    Args:
        threads: variations in parallel; the result does not depend on it.
        progress: called with (variations done, all variations).

    Raises:
        ConfigError: an unphysical card.  ConvergenceError: an integral or a limit that did not converge.
    """
    require_chain(card)
    nominal = answers(card)
    found = vary(card, variations(card), nominal, work=work)
    # What is refused both ways is not known to have no effect.
    idle = [
        name
        for name, rows in found.items()
        if None in rows and all(row is None or row.refused is not None for row in rows)
    ]
    rows = [row for name, rows in found.items() if name not in idle for row in rows if row is not None]
    return Ledger(
        answers=nominal,
        band=_band(nominal.end_point_GeV, {_named(r): r.end_point_GeV for r in rows if r.refused is None}),
        inclusive_band=_inclusive_band(nominal.inclusive_end_point_GeV, rows),
        rows=rows,
        does_not_enter=[name for name in idle if name not in CHOICES],
        presets=presets(),
        files={},
        provenance=provenance(card, seed=work.seed, limit_method=f"exact, {card.limit.treatment}"),
    )


def require_chain(card: Card) -> None:
    """Raise ConfigError where the card takes its acceptance from simulated samples: hours, and noise."""
    if card.signal.acceptance == "simulation":
        raise ConfigError(
            f"card {card.card.name} has signal.acceptance = simulation (shifts would be those of its "
            'statistics): use --set signal.acceptance="chain"'
        )


def vary(
    card: Card,
    variations: Sequence[Variation],
    nominal: Answers,
    *,
    work: Work = Work(),
) -> dict[str, list[LedgerRow | None]]:
    """The rows of variations by their names, None for one that moves nothing.

    Raises:
        ConvergenceError: an integral or a limit that did not converge.
    """
    reference = _strengths(card, nominal)

    def row(variation: Variation) -> LedgerRow | None:
        common = LedgerRow(
            name=variation.name,
            kind=variation.kind,
            card_value=variation.card_value,
            varied_to=variation.varied_to,
            reason=variation.reason,
        )
        try:
            other = changed_card(card, variation.values)
            if np.allclose(_strengths(other, nominal), reference, rtol=ROUNDING, atol=0.0, equal_nan=True):
                return None
            found = answers(other)
        except ConfigError as error:  # of the card, or of a signal that needs calorimeters in order
            return common.model_copy(update={"refused": str(error)})
        return common.model_copy(
            update={
                "end_point_GeV": found.end_point_GeV,
                "end_point_shift_GeV": _difference(found.end_point_GeV, nominal.end_point_GeV),
                "lower_edge_10MeV_shift": _relative(found.lower_edge_10MeV, nominal.lower_edge_10MeV),
                "lower_edge_100MeV_shift": _relative(found.lower_edge_100MeV, nominal.lower_edge_100MeV),
                "inclusive_end_point_GeV": found.inclusive_end_point_GeV,
                "inclusive_end_point_shift_GeV": _difference(
                    found.inclusive_end_point_GeV, nominal.inclusive_end_point_GeV
                ),
                "inclusive_lower_edge_500MeV_shift": _relative(
                    found.inclusive_lower_edge_500MeV, nominal.inclusive_lower_edge_500MeV
                ),
                "has_inclusive": found.has_inclusive,
            }
        )

    rows: dict[str, list[LedgerRow | None]] = {}
    progress = work.reporting("variations")
    with ThreadPoolExecutor(max_workers=work.threads) as pool:
        made = zip(variations, pool.map(row, variations), strict=True)
        for done, (variation, found) in enumerate(made, start=1):
            rows.setdefault(variation.name, []).append(found)
            if progress is not None:
                progress(done, len(variations))
    return rows


def variations(card: Card) -> list[Variation]:
    """What is varied: every assumed number of the card down and up, every choice of model."""
    return [*_number_variations(card), *_other_variations(card), *_choice_variations(card)]


def answers(card: Card) -> Answers:
    """The end point of the central g-2 line and lower edges, for the card's own counts.

    Raises:
        ConfigError: an unphysical card.  ConvergenceError: an integral or a limit that did not converge.
    """
    exclusion = _exclusion(card)
    low = [_epsilon_range(exclusion, mass)[0] for mass in EDGE_MASSES_GEV]
    return Answers(
        end_point_GeV=g2_end_point(exclusion),
        lower_edge_10MeV=low[0],
        lower_edge_100MeV=low[1],
        inclusive_end_point_GeV=g2_end_point(exclusion, inclusive=True) if exclusion.has_inclusive else None,
        inclusive_lower_edge_500MeV=_inclusive_lower_edge(exclusion, INCLUSIVE_EDGE_MASS_GEV),
        has_inclusive=exclusion.has_inclusive,
    )


def _inclusive_lower_edge(exclusion: Exclusion, mass: float) -> float | None:
    """The smallest excluded epsilon with S2 read inclusively; it has no largest one."""
    if not exclusion.has_inclusive:
        return None
    at_mass, plane = exclusion.signal.at_mass(mass), exclusion.card.plane

    def log_strength(epsilon: Array) -> Array:
        strength = exclusion.strengths(exclusion.inclusive(at_mass, epsilon), expected=False)["observed"]
        return np.asarray(np.log(np.maximum(strength, NO_SIGNAL)))

    grid = np.geomspace(plane.epsilon_min.value, plane.epsilon_max.value, round(plane.epsilon_points.value))
    inside = np.flatnonzero(log_strength(grid) >= 0.0)
    if not len(inside):
        return None
    first = int(inside[0])
    if first == 0:
        return float(grid[0])
    return float(
        optimize.brentq(lambda x: float(log_strength(np.array([x]))[0]), grid[first - 1], grid[first])
    )


def g2_end_point(exclusion: Exclusion, *, inclusive: bool = False) -> float | None:
    """The mass (GeV) up to which the central g-2 line is excluded, from the lowest of the plane on.

    Args:
        inclusive: S2 is read inclusively, whatever the card counts; up to LARGEST_MASS_GEV.
    """
    plane = exclusion.card.plane
    end = plane.mass_max_GeV.value
    masses = np.geomspace(plane.mass_min_GeV.value, end, MASS_POINTS)
    if (inclusive or exclusion.card.signal.s2 == "inclusive") and end < LARGEST_MASS_GEV:
        # The same masses and some more, so that their production is computed once.
        masses = np.append(masses, np.geomspace(end, LARGEST_MASS_GEV, MORE_MASS_POINTS)[1:])
    strengths = [exclusion.on_central_g2_line(float(mass), inclusive=inclusive) for mass in masses]
    return exclusion.g2_end_point(masses, np.array(strengths), inclusive=inclusive)


ALL_EFFICIENCIES = "residual_efficiency of all periods"


# What the inclusive end point rests on most, of what is not a formula, in words.
INCLUSIVE_ASSUMPTIONS = {
    ALL_EFFICIENCIES: "the residual efficiency",
    "signal.residual": "the choice of signal.residual",
    "selection.ecal.s2_max_GeV": "the ECAL cut",
    "signal.late_shower_shift_X0": "late showers",
}


def inclusive_statement(card: Card, *, work: Work = Work()) -> list[str]:
    """Three sentences on what the card's data exclude read inclusively; none where that has no meaning.

    The error is the envelope of INCLUSIVE_ASSUMPTIONS, each varied alone, and names those that could be.
    """
    nominal = answers(card)
    end = nominal.inclusive_end_point_GeV
    if end is None:
        return []
    known = variations(card)
    together = any(variation.name == ALL_EFFICIENCIES for variation in known)

    def in_words(name: str) -> str | None:
        # A card of one assumed efficiency has its own row, and none of all periods together.
        alone = name.endswith(".residual_efficiency") and not together
        return INCLUSIVE_ASSUMPTIONS.get(ALL_EFFICIENCIES if alone else name)

    rows = vary(card, [v for v in known if in_words(v.name)], nominal, work=work)
    band = _inclusive_band(end, [row for both in rows.values() for row in both if row is not None])
    accepted = {
        in_words(name)
        for name, both in rows.items()
        if any(row is None or row.refused is None for row in both)
    }
    varied = [words for words in INCLUSIVE_ASSUMPTIONS.values() if words in accepted]
    reach, allowed = "", ""
    if end >= LARGEST_MASS_GEV:
        reach = " and beyond, where the search ends"
    elif varied:
        reach = f" ({band_text(band)})"
        allowed = f"; the range is what {_listed(varied)} allow{'s' * (len(varied) == 1)}"
    model = card.model
    return [
        "chi2 that decay in the ECAL are S2 events too, where the pair is absorbed there and both chi1 carry "
        "enough energy away.",
        f"Counted so, the same data exclude the central g-2 line up to {end:.2f} GeV{reach} at "
        f"alpha_D = {model.alpha_dark.value:g}, m_A'/m_chi1 = {model.mass_ratio.value:g}, "
        f"f = {model.relative_splitting.value:g}, in place of {_number(nominal.end_point_GeV, '.3f')} "
        f"GeV{allowed}.",
        "The collaboration has not published this number; its own counts what decays behind the detector.",
    ]


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _band(nominal: float | None, found: Mapping[str, float | None]) -> Band:
    known = [value for value in (nominal, *found.values()) if value is not None]
    return Band(
        low_GeV=min(known, default=None),
        high_GeV=max(known, default=None),
        without=[name for name, value in found.items() if value is None],
    )


def _inclusive_band(nominal: float | None, rows: Sequence[LedgerRow]) -> Band:
    """That of S2 read inclusively: a row without an answer opens it only where the reading has a meaning."""
    known = [row for row in rows if row.refused is None and row.has_inclusive]
    return _band(nominal, {_named(row): row.inclusive_end_point_GeV for row in known})


def _named(row: LedgerRow) -> str:
    return f"{row.name} = {_value(row.varied_to)}"


def presets() -> list[Preset]:
    """The cards with the choices of the paper, of 2021 and of today, beside each other."""
    return [preset(load_card(name)) for name in PRESETS]


def preset(card: Card) -> Preset:
    """What a card excludes, with its choices of model."""
    exclusion = _exclusion(card)
    ranges = [_epsilon_range(exclusion, mass) for mass in PRESET_MASSES_GEV]
    return Preset(
        card=card.card.name,
        description=card.card.description,
        choices={name: _choice(card, name) for name in CHOICES},
        end_point_GeV=g2_end_point(exclusion),
        mass_GeV=list(PRESET_MASSES_GEV),
        epsilon_low=[low for low, _ in ranges],
        epsilon_high=[high for _, high in ranges],
        epsilon_max=card.plane.epsilon_max.value,
    )


def _exclusion(card: Card) -> Exclusion:
    exposure = card.exposure()
    return Exclusion(card, card_counts(card, exposure), exposure)


def _epsilon_range(exclusion: Exclusion, mass: float) -> tuple[float | None, float | None]:
    plane = exclusion.card.plane
    epsilon = np.geomspace(
        plane.epsilon_min.value, plane.epsilon_max.value, round(plane.epsilon_points.value)
    )
    return exclusion.epsilon_range(exclusion.signal.at_mass(mass), epsilon)


def _strengths(card: Card, nominal: Answers) -> Array:
    """Signal over limit at the answers of the card: what moves none of them leaves these as they are."""
    exclusion = _exclusion(card)
    edges = (nominal.lower_edge_10MeV, nominal.lower_edge_100MeV)
    inclusive = nominal.inclusive_end_point_GeV or 0.3
    return np.array(
        [
            exclusion.on_central_g2_line(nominal.end_point_GeV or 0.3),
            exclusion.on_central_g2_line(inclusive, inclusive=True) if exclusion.has_inclusive else np.nan,
            exclusion.strengths(
                exclusion.inclusive(
                    exclusion.signal.at_mass(INCLUSIVE_EDGE_MASS_GEV),
                    [nominal.inclusive_lower_edge_500MeV or 1e-2],
                )
            )["observed"][0]
            if exclusion.has_inclusive
            else np.nan,
            *(
                exclusion.strength(exclusion.signal.at_mass(mass), np.array([epsilon or 1e-3]))[0]
                for mass, epsilon in zip(EDGE_MASSES_GEV, edges, strict=True)
            ),
        ]
    )


def _number_variations(card: Card) -> list[Variation]:
    found = []
    for name, quantity in card.assumed().items():
        if name.endswith(".eot"):
            continue  # shares of a published sum, below
        value = quantity.value
        size = SIZES.get(name) or _default_size(value)
        for step in (size.low, size.high):
            varied = value + step
            if value > 0.0 or name in SIZES or name.startswith("geometry.") or varied >= 0.0:
                found.append(Variation(name, "number", value, varied, size.reason, {name: varied}))
    return found + _efficiency_variations(card) + _share_variations(card)


def _default_size(value: float) -> Size:
    """10 %; of a small whole number, one; of zero, one in its own unit."""
    if value == 0.0:
        return Size(-1.0, 1.0, "10 % of zero is nothing: one in its unit")
    if value.is_integer() and value < 10.0:
        return Size(-1.0, 1.0, "one, 10 % of a small whole number is none")
    step = SHARE * abs(value)
    if value.is_integer():
        step = float(round(step))
    return Size(-step, step, "10 %")


def _efficiency_variations(card: Card) -> list[Variation]:
    """All run periods together: what the residual efficiency stands for is common to them."""
    names = [name for name in card.assumed() if name.endswith(".residual_efficiency")]
    if len(names) < 2:
        return []
    assumed = card.assumed()
    return [
        Variation(
            ALL_EFFICIENCIES,
            "number",
            assumed[names[0]].value,
            factor * assumed[names[0]].value,
            "20 %: one cause in all periods",
            {name: factor * assumed[name].value for name in names},
        )
        for factor in (0.8, 1.2)
    ]


def _share_variations(card: Card) -> list[Variation]:
    """Assumed exposures: one takes 10 % of itself from the others, since their sum is published."""
    shares = {name: q.value for name, q in card.assumed().items() if name.endswith(".eot")}
    found = []
    for name, value in shares.items():
        rest = sum(shares.values()) - value
        for factor in (1.0 - SHARE, 1.0 + SHARE):
            values: dict[str, float | str] = {name: factor * value}
            reason = "10 %"
            if rest > 0.0:
                reason = "10 %, taken from the other assumed exposures: their sum is published"
                scale = 1.0 - (factor - 1.0) * value / rest
                values |= {other: scale * share for other, share in shares.items() if other != name}
            found.append(Variation(name, "number", value, factor * value, reason, values))
    return found


def _other_variations(card: Card) -> list[Variation]:
    """Published numbers that are open all the same, and the scale of the HCAL."""
    found = []
    for name, others in OTHER_VALUES.items():
        section, key = name.split(".")
        quantity = getattr(getattr(card, section), key)
        found += [
            Variation(name, "number", quantity.value, value, reason, {name: value})
            for value, reason in others
            if value != quantity.value and quantity.provenance != "user"
        ]
    threshold = "selection.hcal.s1_signal_min_GeV"
    value = card.selection.hcal.s1_signal_min_GeV.value
    found += [
        Variation(
            "energy scale of the HCAL",
            "choice",
            "electrons",
            scale,
            f"what reads {value:g} GeV is a pair of {value / factor:.3g} GeV",
            {threshold: value / factor},
        )
        for scale, factor in HCAL_SCALES.items()
    ]
    return found


def _choice(card: Card, name: str) -> str:
    section, key = name.split(".")
    return str(getattr(getattr(card, section), key))


def _choice_variations(card: Card) -> list[Variation]:
    return [
        Variation(name, "choice", _choice(card, name), other, "another choice", {name: other})
        for name, known in CHOICES.items()
        for other in known
        if other != _choice(card, name) and name != COLUMN_CHOICE
    ]


def _difference(value: float | None, nominal: float | None) -> float | None:
    return None if value is None or nominal is None else value - nominal


def _relative(value: float | None, nominal: float | None) -> float | None:
    return None if value is None or nominal is None else value / nominal - 1.0


COLUMNS = (
    "name",
    "card_value",
    "varied_to",
    "end_point_GeV",
    "end_point_shift_GeV",
    "lower_edge_10MeV_shift",
    "lower_edge_100MeV_shift",
    "inclusive_end_point_GeV",
    "inclusive_end_point_shift_GeV",
    "inclusive_lower_edge_500MeV_shift",
    "reason",
    "refused",
)


def as_csv(record: Ledger) -> str:
    """The rows of a ledger, and a row for each number that does not enter."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in record.rows:
        writer.writerow(row.model_dump())
    for name in record.does_not_enter:
        writer.writerow({"name": name, "reason": "does not enter"})
    return text.getvalue()


def as_markdown(record: Ledger) -> str:
    """A ledger as tables for the documentation: rows by the size of what they move, presets, the rest."""
    nominal = record.answers
    lines = [
        "# What the assumptions move",
        "",
        "Written by `na64root ledger`; `make figures` makes it again. One number or choice is changed at a "
        "time, by the",
        "amount and for the reason in its row. Edges are relative shifts of the smallest excluded ε. The "
        "signal is that of",
        "the chain; what the simulation says of its acceptance is in [physics.md](physics.md), section 9.",
        "",
        f"Card `{record.provenance.card}`: the central g−2 line is excluded up to "
        f"{_number(nominal.end_point_GeV, '.3f')} GeV (the paper: {PAPER_END_POINT_GEV:g} GeV); the lower "
        "edge is",
        f"{_number(nominal.lower_edge_10MeV, '.3g')} at 10 MeV and "
        f"{_number(nominal.lower_edge_100MeV, '.3g')} at 100 MeV. With S2 read inclusively the line is "
        f"excluded up to {_number(nominal.inclusive_end_point_GeV, '.2f')} GeV (not published by the "
        "collaboration).",
        "",
        f"Over the rows below, each alone: {band_text(record.band)}; inclusive: "
        f"{band_text(record.inclusive_band)}.",
        "",
        "| number or choice | from | to | end point (GeV) | shift (GeV) | edge at 10 MeV | at 100 MeV |"
        " inclusive end point (GeV) | inclusive edge at 500 MeV | why |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in by_size(record.rows):
        cells = [f"`{row.name}`", _value(row.card_value), _value(row.varied_to), *shown(row), row.reason]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Assumed numbers that do not enter", ""]
    lines += ["Varied as the others, they move none of these answers.", ""]
    lines += [", ".join(f"`{name}`" for name in record.does_not_enter) + "."]
    lines += ["", "## Choices beside each other", "", *presets_markdown(record.presets)]
    return "\n".join(lines) + "\n"


def presets_markdown(presets: Sequence[Preset]) -> list[str]:
    """The presets beside each other, as lines of a Markdown table."""
    lines = [
        "| | " + " | ".join(f"`{p.card}`" for p in presets) + " |",
        "|---" * (len(presets) + 1) + "|",
    ]
    for name in CHOICES:
        lines.append(f"| `{name}` | " + " | ".join(p.choices[name] for p in presets) + " |")
    lines.append("| end point (GeV) | " + " | ".join(_number(p.end_point_GeV, ".3f") for p in presets) + " |")
    for i, mass in enumerate(presets[0].mass_GeV if presets else ()):
        cells = [excluded(p, i) for p in presets]
        lines.append(f"| ε excluded at {1e3 * mass:g} MeV | " + " | ".join(cells) + " |")
    return lines


def excluded(preset: Preset, i: int) -> str:
    """The excluded range of epsilon at the i-th mass of a preset, as text."""
    low, high = preset.epsilon_low[i], preset.epsilon_high[i]
    if low is None or high is None:
        return "-"
    if high >= preset.epsilon_max * (1.0 - 1e-9):
        return f"from {low:.3g} on"
    return f"{low:.3g} – {high:.3g}"


def by_size(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """What moves the end point most first; refused variations last."""
    return sorted(
        rows,
        key=lambda row: (
            row.refused is not None,
            -abs(row.end_point_shift_GeV or 0.0),
            -abs(row.inclusive_end_point_shift_GeV or 0.0),
        ),
    )


def shown(row: LedgerRow) -> list[str]:
    """End point, its shift, shifts of the edges, as text."""
    if row.refused is not None:
        return ["not possible", "", "", "", "", ""]
    edges = [row.lower_edge_10MeV_shift, row.lower_edge_100MeV_shift]
    inclusive = [row.inclusive_lower_edge_500MeV_shift]
    return [
        _number(row.end_point_GeV, ".3f"),
        "-" if row.end_point_shift_GeV is None else f"{round(row.end_point_shift_GeV, 4) + 0.0:+.4f}",
        # 0.0 takes the sign off what rounds to zero
        *("-" if edge is None else f"{round(100.0 * edge, 1) + 0.0:+.1f} %" for edge in edges),
        _number(row.inclusive_end_point_GeV, ".2f"),
        *("-" if edge is None else f"{round(100.0 * edge, 1) + 0.0:+.1f} %" for edge in inclusive),
    ]


def band_text(band: Band) -> str:
    """A band of end points in words, with the rows that open it."""
    text = f"{_number(band.low_GeV, '.3g')} to {_number(band.high_GeV, '.3g')} GeV"
    if band.without:
        text += f", open: none with {', '.join(band.without)}"
    return text


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
