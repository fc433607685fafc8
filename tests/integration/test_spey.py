"""The back-end of spey, used through spey itself.

References: the exact engine (self), pyhf's likelihood and spey's own asymptotic calculator (independent).
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest

from na64root import CountingModel, upper_limit
from na64root.errors import ConfigError, DataError
from na64root.limits.export import pyhf_specification
from support.commands import run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    # Before spey itself, which takes all loggers of the process.
    ExactCounting = pytest.importorskip("na64root.spey_backend").ExactCounting
    import spey

NAME = "na64root.exact"


def model(observed=(1, 0), background=(0.5, 0.8), size=1.0, **options) -> CountingModel:
    return CountingModel.from_lists(
        observed=[size * n for n in observed],
        background=[size * b for b in background],
        background_uncertainty=[0.1 * size, 0.2 * size],
        signal_fraction=[0.4, 0.6],
        **({"signal_uncertainty": 0.2} | options),
    )


def statistical_model(*arguments, **options):
    return spey.get_backend(NAME)(*arguments, analysis="NA64", **options)


def test_spey_finds_it():
    assert NAME in spey.AvailableBackends()
    assert spey.get_backend_metadata(NAME)["name"] == NAME
    found = statistical_model(model())
    assert found.backend_type == NAME
    assert {"asymptotic", "toy"} <= set(found.available_calculators)


@pytest.mark.parametrize("signal", [1.0, 2.5])
def test_the_exact_engine_is_offered(signal):
    found = statistical_model(model(), signal=signal).backend
    limit = upper_limit(model(), cl=0.9, expected=False).upper_limit
    assert found.exact_upper_limit() == pytest.approx(limit / signal, rel=1e-12)
    assert found.exact_confidence_level(limit / signal) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # of pyhf
@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
def test_the_likelihood_is_pyhf_s(constraint):
    """Differences of log L between ten points; pyhf has doubles and sums of the same terms: 1e-9."""
    pyhf = pytest.importorskip("pyhf")
    ours = model(constraint=constraint)
    workspace = pyhf.Workspace(pyhf_specification(ours))
    theirs = workspace.model()
    backend = ExactCounting(ours)
    names = [n.removesuffix("[0]") for n in theirs.config.par_names]
    own = backend.config().parameter_names
    assert set(names) == set(own)
    log_likelihood, random = backend.get_logpdf_func(), np.random.default_rng(1)
    differences = []
    for _ in range(10):
        values = dict(
            zip(own, [random.uniform(0.0, 5.0), *random.uniform(-1.5, 1.5, len(own) - 1)], strict=True)
        )
        data = workspace.data(theirs)
        reference = float(theirs.logpdf([values[n] for n in names], data)[0])
        differences.append(log_likelihood(np.array([values[n] for n in own])) - reference)
    np.testing.assert_allclose(differences, differences[0], atol=1e-9)


def test_its_asymptotic_calculator_agrees_with_ours():
    """Hundreds of events, where asymptotics hold; spey's fits stop at 1e-4 of CLs, the limit follows."""
    large = model((110, 190), (100.0, 200.0), size=1.0, signal_uncertainty=0.1)
    ours = upper_limit(large, cl=0.95, method="asymptotic", expected=False).upper_limit
    theirs = statistical_model(large, signal=20.0).poi_upper_limit(confidence_level=0.95)
    assert 20.0 * theirs == pytest.approx(ours, rel=5e-3)


def test_experiments_are_drawn_from_the_model():
    """Means of 20 000 experiments within 5 standard errors: 3 numbers, a false alarm in 6e5 seeds."""
    backend = ExactCounting(model(background_constraint="gaussian"))
    parameters = np.array([2.0, *([0.5] * (backend.config().npar - 1))])
    expected = np.array(backend.expected_data(parameters))
    drawn = backend.get_sampler(parameters)(20_000)
    assert drawn.shape == (20_000, len(expected))
    error = np.sqrt(np.where(np.arange(len(expected)) < 2, expected, 1.0) / 20_000)
    assert (np.abs(drawn.mean(axis=0) - expected) < 5.0 * error).all()
    assert backend.get_sampler(parameters)(3, include_auxiliary=False).shape == (3, 2)
    # An experiment with its auxiliary measurements has its own likelihood.
    own, other = (backend.get_logpdf_func(data=row)(parameters) for row in (expected, drawn[0]))
    assert own != other


def test_its_toys_agree_with_the_exact_engine():
    """One event on 0.5: 1 - CLs of 4000 toys has the error 0.005; 4 of it, a false alarm in 16 000 seeds."""
    one = CountingModel.from_lists(
        observed=[1], background=[0.5], background_uncertainty=[0.0], signal_fraction=[1.0]
    )
    found = statistical_model(one, ntoys=4000)
    mu = found.backend.exact_upper_limit(0.9)
    (level,) = found.exclusion_confidence_level(poi_test=mu, calculator="toy")
    assert level == pytest.approx(0.9, abs=0.02)


def test_importing_it_leaves_loggers_alone():
    code = """
import logging, warnings
warnings.simplefilter("ignore")
mine = logging.getLogger("mine"); mine.setLevel(logging.INFO)
root = logging.getLogger(); handlers = [logging.StreamHandler(), logging.StreamHandler()]
for handler in handlers: root.addHandler(handler)
import na64root.spey_backend
assert root.handlers == handlers, root.handlers
assert mine.level == logging.INFO and not mine.disabled and mine.isEnabledFor(logging.INFO)
assert logging.root.manager.disable == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_results_of_export(tmp_path, caplog):
    flags = ("--observed", "1,0", "--background", "0.5,0.8", "--background-uncertainty", "0.1,0.2")
    shape = ("--signal-fraction", "0.4,0.6", "--signal-uncertainty", "0.2", "--format", "pyhf")
    assert run("export", *flags, *shape, "-o", str(tmp_path))[0] == 0
    for place in (tmp_path, tmp_path / "export.json"):
        assert statistical_model(str(place)).backend.model == model()
    result = json.loads((tmp_path / "export.json").read_text())
    for change in (
        {"blind": True},
        {"notes": ["Nothing is observed (weighted simulation): others stand in."]},
    ):
        (tmp_path / "export.json").write_text(json.dumps(result | change))
        with pytest.raises(ConfigError, match="is blinded or of simulation, other counts stand in"):
            statistical_model(str(tmp_path))
    (tmp_path / "export.json").write_text(json.dumps(result | {"notes": ["SRD is missing"]}))
    with caplog.at_level(logging.WARNING):
        statistical_model(str(tmp_path))
    assert "SRD is missing" in caplog.text
    with pytest.raises(DataError, match=r"cannot use .*none.json \(No such file"):
        statistical_model(str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="signal = 0.0 is not acceptable"):
        statistical_model(model(), signal=0.0)
