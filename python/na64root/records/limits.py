"""Limits, and what they rest on."""

from .origin import Provenance
from .record import Record


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


class Quoted(Record):
    """Which of several limits is the one to quote, its number, and why."""

    method: str
    treatment: str
    upper_limit: float
    upper_limit_error: float
    cl: float
    why: str


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


class ModelOfFile(Record):
    """The file that a counting model is from.

    `format` is datacard, pyhf, hs3, workspace or na64root. `signal_events` are expected, in all bins, where
    the parameter of interest of the file is one; `upper_limit` and `expected` are those on that parameter:
    the limits in events over `signal_events`.
    """

    path: str
    format: str
    sha256: str
    signal_events: float
    upper_limit: float | None
    expected: Expected


class LimitReport(LimitResult):
    """A limit that stands alone, with what is needed to make it again.

    `discovery` and `interval` are null where nothing was observed, and where too much was to enumerate it.
    `files` are those of the diagnostics. `model_file` is the file that the model is from. `blind`: its counts
    are hidden, and `upper_limit` is null; the expected limits are those of the most probable counts without
    signal.
    """

    upper_limit: float | None  # type: ignore[assignment]
    upper_limit_error: float | None  # type: ignore[assignment]

    provenance: Provenance
    discovery: Discovery | None = None
    interval: Interval | None = None
    files: dict[str, str] = {}
    model_file: ModelOfFile | None = None
    blind: bool = False
    notes: list[str] = []
