"""What other programs make of our files, and we of theirs: pyhf and pyhs3 (independent), value for value."""

import json
import logging
import math
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from na64root.limits import Bin, CountingModel, Effect, NamedSource, export, own_toys, upper_limit
from na64root.limits.likelihood import likelihood
from na64root.limits.model_files import model_from

# Two bins in one channel, and one beside it: sources of every kind that pyhf has and this package reads.
PYHF = {
    "channels": [
        {
            "name": "SR",
            "samples": [
                {
                    "name": "sig",
                    "data": [2.0, 3.0],
                    "modifiers": [
                        {"name": "mu", "type": "normfactor", "data": None},
                        {"name": "lumi", "type": "lumi", "data": None},
                        {"name": "eff", "type": "normsys", "data": {"hi": 1.1, "lo": 0.8}},
                        {"name": "stat", "type": "staterror", "data": [0.1, 0.2]},
                    ],
                },
                {
                    "name": "bkg",
                    "data": [4.0, 1.0],
                    "modifiers": [
                        {"name": "lumi", "type": "lumi", "data": None},
                        {"name": "eff", "type": "normsys", "data": {"hi": 1.05, "lo": 0.94}},
                        {"name": "stat", "type": "staterror", "data": [0.5, 0.3]},
                        {
                            "name": "scale",
                            "type": "histosys",
                            "data": {"hi_data": [4.5, 1.2], "lo_data": [3.8, 0.7]},
                        },
                    ],
                },
                {
                    "name": "fake",
                    "data": [1.0, 0.5],
                    "modifiers": [{"name": "cr", "type": "shapesys", "data": [0.5, 0.2]}],
                },
            ],
        },
        {
            "name": "CR",
            "samples": [
                {
                    "name": "bkg",
                    "data": [20.0],
                    "modifiers": [{"name": "eff", "type": "normsys", "data": {"hi": 1.2, "lo": 1.0 / 1.2}}],
                }
            ],
        },
    ],
    "observations": [{"name": "SR", "data": [6, 2]}, {"name": "CR", "data": [19]}],
    "measurements": [
        {
            "name": "m",
            "config": {
                "poi": "mu",
                "parameters": [
                    {
                        "name": "lumi",
                        "auxdata": [1.0],
                        "sigmas": [0.02],
                        "inits": [1.0],
                        "bounds": [[0.5, 1.5]],
                    }
                ],
            },
        }
    ],
    "version": "1.0.0",
}


def pulls_in_pyhf(name, x):
    """Where pyhf has a parameter of ours: factors are 1 + sigma x there."""
    if name == "lumi":
        return 1.0 + 0.02 * x
    if name.startswith("stat"):
        i = int(name[-1])
        return 1.0 + x * math.hypot((0.1, 0.2)[i], (0.5, 0.3)[i]) / (6.0, 4.0)[i]
    return x


def read(folder):
    """PYHF as it is read here."""
    path = folder / "workspace.json"
    path.write_text(json.dumps(PYHF))
    return model_from(path)


def in_pyhf(pyhf):
    """The model and the data of PYHF, with the interpolations of pyhf's command line."""
    workspace = pyhf.Workspace(PYHF)
    codes = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    model = workspace.model(modifier_settings=codes)
    return model, workspace.data(model)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_likelihood_of_a_pyhf_workspace_is_that_of_pyhf(tmp_path):
    """-ln L and expected events at twenty points: pyhf 0.7.6 with the interpolations of its command line.

    The values of -ln L differ by one constant, those of pyhf holding the factorials.
    """
    pyhf = pytest.importorskip("pyhf")
    found = read(tmp_path)
    theirs, data = in_pyhf(pyhf)
    core, known = own_toys.filled_core(found.model), likelihood(found.model, "frequentist")
    random, differences = np.random.default_rng(1), []
    for _ in range(20):
        mu = random.uniform(0.0, 3.0)
        ours = [random.uniform(0.5, 1.5) if n.count else 0.8 * random.normal() for n in known.nuisances]
        parameters = list(theirs.config.suggested_init())
        parameters[theirs.config.poi_index] = mu
        for nuisance, x in zip(known.nuisances, ours, strict=True):
            name = nuisance.name.removeprefix("alpha_")
            word, i = (name[:-2], int(name[-1])) if name[-2] == "_" else (name, 0)
            parameters[theirs.config.par_slice(word).start + i] = pulls_in_pyhf(name, x)
        signal = mu * found.signal_events
        order = {b.name: core.rate(k, signal, ours) for k, b in enumerate(found.model.bins)}
        channels = [f"SR_{i}" for i in (0, 1)]
        in_their_order = [
            *([order["CR"]] if theirs.config.channels[0] == "CR" else ()),
            *map(order.get, channels),
        ]
        if theirs.config.channels[0] != "CR":
            in_their_order.append(order["CR"])
        assert list(theirs.expected_actualdata(parameters)) == pytest.approx(in_their_order, rel=1e-9)
        value = sum(
            rate - b.observed * math.log(rate)
            for rate, b in zip(order.values(), found.model.bins, strict=True)
        )
        for nuisance, x in zip(known.nuisances, ours, strict=True):
            count = nuisance.count
            value += count * x - nuisance.nominal * math.log(x) if count else 0.5 * x**2
        differences.append(-float(np.ravel(theirs.logpdf(parameters, data))[0]) - value)
    assert differences == pytest.approx([differences[0]] * 20, abs=1e-8)


NAMED = CountingModel(
    (
        Bin("a", "a", "", 1, 0.9, 0.0, 0.4, background_processes={"x": 0.5, "y": 0.4}),
        Bin("b", "b", "", 2, 0.5, 0.2, 0.6),
    ),
    signal_uncertainty=0.2,
    named_sources=(
        NamedSource("common", "lognormal", (Effect("a", "signal", 1.05), Effect("a", "x", 0.9))),
        NamedSource("count", "gamma", (Effect("a", "y", 0.1),), count=4),
        NamedSource("line", "gaussian", (Effect("a", "x", 1.3),)),
    ),
)
POINTS = 10


def points(known):
    random = np.random.default_rng(2)
    for _ in range(POINTS):
        mu = random.uniform(0.0, 8.0)
        yield (
            mu,
            {n.name: random.uniform(0.5, 1.5) if n.count else 0.7 * random.normal() for n in known.nuisances},
        )


# pyhs3's import sets up logging for the whole process and silences every logger there is: it has its own.
READ_BY_PYHS3 = """
import json, math, sys
import numpy, pyhs3, pytensor
from pytensor.graph.traversal import explicit_graph_inputs
content = json.load(open(sys.argv[1]))
points = json.loads(sys.stdin.read())
model = pyhs3.Workspace(**content).model(0, progress=False)
known = {p["name"]: p["value"] for p in content["parameter_points"][0]["parameters"]}
for data in content["data"]:
    known[data["axes"][0]["name"]] = data["entries"][0][0]
names = [d["name"] for d in content["distributions"] if d["type"] != "product_dist"]
python = pytensor.compile.mode.Mode(linker="py", optimizer=None)
values = [0.0] * len(points)
for pdf in (model.distributions[name] for name in names):
    inputs = [x for x in explicit_graph_inputs([pdf]) if x.name is not None]
    function = pytensor.function(inputs, pdf, mode=python, on_unused_input="ignore")
    for i, point in enumerate(points):
        given = known | point
        arguments = (numpy.full((1,) * x.ndim, given[x.name]) for x in inputs)
        values[i] -= math.log(numpy.ravel(function(*arguments))[0])
print(json.dumps(values))
"""


def test_likelihood_of_our_hs3_file_is_the_same_to_pyhs3(tmp_path):
    """-ln L at ten points of the product of all distributions, up to one constant (factorials, pi)."""
    path = tmp_path / "hs3.json"
    export.write_hs3(NAMED, path)
    known = likelihood(NAMED, "frequentist")
    core = own_toys.filled_core(NAMED)
    given, ours = [], []
    for mu, pulls in points(known):
        x = [pulls[n.name] for n in known.nuisances]
        rates = [core.rate(i, mu, x) for i in range(2)]
        value = sum(rate - b.observed * math.log(rate) for rate, b in zip(rates, NAMED.bins, strict=True))
        for n, p in zip(known.nuisances, x, strict=True):
            value += n.count * p - n.nominal * math.log(p) if n.count else 0.5 * p**2
        given.append({"mu": mu, **pulls})
        ours.append(value)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ_BY_PYHS3), str(path)],
        input=json.dumps(given), text=True, capture_output=True, check=False,
        env=os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={tmp_path},cxx="},
    )  # fmt: skip
    if "No module named 'pyhs3'" in done.stderr:
        pytest.skip("pyhs3 is not installed")
    assert done.returncode == 0, done.stderr
    differences = np.array(json.loads(done.stdout)) - ours
    assert differences == pytest.approx(np.full(POINTS, differences[0]), abs=1e-8)
    assert not logging.getLogger("na64root").disabled


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_asymptotic_limits_of_a_pyhf_workspace_are_those_of_pyhf(tmp_path):
    """Observed and expected: pyhf's fits are good to 1e-3, as elsewhere."""
    pyhf = pytest.importorskip("pyhf")
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-8))
    found = read(tmp_path)
    ours = upper_limit(found.model, method="asymptotic")
    assert (ours.method, ours.toys) == ("asymptotic", 0)
    theirs, data = in_pyhf(pyhf)
    scan = pyhf.infer.intervals.upper_limits.toms748_scan
    limit, bands = scan(data, theirs, 0.0, 10.0, level=0.1, rtol=1e-4)
    assert ours.upper_limit / found.signal_events == pytest.approx(float(limit), rel=2e-3)
    expected = [value / found.signal_events for value in dict(ours.expected).values()]
    assert expected == pytest.approx([float(band) for band in bands], rel=2e-3)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_pyhf_ignores_the_level_without_a_scan():
    """What docs/limits.md warns of; it will say when a version of pyhf no longer does so."""
    pyhf = pytest.importorskip("pyhf")
    if pyhf.__version__ != "0.7.6":
        pytest.skip("seen in 0.7.6")
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-8))
    model = CountingModel((Bin("a", "a", "", 55, 50.0, 5.0, 1.0),))
    specification = export.pyhf_specification(model)
    specification["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.0, 60.0]]
    workspace = pyhf.Workspace(specification)
    theirs = workspace.model()
    data = workspace.data(theirs)
    limits = pyhf.infer.intervals.upper_limits
    at_95, _ = limits.upper_limit(data, theirs, level=0.05)
    asked_for_90, _ = limits.upper_limit(data, theirs, level=0.1)
    assert float(asked_for_90) == pytest.approx(float(at_95), rel=1e-6)
    right, _ = limits.toms748_scan(data, theirs, 0.0, 60.0, level=0.1, rtol=1e-5)
    ours = upper_limit(model, method="asymptotic", expected=False).upper_limit
    assert float(right) == pytest.approx(ours, rel=2e-3)
    assert float(at_95) > 1.05 * ours
