"""What a fit of a counting model says: parameters, goodness, injected signals, scans, posteriors, impacts."""

from .limits import Discovery, Interval, LimitResult, ModelOfFile
from .origin import Provenance
from .record import Record


class FittedParameter(Record):
    """A nuisance parameter at the best fit.

    Attributes:
        value, error: of the parameter, null where it ends at its bound.
        nominal: what its auxiliary measurement says.
        pull: (value - nominal) over the uncertainty of that measurement.
        constraint: `error` over the same: 1 where the counts say nothing of it.
    """

    name: str
    value: float
    error: float | None
    nominal: float
    pull: float
    constraint: float | None


class BestFit(Record):
    """The maximum of the likelihood with mu >= 0, mu the total expected signal events.

    Attributes:
        mu_error: of the second derivatives of the likelihood; null where mu is at its bound, zero.
        correlated: names of the rows and columns of `correlation`, `mu` among them unless it is at its bound.
    """

    mu: float
    mu_error: float | None
    mu_at_bound: bool
    minus_log_likelihood: float
    parameters: list[FittedParameter]
    correlated: list[str]
    correlation: list[list[float]]


class Goodness(Record):
    """Goodness of fit with the saturated model: -2 ln of the likelihood over that of rates equal to counts.

    Attributes:
        hypothesis: `best_fit`, or `background_only` (mu = 0).
        p_value: the fraction of toys of the fitted model with a statistic as large; its error is binomial.
        edges, fractions: of the toys; the last bin holds everything above.
    """

    hypothesis: str
    statistic: float
    p_value: float
    p_value_error: float
    toys: int
    edges: list[float]
    fractions: list[float]


class Injected(Record):
    """What is fitted where a signal of strength `injected` is in the toys.

    Attributes:
        mean, median: of the fitted strengths, which are not below zero; `bias` is mean - injected.
        at_zero: the fraction that ends at zero: there the mean lies above the median.
        pull_mean, pull_width: of the signed root of the likelihood ratio at `injected`,
            sign(fitted - injected) sqrt(-2 ln ratio), which is nearly normal where there are many events.
    """

    injected: float
    mean: float
    mean_error: float
    median: float
    bias: float
    at_zero: float
    pull_mean: float
    pull_mean_error: float
    pull_width: float
    toys: int


class LikelihoodScan(Record):
    """-2 ln of the profile likelihood ratio against mu, and CLs there (null where nothing is enumerated)."""

    mu: list[float]
    two_delta_nll: list[float]
    cls: list[float] | None


class PointTest(Record):
    """How the data agree with one strength.

    Attributes:
        clsb, clb, cls: one-sided, `cls` = clsb / clb: excluded where it is below 1 - CL.
        two_sided_p_value: in likelihood-ratio order (Feldman and Cousins); null where it would take minutes.
        excluded: at the level of the report.
    """

    mu: float
    mass_GeV: float | None
    epsilon: float | None
    clsb: float
    clb: float
    cls: float
    two_sided_p_value: float | None
    excluded: bool


class Posterior(Record):
    """The Bayesian answer with a prior in mu, nuisance parameters integrated over their constraints.

    Attributes:
        prior: `flat`, `sqrt` (1 over the square root of mu) or `jeffreys`.
        upper_limit_error: of the integration, one standard deviation.
        mu, density: the posterior density.
    """

    prior: str
    upper_limit: float
    upper_limit_error: float
    median: float
    mu: list[float]
    density: list[float]


class LimitImpact(Record):
    """How the limit depends on one source of uncertainty, without what is no impact.

    Attributes:
        without, vanishing, doubled: the limit without the source, with a thousandth of it, with twice it.
        impact: limit - vanishing: what the uncertainty itself does.
        jump: vanishing - without: what happens at once, however small the source is. Counts that are as
            improbable as those seen are ties; any auxiliary measurement breaks them.
        tie_breaking: whether the jump is larger than the errors of both limits.
    """

    source: str
    without: float
    vanishing: float
    doubled: float
    impact: float
    jump: float
    tie_breaking: bool


class StrengthImpact(Record):
    """The fitted mu with one nuisance parameter fixed at its fitted value -+ its error, the others fitted."""

    parameter: str
    down: float
    up: float


class FitReport(Record):
    """The result of `na64root fit`. What was not asked for is null or empty; `notes` say why else.

    `model_file` is the file that the model is from, with the limit on its own parameter of interest.
    """

    cl: float
    treatment: str
    limit: LimitResult
    fit: BestFit | None
    goodness: list[Goodness]
    injection: list[Injected]
    scan: LikelihoodScan | None
    point: PointTest | None
    discovery: Discovery | None
    interval: Interval | None
    bayesian: Posterior | None
    limit_impacts: list[LimitImpact]
    strength_impacts: list[StrengthImpact]
    notes: list[str]
    files: dict[str, str]
    model_file: ModelOfFile | None = None
    provenance: Provenance
