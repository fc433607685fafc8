"""Cards: TOML files with every number of the analysis, read into validated models.

A number in a card is a :class:`Quantity`, a value with its provenance. An unknown key is an error that names
the nearest known one.
"""

# Annotations are objects here, not text: pydantic compiles text, which takes a while at every start.
import difflib
import hashlib
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

Signature = Literal["S1", "S2"]
SIGNATURES: tuple[Signature, ...] = ("S1", "S2")
Approximation = Literal["etl", "ww", "iww"]
WidthFormula = Literal["exact", "paper"]
DecayModel = Literal["matrix_element", "phase_space"]
Annihilation = Literal["off", "on"]
Constraint = Literal["lognormal", "gaussian"]
Treatment = Literal["none", "frequentist", "hybrid"]
Correlation = Literal["all", "none"]
Acceptance = Literal["chain", "simulation"]
VariationKind = Literal["scale", "threshold", "resolution", "stochastic"]
UncertaintyInLimit = Literal["published", "varied"]
Criterion = Literal["cls", "clsb"]
Duplicates = Literal["count_once", "keep"]
BackgroundMethod = Literal["published", "neutral_hadron", "sideband", "abcd"]

DEFAULT_CARD = "paper2021"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Quantity(_Model):
    """One number of a card and where it comes from."""

    value: float = Field(allow_inf_nan=False)
    provenance: Literal["published", "derived", "assumed", "user"]
    source: str


def _within(accepts: Callable[[float], bool], rule: str) -> AfterValidator:
    def check(quantity: Quantity) -> Quantity:
        if not accepts(quantity.value):
            raise ValueError(f"{quantity.value:g} is not {rule}")
        return quantity

    return AfterValidator(check)


Positive = Annotated[Quantity, _within(lambda x: x > 0.0, "positive")]
NonNegative = Annotated[Quantity, _within(lambda x: x >= 0.0, "zero or positive")]
Fraction = Annotated[Quantity, _within(lambda x: 0.0 <= x <= 1.0, "between 0 and 1")]
InnerFraction = Annotated[Quantity, _within(lambda x: 0.0 < x < 1.0, "between 0 and 1, both excluded")]
Whole = Annotated[Quantity, _within(lambda x: x >= 0.0 and x.is_integer(), "a whole number")]
Prescale = Annotated[Quantity, _within(lambda x: x >= 1.0, "1 or more")]
HcalCell = Annotated[int, Field(ge=0, le=2)]
GridPoints = Annotated[Quantity, _within(lambda x: x >= 2.0 and x.is_integer(), "a whole number from 2")]


class CardInfo(_Model):
    name: str
    description: str


class ModelConfig(_Model):
    """The dark sector: alpha_D, R = m_A'/m_chi1, f = Delta/m_chi1, and the formulas used for it."""

    alpha_dark: Positive
    mass_ratio: Positive
    relative_splitting: Positive
    approximation: Approximation
    width: WidthFormula
    decay: DecayModel
    annihilation: Annihilation


class Beam(_Model):
    energy_GeV: Positive


class RunRange(_Model):
    first_run: int = Field(ge=0)
    last_run: int = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "RunRange":
        if self.last_run < self.first_run:
            raise ValueError(f"last_run {self.last_run} is before first_run {self.first_run}")
        return self


class Period(RunRange):
    """A run period: its runs (inclusive), exposure and the core cells (x, y) of HCAL1, HCAL2, HCAL3."""

    name: str
    eot: NonNegative
    residual_efficiency: Fraction
    hcal_core: list[list[tuple[HcalCell, HcalCell]]] = Field(min_length=3, max_length=3)


class ExcludedRuns(RunRange):
    reason: str


class Geometry(_Model):
    """Positions along the beam, z = 0 at the front of the ECAL."""

    ecal_start_cm: Quantity
    ecal_end_cm: Quantity
    veto_cm: Quantity
    hcal1_start_cm: Quantity
    hcal1_end_cm: Quantity
    hcal2_start_cm: Quantity
    hcal2_end_cm: Quantity
    hcal3_start_cm: Quantity
    hcal3_end_cm: Quantity

    @model_validator(mode="after")
    def _in_beam_order(self) -> "Geometry":
        values = [(name, getattr(self, name).value) for name in type(self).model_fields]
        for (name, position), (next_name, next_position) in itertools.pairwise(values):
            if next_position < position:
                raise ValueError(f"{next_name} = {next_position:g} lies before {name} = {position:g}")
        return self


class Target(_Model):
    material: str
    lead_layer_cm: Positive
    scintillator_layer_cm: Positive
    layers: Whole


class TriggerCut(_Model):
    pass


class PileUpCut(_Model):
    out_of_time_max_GeV: Quantity


class StrawCut(_Model):
    hits_min: Whole
    hits_max: Whole


class BeamCellCut(_Model):
    x: Whole
    y: Whole


class SrdCut(_Model):
    module_min_GeV: Quantity
    module_max_GeV: Quantity
    modules_below_max: Whole


class MomentumCut(_Model):
    nominal_GeV: Quantity
    window_GeV: Positive


class PreshowerCut(_Model):
    energy_min_GeV: Quantity


class EcalCut(_Model):
    s1_max_GeV: Positive
    s2_max_GeV: Positive


class VetoCut(_Model):
    energy_max_GeV: Quantity
    photomultiplier_balance: Fraction


class HcalCut(_Model):
    s1_hcal1_max_GeV: Quantity
    s1_signal_min_GeV: Quantity
    s2_total_max_GeV: Quantity

    @model_validator(mode="after")
    def _disjoint(self) -> "HcalCut":
        if self.s1_signal_min_GeV.value < self.s2_total_max_GeV.value:
            raise ValueError(
                f"signatures S1 and S2 overlap (s1_signal_min_GeV = {self.s1_signal_min_GeV.value:g} is "
                f"below s2_total_max_GeV = {self.s2_total_max_GeV.value:g}): an event would count twice"
            )
        return self


class RCut(_Model):
    r_max: Quantity
    core: Literal["period", "single"]


class ShowerChi2Cut(_Model):
    chi2_max: Quantity


class DeclaredThreshold(Quantity):
    """A number that the expression of a declared cut uses by its name."""

    unit: str = ""


class CutQuantity(_Model):
    """What a declared cut looks at: a C++ expression, and the axis it is shown on.

    `above` and `below` name the thresholds between which the cut accepts it.
    """

    expression: str
    title: str
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    bins: int = Field(default=50, ge=1, le=1000)
    above: str | None = None
    below: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "CutQuantity":
        if not self.high > self.low:
            raise ValueError(f"the axis ends at {self.high:g}, before it begins at {self.low:g}")
        return self


class DeclaredCut(_Model):
    """A cut of the user's: a C++ expression of branches that is true for events to keep.

    It is made right after the cut `after`, for these signatures and run periods (none named: all of them).
    The expression may call functions of a C++ header, which is read from beside the card; its text is `code`,
    so that it is part of the card wherever this goes.
    """

    name: str = Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")
    expression: str
    after: str
    signatures: list[Signature] = Field(default=list(SIGNATURES), min_length=1)
    periods: list[str] = []
    thresholds: dict[str, DeclaredThreshold] = {}
    quantity: CutQuantity | None = None
    header: str = ""
    code: str = ""

    @model_validator(mode="after")
    def _thresholds_are_used(self) -> "DeclaredCut":
        for threshold in self.thresholds:
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", threshold):
                raise ValueError(f"the threshold {threshold!r} of cut {self.name} is no name in C++")
            if not re.search(rf"(?<![\w.]){threshold}\b", self.expression):
                raise ValueError(f"cut {self.name} does not use its threshold {threshold}")
        texts = [self.expression, *([self.quantity.expression] if self.quantity else [])]
        if any(re.search(r"\breturn\b", text) for text in texts):
            # RDataFrame would take the whole string for the body of a function.
            raise ValueError(f"cut {self.name} has `return` in an expression: make it a function of a header")
        if self.quantity is not None:
            for edge in (self.quantity.above, self.quantity.below):
                if edge is not None and edge not in self.thresholds:
                    why = _nearest(edge, self.thresholds) or "none is declared" * (not self.thresholds)
                    raise ValueError(f"cut {self.name} has no threshold {edge}{why and f' ({why})'}")
        return self


class Selection(_Model):
    """The cuts in the order they are applied; the field names are the names of the cuts everywhere.

    `declared` are more cuts, each with its place in that order; `period` has thresholds of single periods, by
    period, cut and threshold.
    """

    trigger: TriggerCut
    pile_up: PileUpCut
    straw: StrawCut
    beam_cell: BeamCellCut
    srd: SrdCut
    momentum: MomentumCut
    preshower: PreshowerCut
    ecal: EcalCut
    veto: VetoCut
    hcal: HcalCut
    r: RCut
    shower_chi2: ShowerChi2Cut
    declared: list[DeclaredCut] = []
    period: dict[str, dict[str, dict[str, Quantity]]] = {}

    @classmethod
    def built_in(cls) -> list[str]:
        """Names of the cuts of the package, in order."""
        return [name for name in cls.model_fields if name not in ("declared", "period")]

    @property
    def order(self) -> list[str]:
        """Names of all cuts in the order they are applied."""

        def from_cut(name: str) -> Iterator[str]:
            yield name
            for cut in self.declared:
                if cut.after == name:
                    yield from from_cut(cut.name)

        return [name for first in self.built_in() for name in from_cut(first)]

    def in_period(self, period: str) -> "Selection":
        """The cuts with the thresholds of a period."""
        changed = {
            cut: getattr(self, cut).model_copy(update=thresholds)
            for cut, thresholds in self.period.get(period, {}).items()
        }
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _names_are_known(self) -> "Selection":
        names = self.built_in()
        for cut in self.declared:
            if cut.name in (*names, "initial", "period", "declared"):
                raise ValueError(f"two cuts have the name {cut.name}")
            if cut.after not in names:
                why = _nearest(cut.after, names) or f"known before it: {', '.join(names)}"
                raise ValueError(f"cut {cut.name} comes after an unknown cut {cut.after} ({why})")
            names.append(cut.name)
        for period, cuts in self.period.items():
            self._check_thresholds(period, cuts)
        return self

    def _check_thresholds(self, period: str, cuts: dict[str, dict[str, Quantity]]) -> None:
        for name, thresholds in cuts.items():
            where = f"period.{period}.{name}"
            if name not in self.built_in():
                why = _nearest(name, self.built_in()) or f"known are {', '.join(self.built_in())}"
                raise ValueError(f"{where}: no cut {name} ({why})")
            cut = getattr(self, name)
            known = [key for key in type(cut).model_fields if isinstance(getattr(cut, key), Quantity)]
            for key in thresholds:
                if key not in known:
                    why = _nearest(key, known) or f"known are {', '.join(known) or 'none'}"
                    raise ValueError(f"{where}: no threshold {key} ({why})")
            try:
                # The rules of the cut hold in each period.
                type(cut).model_validate(
                    {**cut.model_dump(), **{k: q.model_dump() for k, q in thresholds.items()}}
                )
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join([where, *map(str, first["loc"])])
                raise ValueError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from None


class SignalConfig(_Model):
    """Where the expected signal comes from: the semi-analytic chain, with the published efficiency of the R
    cut, or the own simulation, in samples of `simulated_events`; a point with fewer than
    `effective_events_min` effective events in a signature gets a sample of its own.
    """

    acceptance: Acceptance
    r_efficiency: Fraction
    simulated_events: Whole
    effective_events_min: Positive


class SignatureCounts(_Model):
    """Background of a signature for the card's whole exposure, and the count observed in it."""

    background: NonNegative
    background_uncertainty: NonNegative
    observed: Whole


class SignalUncertainty(Quantity):
    """A relative uncertainty of the signal, common to all bins (``all``) or of each bin alone (``none``)."""

    correlation: Correlation = "all"

    @model_validator(mode="after")
    def _not_negative(self) -> "SignalUncertainty":
        if self.value < 0.0:
            raise ValueError(f"{self.value:g} is not zero or positive")
        return self


class LimitConfig(_Model):
    confidence_level: InnerFraction
    constraint: Constraint
    treatment: Treatment
    signal_uncertainties: dict[str, SignalUncertainty]
    S1: SignatureCounts
    S2: SignatureCounts

    def counts(self, signature: Signature) -> SignatureCounts:
        return self.S1 if signature == "S1" else self.S2


class SystematicSource(_Model):
    """A systematic uncertainty of measured quantities, varied together, event by event.

    ``scale`` multiplies the columns by 1 + size and 1 - size, ``threshold`` divides by them, which is every
    threshold on them moved by that share. ``resolution`` multiplies by 1 + size z, ``stochastic`` adds size
    sqrt(E) z, with one standard normal z for each event.
    """

    kind: VariationKind
    columns: list[str] = Field(min_length=1)
    size: Annotated[Quantity, _within(lambda x: 0.0 < x < 1.0, "between 0 and 1, both excluded")]

    @model_validator(mode="after")
    def _columns_once(self) -> "SystematicSource":
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column is named twice")
        return self


class Systematics(_Model):
    """Sources that are varied on demand, and what the limit on a simulated signal takes.

    ``published``: the card's `limit.signal_uncertainties` alone. ``varied``: what the sources do to the
    sample, in place of those of `limit.signal_uncertainties` that `replaces` names.
    """

    in_limit: UncertaintyInLimit = "published"
    replaces: list[str] = []
    sources: dict[Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")], SystematicSource] = {}


class MuonG2(_Model):
    central: Quantity
    uncertainty: NonNegative
    central_before_fermilab: Quantity
    uncertainty_before_fermilab: NonNegative


class PseudodataRate(_Model):
    """A class of pseudo-data: events per electron on target, and one in how many of them is written."""

    rate_per_eot: NonNegative
    prescale: Prescale


class Pseudodata(_Model):
    """Response and rates of the pseudo-data; the fields with a rate are the classes of events, in order."""

    beam_momentum_spread: NonNegative
    ecal_stochastic: NonNegative
    hcal_stochastic: NonNegative
    hcal_interaction_length_cm: Positive
    trigger_ecal_max_GeV: Positive
    trigger_ecal_resolution_GeV: NonNegative
    missing_energy_slope_GeV: Positive
    beam_electron: PseudodataRate
    pile_up: PseudodataRate
    beam_hadron: PseudodataRate
    dimuon: PseudodataRate
    electroproduction: PseudodataRate
    upstream_hadrons: PseudodataRate
    neutral_hadron: PseudodataRate
    neutral_leakage: PseudodataRate
    large_missing_energy: PseudodataRate
    calibration: PseudodataRate
    random_trigger: PseudodataRate

    @property
    def classes(self) -> dict[str, PseudodataRate]:
        """Rate of each class by its name; the position is the number in the branch mc_class."""
        rates = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: rate for name, rate in rates.items() if isinstance(rate, PseudodataRate)}


Switch = Literal["on", "off"]


class HcalCentre(_Model):
    """Middle of an HCAL module against the beam."""

    name: Literal["hcal1", "hcal2", "hcal3"]
    x_cm: Quantity
    y_cm: Quantity


class Detector(_Model):
    """Beam, cells and response of the calorimeters for the simulation; positions along z are `geometry`'s.

    Layers of the ECAL are those of `target`. Terms of sigma/E = term/sqrt(E/GeV) are for electrons:
    `sampling` of the structure alone, `stochastic` of the whole detector. Noise is per cell (ECAL, HCAL) or
    photomultiplier (VETO), a cell below the threshold reads zero, centres are of modules against the beam;
    HCAL3 is shifted further in a period whose core cells say so. The beam is Gaussian in place and angle.
    """

    beam_spot_cm: NonNegative
    beam_divergence_mrad: NonNegative
    ecal_preshower_layers: Whole
    ecal_cell_cm: Positive
    ecal_sampling: NonNegative
    ecal_stochastic: NonNegative
    ecal_noise_GeV: NonNegative
    ecal_threshold_GeV: NonNegative
    veto_thickness_cm: Positive
    veto_noise_GeV: NonNegative
    veto_threshold_GeV: NonNegative
    hcal_layers: Whole
    hcal_iron_layer_cm: Positive
    hcal_scintillator_layer_cm: Positive
    hcal_cell_x_cm: Positive
    hcal_cell_y_cm: Positive
    hcal_sampling: NonNegative
    hcal_stochastic: NonNegative
    hcal_noise_GeV: NonNegative
    hcal_threshold_GeV: NonNegative
    hcal_centres: list[HcalCentre] = Field(min_length=3, max_length=3)
    noise: Switch
    lateral_profile: Switch


class Plane(_Model):
    mass_min_GeV: Positive
    mass_max_GeV: Positive
    mass_points: GridPoints
    epsilon_min: Positive
    epsilon_max: Positive
    epsilon_points: GridPoints
    alpha_min: Positive
    alpha_max: Positive
    alpha_points: GridPoints
    mass1_min_GeV: Positive
    mass1_max_GeV: Positive
    mass1_points: GridPoints
    splitting_min: Positive
    splitting_max: Positive
    splitting_points: GridPoints

    @model_validator(mode="after")
    def _ascending(self) -> "Plane":
        for low, high in (
            ("mass_min_GeV", "mass_max_GeV"),
            ("epsilon_min", "epsilon_max"),
            ("alpha_min", "alpha_max"),
            ("mass1_min_GeV", "mass1_max_GeV"),
            ("splitting_min", "splitting_max"),
        ):
            if getattr(self, high).value <= getattr(self, low).value:
                raise ValueError(f"{high} is not above {low}")
        return self


class QualityConfig(_Model):
    """What the data quality of a spill is, and when a spill stands out.

    `false_alarm_probability`: of one or more flagged spills in a run period that is sound. `duplicates`: an
    event whose number came before is counted once, or kept.
    """

    ecal_below_GeV: Positive
    hcal_below_GeV: Positive
    false_alarm_probability: InnerFraction
    spills_min: Whole
    duplicates: Duplicates


class DimuonSample(_Model):
    """Control sample gamma -> mu+ mu-: HCAL3 above one threshold, or it and two centres above others."""

    hcal3_min_GeV: Positive
    centre_min_GeV: Positive
    hcal3_with_centres_min_GeV: Positive
    yield_uncertainty: NonNegative


class SidebandFit(_Model):
    """Fit of the ECAL energies from the box of S2 to `ecal_max_GeV`, and by how much that end is varied."""

    ecal_max_GeV: Positive
    ecal_max_variation_GeV: NonNegative
    bin_width_GeV: Positive
    events_min: Whole


class AbcdRegions(_Model):
    """Control regions of S2: ECAL energy up to `ecal_max_GeV`, and what fails the cut on `second`.

    That is an HCAL energy up to `hcal_max_GeV`, or a shower that fails the cut shower_chi2.
    `validation_ecal_GeV` divides the ECAL energies above the box: the lower part takes the place of the box.
    """

    second: Literal["hcal", "shower_chi2"]
    ecal_max_GeV: Positive
    validation_ecal_GeV: Positive
    hcal_max_GeV: Positive


class NeutralHadrons(_Model):
    """Neutral hadrons that pass HCAL1, from those that shower in it: length and its relative uncertainty."""

    interaction_length_cm: Positive
    interaction_length_uncertainty: NonNegative


class BackgroundsConfig(_Model):
    """Which background of each signature enters the limit, and the regions of the estimates."""

    S1: Literal["published", "neutral_hadron"]
    S2: Literal["published", "sideband", "abcd"]
    dimuon: DimuonSample
    sideband: SidebandFit
    abcd: AbcdRegions
    neutral_hadron: NeutralHadrons

    def method(self, signature: Signature) -> BackgroundMethod:
        return self.S1 if signature == "S1" else self.S2


# Sections that a card may leave out: those of the default card then hold.
OPTIONAL_SECTIONS = ("quality", "backgrounds")


def _branch_of_name(given: Any) -> Any:
    return {"branch": given} if isinstance(given, str) else given


class MappedBranch(_Model):
    """Where a branch of layout A comes from in another tree: a branch, or a C++ expression of branches.

    Attributes:
        branch: its name; of an element of an array `name[3]`; of a friend tree `alias.name`.
        unit: of an energy or momentum; for any quantity a number, the factor to the unit of layout A.
        axes: of an array, the names of its axes as it is stored, the slowest first.
        shape: numbers of cells along `axes`, where they differ from layout A in the first axis of that.
        index: in place of `axes`, the place of each element of layout A in the stored array, -1 for none.
    """

    branch: str | None = None
    expression: str | None = None
    unit: Literal["GeV", "MeV", "keV"] | Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = "GeV"
    axes: list[str] | None = None
    shape: list[Annotated[int, Field(ge=1)]] | None = None
    index: list[Annotated[int, Field(ge=-1)]] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "MappedBranch":
        if (self.branch is None) == (self.expression is None):
            raise ValueError("either branch or expression is needed")
        if self.index is not None and (self.axes is not None or self.shape is not None):
            raise ValueError("index says it all: leave out axes and shape")
        return self


class FriendTree(_Model):
    """A tree with more branches of the same events, in the same order; its branches are `alias.name`.

    Attributes:
        files: paths and globs, in the order of the input; {folder} and {stem} stand for those of each input
            file; without them the friend is in the input files.
    """

    tree: str
    alias: str = Field(pattern=r"[A-Za-z_]\w*")
    files: list[str] = []


class LayoutConfig(_Model):
    """How a tree of another layout is read: `branches` by their names in layout A."""

    tree: str
    base: Literal["none", "A"] = "none"
    branches: dict[str, Annotated[MappedBranch, BeforeValidator(_branch_of_name)]] = {}
    friends: list[FriendTree] = []


class InputConfig(_Model):
    """Which of the input is used: damaged files are an error or left out, runs are those of a list or all."""

    skip_bad_files: Switch = "off"
    good_runs: str = ""


class Card(_Model):
    """A whole card. `sha256` identifies its content, overrides included."""

    card: CardInfo
    model: ModelConfig
    beam: Beam
    periods: list[Period] = Field(min_length=1)
    excluded_runs: list[ExcludedRuns] = []
    geometry: Geometry
    target: Target
    selection: Selection
    signal: SignalConfig
    limit: LimitConfig
    muon_g2: MuonG2
    plane: Plane
    pseudodata: Pseudodata
    detector: Detector
    quality: QualityConfig
    backgrounds: BackgroundsConfig
    input: InputConfig = InputConfig()
    layout: LayoutConfig | None = None
    systematics: Systematics = Systematics()

    @model_validator(mode="after")
    def _uncertainties_named_once(self) -> "Card":
        published = self.limit.signal_uncertainties
        if both := self.systematics.sources.keys() & published.keys():
            raise ValueError(
                f"{min(both)} is a source in systematics and in limit.signal_uncertainties (it would count "
                "twice)"
            )
        if unknown := [name for name in self.systematics.replaces if name not in published]:
            raise ValueError(
                f"systematics.replaces names {unknown[0]}, no source of limit.signal_uncertainties "
                f"(known: {', '.join(published)})"
            )
        return self

    @model_validator(mode="after")
    def _runs_disjoint(self) -> "Card":
        named = [(p.first_run, p.last_run, f"period {p.name}") for p in self.periods]
        named += [(r.first_run, r.last_run, f"excluded runs ({r.reason})") for r in self.excluded_runs]
        named.sort()
        for (_, last, name), (first, _, next_name) in itertools.pairwise(named):
            if first <= last:
                raise ValueError(f"{name} and {next_name} share run {first}")
        if not self.eot > 0.0:
            raise ValueError("the periods have no electrons on target (sum of eot is zero)")
        names = [p.name for p in self.periods]
        if len(set(names)) != len(names):
            raise ValueError(f"two periods have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _selection_knows_the_periods(self) -> "Card":
        names = [period.name for period in self.periods]
        named = [("selection.period", list(self.selection.period))]
        named += [(f"cut {cut.name}", cut.periods) for cut in self.selection.declared]
        for where, periods in named:
            for period in periods:
                if period not in names:
                    why = _nearest(period, names) or f"known are {', '.join(names)}"
                    raise ValueError(f"{where} names an unknown period {period} ({why})")
        return self

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def eot(self) -> float:
        """Electrons on target of all periods."""
        return sum(p.eot.value for p in self.periods)

    @property
    def for_simulation(self) -> "Card":
        """The card for simulated events: their runs stand for periods, and no list of good runs has them; a
        file that is left out would be missing in their normalisation.
        """
        return self.model_copy(update={"input": InputConfig()})

    def exposure(self, eot: Mapping[str, float] | None = None) -> dict[str, float]:
        """Electrons on target of each period: the card's, or those of `eot`, by period.

        The key ``all`` scales the periods to a total.

        Raises:
            ConfigError: an unknown period, or a number that is not finite and >= 0.
        """
        exposure = {period.name: period.eot.value for period in self.periods}
        for name, value in (eot or {}).items():
            if not (value >= 0.0 and math.isfinite(value)):
                raise ConfigError(
                    f"{value:g} electrons on target for {name} (a number >= 0 is needed): correct --eot"
                )
            if name == "all":
                exposure = {period: value * share / self.eot for period, share in exposure.items()}
            elif name in exposure:
                exposure[name] = float(value)
            else:
                raise ConfigError(
                    f"no period {name} in card {self.card.name} (known: {', '.join(exposure)}): correct --eot"
                )
        return exposure

    def changed(self) -> dict[str, float]:
        """Every number that a user changed (`--set`, an option), by its dotted name."""
        return {name: q.value for name, q in _quantities(self, "") if q.provenance == "user"}

    def assumed(self) -> dict[str, Quantity]:
        """Every number of the card marked `assumed`, by its dotted name."""
        return {name: q for name, q in _quantities(self, "") if q.provenance == "assumed"}


def _quantities(node: Any, prefix: str) -> Iterable[tuple[str, Quantity]]:
    if isinstance(node, Quantity):
        yield prefix, node
        return
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(node, BaseModel):
        items = ((name, getattr(node, name)) for name in type(node).model_fields)
    elif isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = ((getattr(child, "name", str(i)), child) for i, child in enumerate(node))
    for name, child in items:
        yield from _quantities(child, f"{prefix}.{name}" if prefix else name)


def card_names() -> list[str]:
    """Names of the cards that come with the package."""
    folder = resources.files("na64root") / "cards"
    return sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_card(name_or_path: str | Path = DEFAULT_CARD, overrides: Iterable[str] = ()) -> Card:
    """Read a card by the name of a built-in one or by path, with `section.key=value` overrides applied.

    A card that begins with `extends = "NAME"` gives only what differs from another card.

    Raises:
        ConfigError: no such card, broken TOML, an unknown key (the nearest name is suggested), a value of the
            wrong type, signatures or run ranges that overlap.
    """
    data, origin = _card_data(name_or_path)
    for section in OPTIONAL_SECTIONS:
        if section not in data:
            data[section] = _card_data(DEFAULT_CARD)[0][section]
    return _with_overrides(data, origin, overrides)


def changed_card(card: Card, values: Mapping[str, float | str]) -> Card:
    """The card with other numbers and choices, by their dotted names; numbers are marked as the user's.

    Raises:
        ConfigError: an unknown name, or a card that is not acceptable with them.
    """
    overrides = [f"{name}={value}" for name, value in values.items()]
    return _with_overrides(card.model_dump(), f"card {card.card.name}", overrides)


def _with_overrides(data: dict[str, Any], origin: str, overrides: Iterable[str]) -> Card:
    for override in overrides:
        _apply_override(data, override)
    try:
        return Card.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_first_error(error, data, origin)) from None


def _card_data(name_or_path: str | Path, extended: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    """The tables of a card, laid over those of the card that it extends."""
    text, origin = _read_card(name_or_path)
    if origin in extended:
        raise ConfigError(f"{origin} extends itself ({' -> '.join(extended)}): correct `extends`")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is not valid TOML ({error}): correct that line") from None
    base = data.pop("extends", None)
    _read_headers(data, Path(name_or_path).parent, origin)
    if base is not None:
        if not isinstance(base, str):
            raise ConfigError(f"`extends` in {origin} is no name of a card (given {base!r}): correct it")
        data = _laid_over(_card_data(base, (*extended, origin))[0], data)
    return data, origin


def _read_headers(data: Mapping[str, Any], folder: Path, origin: str) -> None:
    """Put the text of the headers of declared cuts into the card; their paths are relative to its file."""
    selection = data.get("selection")
    declared = selection.get("declared") if isinstance(selection, dict) else None
    for cut in declared if isinstance(declared, list) else ():
        if not isinstance(cut, dict) or not isinstance(cut.get("header"), str):
            continue
        try:
            code = (folder / cut["header"]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"cannot read {folder / cut['header']}, the header of cut {cut.get('name')} in {origin} "
                f"({reason}): correct selection.declared.{cut.get('name')}.header"
            ) from None
        if cut.setdefault("code", code) != code:
            raise ConfigError(
                f"cut {cut.get('name')} in {origin} has other code than its header {cut['header']}: "
                "give one of them"
            )


def _laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; numbers with their provenance and lists are replaced as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and "value" not in below:
            merged[key] = _laid_over(below, value)
        else:
            merged[key] = value
    return merged


def _read_card(name_or_path: str | Path) -> tuple[str, str]:
    name = str(name_or_path)
    if name in card_names():
        return (resources.files("na64root") / "cards" / f"{name}.toml").read_text("utf-8"), f"card {name}"
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(card_names())
        raise ConfigError(f"no card {name} (neither a file nor one of {known}): give a name or a path")
    try:
        return path.read_text("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read card {path} ({error}): give a readable TOML file") from None


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, separator, raw = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"cannot use --set {override} (no '='): write section.key=value")
    key, raw = key.strip(), raw.strip()
    if re.fullmatch(r"selection\.declared\.\w+\.(header|code)", key):
        raise ConfigError(f"cannot use --set {key} (code is part of a card): name the header in a card")
    try:
        value: Any = tomllib.loads(f"x = {raw}")["x"]
    except tomllib.TOMLDecodeError:
        value = raw  # a bare word is a string
    node: Any = data
    *parents, last = key.split(".")
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, dict) and "value" in node:
        raise ConfigError(f"cannot use --set {override} (a part of a number): set {'.'.join(parents)} itself")
    current = _child(node, last, key)
    if isinstance(current, dict) and "value" in current:
        current.update(value=value, provenance="user", source=f"--set {override}")
    elif isinstance(current, dict):
        raise ConfigError(f"cannot use --set {override} ({key} is a section): name one key in it")
    else:
        node[last] = value


def _child(node: Any, part: str, key: str) -> Any:
    """The entry of a table, or of a list of tables by its name."""
    if isinstance(node, list):
        node = {str(entry.get("name", i)): entry for i, entry in enumerate(node) if isinstance(entry, dict)}
    if not isinstance(node, Mapping) or part not in node:
        known = list(node) if isinstance(node, Mapping) else []
        why = _nearest(part, known) or f"{part} is not in the card"
        raise ConfigError(f"unknown key {key} ({why}): correct --set")
    return node[part]


def _nearest(name: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]}?" if match else ""


def _first_error(error: ValidationError, data: dict[str, Any], origin: str) -> str:
    errors = error.errors()
    # A misspelt key is also a missing one: the misspelling is the one to report.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent = Card
        known: Iterable[str] = parent.model_fields
        for part in first["loc"][:-1]:
            annotation = _annotation(parent, part)
            if annotation is not None:
                parent, known = annotation, annotation.model_fields
        why = _nearest(str(first["loc"][-1]), known) or f"known are {', '.join(known)}"
        return f"unknown key {where} in {origin} ({why}): remove or correct it"
    if first["type"] == "missing":
        return f"{where} is missing in {origin} (required): add it, as in the card {DEFAULT_CARD}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict | list) else f", given {first['input']!r}"
    return f"{where or 'the card'} is not acceptable in {origin} ({message}{given}): correct it"


def _annotation(model: type[BaseModel], part: str | int) -> type[Any] | None:
    """The model class behind a field, looking through lists; an index stays in the class it is in."""
    if isinstance(part, int):
        return model
    field = model.model_fields.get(part)
    if field is None:
        return None
    annotation: Any = field.annotation
    for argument in (annotation, *getattr(annotation, "__args__", ())):
        candidate = getattr(argument, "__origin__", argument)  # through Annotated
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
