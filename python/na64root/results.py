"""Frozen result records and their JSON; the keys are the contract that scripts rely on.

Every number that a verb prints or a figure draws comes from one of these records.
"""

# Annotations are objects here, not text: pydantic compiles text, which takes a while at every start.
import contextlib
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

from . import _core
from .config import Card, Signature
from .errors import DataError, Na64Error


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields; NaN and infinity become null in JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class CutFlowRow(Record):
    """Events left after a cut. Cut `initial` is the input; `excluded: REASON` counts events in no period."""

    period: str
    signature: str
    cut: str
    events: int
    weighted: float


def cuts_in_order(rows: Iterable[CutFlowRow]) -> list[str]:
    """Names of the cuts of several flows in one order: each right after the one before it in its flow."""
    order: list[str] = []
    flow, before = None, ""
    for row in rows:
        if (row.period, row.signature) != flow:
            flow, before = (row.period, row.signature), ""
        if row.cut not in order:
            order.insert(order.index(before) + 1 if before else 0, row.cut)
        before = row.cut
    return order


class Count(Record):
    """One bin of the likelihood. `observed` is null when the file cannot evaluate the signature."""

    period: str
    signature: Signature
    observed: int | None
    background: float
    background_uncertainty: float
    cuts_not_applied: list[str]


class Expected(Record):
    """The expected limit under background only, with its 68 % and 95 % bands."""

    minus2: float | None
    minus1: float | None
    median: float | None
    plus1: float | None
    plus2: float | None


class LimitResult(Record):
    """An upper limit on the total expected number of signal events.

    `criterion` is what falls to 1 - cl there: `cls`, or `clsb` for CLs+b.
    """

    upper_limit: float
    upper_limit_error: float
    expected: Expected
    cl: float
    method: str
    treatment: str
    toys: int
    criterion: str = "cls"


class Line(Record):
    """A curve drawn over a plane, with whose it is and what to keep in mind.

    Attributes:
        name: for the legend.  source, caveat: for the legend and the file of the figure; one line each.
        parameters: what it was computed with, apart from x and y.
        x, y: coordinates, null in y where there is no line; x rises.
        band_low, band_high: its uncertainty, empty where there is none.
        excluded_side: where the curve is a bound, the side of y that it excludes.
        uncertain: of each point, whether `caveat` says that it is less sure than the rest; empty for none.
    """

    name: str
    source: str
    caveat: str
    parameters: dict[str, float]
    x_quantity: str = "mass_GeV"
    y_quantity: str = "epsilon"
    x: list[float]
    y: list[float | None]
    band_low: list[float | None] = []
    band_high: list[float | None] = []
    excluded_side: Literal["above", "below"] | None = None
    uncertain: list[bool] = []

    @model_validator(mode="after")
    def _same_lengths(self) -> "Line":
        optional = [column for column in (self.band_low, self.band_high, self.uncertain) if column]
        _check_lengths(self.name, len(self.x), self.y, *optional)
        return self


class Region(Record):
    """What another experiment excludes, between two edges at each mass.

    Attributes:
        name, source, caveat, parameters: as of a :class:`Line`.
        mass_GeV: rises.  epsilon_low, epsilon_high: the edges, null where nothing is excluded.
        high_is_frame: of each mass, whether the upper edge is the end of the table or of the scan, and no
            measurement: nothing is known above it.
        bands: other choices of what `caveat` names, as pairs of edges.
    """

    name: str
    source: str
    caveat: str
    parameters: dict[str, float]
    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    high_is_frame: list[bool]
    bands: dict[str, tuple[list[float | None], list[float | None]]] = {}

    @model_validator(mode="after")
    def _same_lengths(self) -> "Region":
        edges = [column for pair in self.bands.values() for column in pair]
        n = len(self.mass_GeV)
        _check_lengths(self.name, n, self.epsilon_low, self.epsilon_high, self.high_is_frame, *edges)
        return self


def _check_lengths(name: str, length: int, *columns: Sequence[object]) -> None:
    if any(len(column) != length for column in columns):
        raise ValueError(f"{name} has columns of different lengths")


class Score(Record):
    """A published number or curve beside what is computed here.

    Attributes:
        name, source: what it is, and whose.
        published, computed: a number each, or null for curves, whose points are in `points`.
        points: [x, published, computed] of a curve.
        ratio: computed over published; of a curve the median.
        median_dex, max_dex: of |log10 ratio| over the points of a curve.
        tolerance, within: as fixed in docs/decisions/007 before the first value, and whether it is met.
        reason: why it misses, or what else is known of the difference.
    """

    name: str
    source: str
    published: float | None = None
    computed: float | None = None
    points: list[tuple[float, float, float | None]] = []
    ratio: float | None
    median_dex: float | None = None
    max_dex: float | None = None
    tolerance: str
    within: bool
    reason: str


class ToyPoint(Record):
    """CLs of RooStats toys at one mu, with its statistical error."""

    mu: float
    cls: float
    error: float


class ClsScan(Record):
    """CLs against mu, the total expected number of signal events.

    Attributes:
        mu, cls: of the exact engine for the observed counts, and its `upper_limit` at `cl`.
        expected_cls, expected: without signal, the mu where the quantile (`minus2` ... `plus2`) of CLs has
            each value of `expected_cls`: the expected limits at those levels. Empty where there are none.
        toys: of RooStats; empty for other methods.
    """

    cl: float
    treatment: str
    upper_limit: float
    mu: list[float]
    cls: list[float]
    expected_cls: list[float]
    expected: dict[str, list[float | None]]
    toys: list[ToyPoint]


class StatisticDistribution(Record):
    """Distributions of the test statistic q(mu) over RooStats toys, as fractions of the toys in each bin.

    Attributes:
        observed: q of the data.
        edges: of the bins; the last one holds everything above.
        tail_with_signal, tail_without_signal: fractions of the toys with q >= observed: CLs+b and CLb.
        toys: their number with signal, and without.
    """

    mu: float
    treatment: str
    observed: float
    edges: list[float]
    with_signal: list[float]
    without_signal: list[float]
    tail_with_signal: float
    tail_without_signal: float
    toys: int


class AssumedUncertainty(Record):
    """The exact limit against one assumed uncertainty, by treatment of the nuisance parameters.

    `values` are relative uncertainties for the source `signal`, factors on the assumed one for a background;
    `assumed` is the value of the model.
    """

    source: str
    values: list[float]
    assumed: float
    upper_limit: dict[str, list[float]]


class InputFile(Record):
    path: str
    size: int
    sha256: str
    entries: int


class SkippedFile(Record):
    """An input file that was left out, and why."""

    path: str
    cause: str


class GoodRunList(Record):
    """A list of good runs that was applied: its file, and how many ranges of runs or spills it has.

    `eot` are the electrons on target of all of them, null where the list does not say.
    """

    path: str
    sha256: str
    ranges: int
    eot: float | None = None


class InputDetails(Record):
    """How the input files were read, beside their names.

    `layout` is A, B, or `card` for a mapping of the card. `friend_files` hold more branches of the events.
    """

    layout: str
    friend_files: list[InputFile] = []
    files_skipped: list[SkippedFile] = []
    good_runs: GoodRunList | None = None


class Provenance(Record):
    """What is needed to make the result again."""

    na64root: str
    root: str | None
    python: str
    numpy: str
    card: str
    card_sha256: str
    card_changed: dict[str, float]
    seed: int | None
    approximation: str
    limit_method: str | None
    input_files: list[InputFile]
    input: InputDetails | None = None


class Overlay(Record):
    """A curve over a plane that is not this search: whose it is, and what to keep in mind.

    `contour` has points [x, y]; of kind `excluded` it goes around a region, of kind `band` around one that is
    favoured, of kind `bound` the plane is excluded above it.
    """

    kind: Literal["line", "band", "bound", "excluded", "published", "projection"]
    source: str
    caveat: str
    contour: list[list[float]]


class PlaneResult(Record):
    """An exclusion plane. `upper_limit_mu[j][i]` is the limit over the expected signal at (x[i], y[j]).

    Null stands for no signal at all and for parameters that are no model. `contours` are traced on a finer
    grid; a line that ends at the frame of the plane goes on beyond it. `expected_contours` has those of the
    expected limits, minus2 to plus2. `epsilon_low` and `epsilon_high` are the ends of the excluded range at
    each mass, null where nothing is excluded; of its widest part where it has several: the contours have all.
    They are empty where the axes are not mass and epsilon. `epsilon_is` says in words what epsilon is.
    `blind`: the signal boxes of the input are hidden, `counts` are the most probable ones without signal.
    `notes` are those of the selection of input files.
    """

    plane: str
    mode: Literal["semivisible", "invisible"]
    epsilon_is: str
    x: list[float]
    y: list[float]
    upper_limit_mu: list[list[float | None]]
    contours: list[list[list[float]]]
    expected_contours: dict[str, list[list[list[float]]]]
    overlays: dict[str, Overlay]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    g2_excluded_up_to_GeV: float | None
    scorecard: dict[str, dict[str, float | str | None]]
    counts: list[Count]
    exposure: dict[str, float]
    provenance: Provenance
    blind: bool = False
    notes: list[str] = []


class Discovery(Record):
    """Evidence against background only: q0, its p-value and its significance in standard deviations."""

    statistic: float
    p_value: float
    significance: float


class Interval(Record):
    """The two-sided interval on the total expected number of signal events (Feldman-Cousins)."""

    low: float
    high: float
    treatment: str


class LimitReport(LimitResult):
    """A limit that stands alone, with what is needed to make it again.

    `discovery` and `interval` are null where nothing was observed, and where too much was to enumerate it.
    `files` are those of the diagnostics.
    """

    provenance: Provenance
    discovery: Discovery | None = None
    interval: Interval | None = None
    files: dict[str, str] = {}


class RCutPoint(Record):
    """A cut on R.

    `signal` is the expected signal, `background` the expected background of S1, `mean_limit` the mean upper
    limit that experiments without signal set on the signal of S1. `sensitivity` is signal over mean limit,
    in units of that of the card's cut. Errors are statistical, of both samples.
    """

    r_max: float
    signal: float
    signal_efficiency: float
    signal_efficiency_error: float
    background: float
    background_error: float
    mean_limit: float
    sensitivity: float
    sensitivity_error: float


class BestRCut(Record):
    """Result of `na64root.best_r_cut`. `gain`: sensitivity of the best cut over that of the card's, less 1.

    `flat` are the lowest and highest cut within 1 % of the best sensitivity. `best` is chosen and measured
    with the same events, which makes `gain` too large by a part of its error at most. `candidates` counts the
    events of each sample that pass the other cuts.
    """

    mass_GeV: float
    epsilon: float
    core: Literal["period", "single"]
    r_max: float
    best: float
    flat: tuple[float, float]
    gain: float
    gain_error: float
    cuts: list[RCutPoint]
    candidates: dict[str, int]
    background: str
    published: str
    provenance: Provenance


def provenance(
    card: Card,
    *,
    seed: int | None = None,
    limit_method: str | None = None,
    input_files: Iterable[InputFile] = (),
    input_details: InputDetails | None = None,
) -> Provenance:
    """The provenance of a result made with this card, and with seed, method and files where it has them."""
    return Provenance(
        na64root=_core.__version__,
        root=_installed("root"),
        python=platform.python_version(),
        numpy=metadata.version("numpy"),
        card=card.card.name,
        card_sha256=card.sha256,
        card_changed=card.changed(),
        seed=seed,
        approximation=card.model.approximation,
        limit_method=limit_method,
        input_files=list(input_files),
        input=input_details,
    )


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def to_json(record: BaseModel | dict[str, Any]) -> str:
    """A record as JSON text, one object, keys in the order of the record."""
    if isinstance(record, BaseModel):
        return record.model_dump_json(indent=1)
    return json.dumps(record, indent=1, allow_nan=False)


def write_atomically(path: Path, write: Callable[[Path], None], *, force: bool = False) -> None:
    """Have `write` make a file beside `path`, then rename it: an interrupted run leaves no half file.

    Raises:
        Na64Error: `path` exists and `force` is not set, or the folder cannot be written.
    """
    if path.is_dir():
        raise Na64Error(f"{path} is a folder (one file is written): give the name of a file")
    if path.exists() and not force:
        raise Na64Error(f"{path} exists (results are kept): use --force or another output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise Na64Error(f"cannot write {path} ({error.strerror}): choose another output") from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise Na64Error(f"cannot write {path} ({error.strerror or error}): choose another output") from None
    finally:
        temporary.unlink(missing_ok=True)


def refuse_to_replace(folder: Path, names: Iterable[str], force: bool) -> None:
    """Raise Na64Error where a file of these names exists and `force` is not set."""
    existing = [str(folder / name) for name in names if (folder / name).exists()]
    if existing and not force:
        raise Na64Error(f"{existing[0]} exists (results are kept): use --force or another output")


def require_writable(folder: Path) -> None:
    """Fail before minutes of computing, not after them."""
    with renamed_into(folder, ()):
        pass


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(path: Path, kind: type[AnyRecord], what: str) -> AnyRecord:
    """A record from its JSON.

    Raises:
        DataError: no such file, or not `what`.
    """
    try:
        return kind.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): give {what}") from None
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path} is not readable ({first}): give {what}") from None


@contextlib.contextmanager
def renamed_into(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """A temporary folder; at the end its files take the place of `names` in `folder`, all or none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            yield Path(temporary)
            for name in names:
                made = Path(temporary) / name
                if made.exists():
                    made.replace(folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Na64Error(
            f"cannot write into {folder} ({error.strerror or error}): choose another output"
        ) from None
