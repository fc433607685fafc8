"""Which limit is quoted: the exact engine's, with the treatment of the card (decision 017)."""

from __future__ import annotations

from ..records import LimitResult, Quoted

# By the method that set it; the core's toys are the exact engine's answer where counts cannot be enumerated.
WHY = {
    "exact": "all counts enumerated, no chance in it; RooStats, the paper's method, is its judge in analyze",
    "toys": "toys of the core, where counts are too many or too far from what is expected to enumerate",
}


def quoted(limit: LimitResult) -> Quoted:
    """The quoted limit: that of the exact engine, which every verb starts from.

    Raises:
        KeyError: a limit of another method, which is never quoted.
    """
    return Quoted(
        method=limit.method,
        treatment=limit.treatment,
        upper_limit=limit.upper_limit,
        upper_limit_error=limit.upper_limit_error,
        cl=limit.cl,
        why=WHY[limit.method],
    )
