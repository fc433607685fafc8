"""The quoted limit of the exact engine beside RooStats', which must agree within the errors of the toys."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Literal

from ..config import Card, Treatment
from ..records import Expected, LimitResult, Quoted, Record
from ..work import Work, said_while
from . import counting
from .exact import TREATMENTS, upper_limit
from .quotation import quoted

log = logging.getLogger(__name__)

Kind = Literal["observed", "expected"]


# RooStats and the exact engine may differ by this many of RooStats' own toy errors.
TOY_ERRORS = 3.0


# Makes the seed of a second, independent set of toys.
SECOND_SET = 0x5EC0


class EnginesDisagreeError(Exception):
    """RooStats and the exact engine give different limits: a bug in one of them, never the user's."""


class Limits(Record):
    """The limit of RooStats, and the exact engine's with each treatment of the nuisances.

    `quoted` is the result: the exact engine's with the card's treatment. RooStats, the method of the paper,
    is its judge: they must agree.
    `kind` is `expected` for weighted simulation, which has no observed counts, and for blinded data: the most
    probable ones without signal stand in for them.
    """

    roostats: LimitResult
    exact: dict[Treatment, LimitResult]
    kind: Kind
    quoted: Quoted

    @property
    def of_quoted(self) -> LimitResult:
        """The whole limit that is quoted, with its band."""
        return next(one for one in self.exact.values() if one.treatment == self.quoted.treatment)

    @property
    def named(self) -> dict[str, LimitResult]:
        """All limits by what they are called side by side, the quoted one said so, RooStats last."""
        exact = {
            f"{limit.method}, {name}" + ", quoted" * (name == self.quoted.treatment): limit
            for name, limit in self.exact.items()
        }
        return exact | {f"RooStats, {self.roostats.treatment}": self.roostats}

    @property
    def points(self) -> list[tuple[str, float, float]]:
        """Name, limit and error of each for a figure; what is enumerated has no error that could be seen."""
        return [
            (name, limit.upper_limit, limit.upper_limit_error if limit.toys else 0.0)
            for name, limit in self.named.items()
        ]


def limits_side_by_side(
    model: counting.CountingModel,
    card: Card,
    *,
    kind: Kind = "observed",
    work: Work,
) -> Limits:
    """The RooStats limit with the card's treatment, and the exact ones with each treatment.

    The toys are made as by :func:`na64root.limits.upper_limit`.

    Where RooStats is beyond three of its toy errors from the exact engine, which chance does in 0.3 % of
    runs, a second, independent set of toys is added to the first: chance is diluted, a bias stands out more.
    """
    cl, treatment = card.limit.confidence_level.value, card.limit.treatment
    with said_while("the exact limit"):
        exact = {name: upper_limit(model, cl=cl, method="exact", treatment=name) for name in TREATMENTS}

    def toys(work: Work) -> LimitResult:
        return upper_limit(model, cl=cl, method="roostats", treatment=treatment, work=work)

    judge = toys(work)
    if _disagree(judge, exact[treatment]):
        log.warning(
            "RooStats toys (%.3f +- %.3f) are far from the exact limit (%.3f): a second set decides",
            judge.upper_limit,
            judge.upper_limit_error,
            exact[treatment].upper_limit,
        )
        judge = _combined(judge, toys(replace(work, seed=work.seed ^ SECOND_SET)))
    return Limits(kind=kind, roostats=judge, exact=exact, quoted=quoted(exact[treatment]))


def _disagree(judge: LimitResult, exact: LimitResult | Quoted) -> bool:
    difference = abs(judge.upper_limit - exact.upper_limit)
    return difference > TOY_ERRORS * judge.upper_limit_error + exact.upper_limit_error


def require_agreement(limit: Limits) -> None:
    """Check RooStats against the quoted limit of the exact engine.

    Raises:
        EnginesDisagreeError: they differ by more than three toy errors, of both sets where there are two.
    """
    judge, exact = limit.roostats, limit.quoted
    if _disagree(judge, exact):
        raise EnginesDisagreeError(
            f"upper limit {judge.upper_limit:.4f} +- {judge.upper_limit_error:.4f} events by RooStats, "
            f"{exact.upper_limit:.4f} by the exact engine ({judge.treatment}): one is wrong, report this; "
            "the results are written"
        )


def _combined(first: LimitResult, second: LimitResult) -> LimitResult:
    """The mean of two independent sets of toys, weighted by their numbers and not by their own errors."""
    toys = first.toys + second.toys
    w1, w2 = first.toys / toys, second.toys / toys
    bands = {
        name: None if one is None or other is None else w1 * one + w2 * other
        for (name, one), other in zip(first.expected, second.expected.model_dump().values(), strict=True)
    }
    return first.model_copy(
        update={
            "upper_limit": w1 * first.upper_limit + w2 * second.upper_limit,
            "upper_limit_error": math.hypot(w1 * first.upper_limit_error, w2 * second.upper_limit_error),
            "expected": Expected(**bands),
            "toys": toys,
        }
    )
