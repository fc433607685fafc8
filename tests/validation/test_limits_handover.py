"""What is handed over says the same elsewhere: pyhf (independent), HS3 and the ROOT file (read back)."""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from na64root.cling import root
from na64root.errors import ConfigError
from na64root.limits import Bin, CountingModel, SignalSource, export, roofit, upper_limit
from na64root.limits.roostats import toys_of_workspace
from na64root.records import ResultsFolder
from na64root.work import Work
from support.roostats_asymptotic import asymptotic_limit, asymptotic_limit_of_hs3

FEW = CountingModel(
    (
        Bin("S1_2017", "S1", "2017", 1, 0.07, 0.03, 0.2),
        Bin("S1_2018", "S1", "2018", 0, 0.12, 0.04, 0.3),
        Bin("S2_2018", "S2", "2018", 2, 0.53, 0.17, 0.5),
    ),
    signal_uncertainty=0.2,
)
MANY = CountingModel(
    (Bin("S1", "S1", "", 105, 98.0, 9.0, 0.4), Bin("S2", "S2", "", 61, 64.0, 5.0, 0.6)),
    signal_uncertainty=0.1,
)


def pyhf_limit(specification, cl, guess):
    pyhf = pytest.importorskip("pyhf")
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-8))
    workspace = pyhf.Workspace(specification)
    model = workspace.model()
    data = workspace.data(model)

    def excess(log_mu):
        cls = float(pyhf.infer.hypotest(math.exp(log_mu), data, model, test_stat="qtilde"))
        return math.log(cls) - math.log(1.0 - cl)

    # CLs is nearly a power in mu around the limit: a few fits in place of a bisection.
    return math.exp(brentq(excess, math.log(0.5 * guess), math.log(2.0 * guess), xtol=1e-4))


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("background_constraint", ["lognormal", "gaussian", "gamma"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_asymptotic_limit_of_pyhf(constraint, background_constraint):
    model = dataclasses.replace(MANY, constraint=constraint, background_constraint=background_constraint)
    for cl in (0.9, 0.95) if constraint == background_constraint else (0.9,):
        ours = upper_limit(model, method="asymptotic", cl=cl, expected=False).upper_limit
        assert pyhf_limit(export.pyhf_specification(model), cl, ours) == pytest.approx(ours, rel=2e-3)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_asymptotic_limit_of_pyhf_with_few_events():
    ours = upper_limit(FEW, method="asymptotic", expected=False).upper_limit
    assert pyhf_limit(export.pyhf_specification(FEW), 0.9, ours) == pytest.approx(ours, rel=1e-2)


@pytest.mark.parametrize("model", [FEW, MANY], ids=["few", "many"])
@pytest.mark.filterwarnings("ignore:asymptotic limit:UserWarning")
def test_asymptotic_limit_of_roostats(model):
    ours = upper_limit(model, method="asymptotic", expected=False).upper_limit
    assert asymptotic_limit(roofit.workspace(model), cl=0.9) == pytest.approx(ours, rel=1e-2)


def toys_of(w):
    return toys_of_workspace(w, "frequentist", 4.0, with_signal=50, without_signal=50, seed=7)


def test_workspace_file_gives_the_same_toys(tmp_path):
    path = export.export(FEW, ResultsFolder(tmp_path), formats=["workspace"])["workspace"]
    file = root().TFile.Open(str(path))
    again = toys_of(file.Get("na64root"))
    file.Close()
    first = toys_of(roofit.workspace(FEW))
    assert again.observed == pytest.approx(first.observed, abs=1e-5)
    np.testing.assert_allclose(again.without_signal, first.without_signal, atol=1e-4)


def test_hs3_is_read_back(tmp_path):
    path = export.export(FEW, ResultsFolder(tmp_path), formats=["hs3"])["hs3"]
    assert json.loads(path.read_text())["metadata"]["hs3_version"]
    limit = asymptotic_limit_of_hs3(path, cl=0.9)
    assert limit == pytest.approx(asymptotic_limit(roofit.workspace(FEW), cl=0.9), rel=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_signal_sources_of_single_bins_are_those_of_pyhf():
    sources = {"common": SignalSource(0.1), "statistics": SignalSource(0.25, "none")}
    model = dataclasses.replace(MANY, signal_uncertainty=0.0, signal_sources=sources)
    ours = upper_limit(model, method="asymptotic", expected=False).upper_limit
    assert pyhf_limit(export.pyhf_specification(model), 0.9, ours) == pytest.approx(ours, rel=2e-3)
    certain = dataclasses.replace(model, signal_sources={})
    assert ours > 1.03 * upper_limit(certain, method="asymptotic", expected=False).upper_limit
    card = export.datacard(model)
    assert "theta_signal_S1 lnN 1.25 - - -" in card
    assert "theta_signal_S2 lnN - - 1.25 -" in card
    with pytest.raises(ConfigError, match="pyhf would add them"):
        export.pyhf_specification(dataclasses.replace(model, constraint="gaussian"))


@pytest.mark.parametrize("treatment", ["none", "frequentist"])
def test_many_events_meet_the_asymptotic_formulae(treatment):
    """105 and 61 events: the formulae (independent) are good to 1/sqrt(n) of a standard deviation, 2 %."""
    # The asymptotic formulae know no treatment: `none` is a model without uncertainties.
    certain = tuple(dataclasses.replace(b, background_uncertainty=0.0) for b in MANY.bins)
    model = MANY if treatment == "frequentist" else CountingModel(certain)
    formulae = upper_limit(model, method="asymptotic", expected=False).upper_limit
    assert upper_limit(model, treatment=treatment, expected=False).upper_limit == pytest.approx(
        formulae, rel=0.02
    )


@pytest.mark.slow
def test_toys_of_many_events_meet_the_asymptotic_formulae():
    """Within 2 % and 3.5 errors of RooStats: false alarm 0.05 %, the seed being fixed."""
    formulae = upper_limit(MANY, method="asymptotic", expected=False).upper_limit
    toys = upper_limit(MANY, method="roostats", precision=0.08, expected=False, work=Work(threads=2))
    assert abs(toys.upper_limit - formulae) < 0.02 * formulae + 3.5 * toys.upper_limit_error
