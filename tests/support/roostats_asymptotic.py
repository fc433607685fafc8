"""The asymptotic limit by RooStats: an independent reference for ours, and for workspaces handed over."""

import contextlib
import math
from pathlib import Path
from typing import Any

from na64root import cling
from na64root.limits.roofit import quiet


def asymptotic_limit(w: Any, *, cl: float) -> float:
    """The observed CLs limit of RooStats' AsymptoticCalculator on a workspace of `na64root export`."""
    with quiet():
        return _bisected(w, cl)


def _bisected(w: Any, cl: float) -> float:
    root = cling.root()
    config = w.obj("signal_plus_background")
    mu = w.var("mu")
    background_only = w.obj("background_only")
    if not background_only:
        background_only = config.Clone("background_only")
        mu.setVal(0.0)
        background_only.SetSnapshot(root.RooArgSet(mu))
    root.RooStats.AsymptoticCalculator.SetPrintLevel(-1)
    calculator = root.RooStats.AsymptoticCalculator(w.data("observed"), background_only, config)
    calculator.SetOneSided(True)
    inverter = root.RooStats.HypoTestInverter(calculator)
    inverter.UseCLs(True)
    inverter.SetVerbose(0)

    def excess(tested: float) -> float:
        inverter.Clear()
        assert inverter.RunOnePoint(tested), f"the fit at mu = {tested:g} failed"
        return float(inverter.GetInterval().GetResult(0).CLs()) - (1.0 - cl)

    low, high = 0.05, 1.0
    while excess(high) > 0.0:
        low, high = high, 1.5 * high
        assert high <= mu.getMax()
    while high / low - 1.0 > 1e-4:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return math.sqrt(low * high)


def asymptotic_limit_of_hs3(path: Path, *, cl: float) -> float:
    """As :func:`asymptotic_limit`, of an HS3 file that RooFit reads.

    RooStats' first fit of a workspace that was just read fails now and then (ROOT 6.40, one in four), where
    that of the same file read again does not.
    """
    root = cling.root()
    for attempt in range(8):
        with quiet():
            w = root.RooWorkspace(f"read{attempt}")
            assert root.RooJSONFactoryWSTool(w).importJSON(str(path))
        with contextlib.suppress(AssertionError):
            return asymptotic_limit(w, cl=cl)
    raise AssertionError(f"the fits of {path} fail")
