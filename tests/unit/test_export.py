import dataclasses
import json
import math

import pytest

from na64root import export
from na64root.errors import ConfigError, Na64Error
from na64root.limits import Bin, CountingModel

MODEL = CountingModel(
    (
        Bin("S1_2017", "S1", "2017", 1, 0.07, 0.03, 0.2),
        Bin("S1_2018", "S1", "2018", 0, 0.12, 0.04, 0.3),
        Bin("S2_2018", "S2", "2018", 2, 0.53, 0.17, 0.5),
    ),
    signal_uncertainty=0.2,
)


class Datacard:
    """A reader of the part of Combine's language that a counting experiment needs, written for this test."""

    def __init__(self, text):
        lines = [line.split() for line in text.splitlines() if line and line[0] not in "#-"]
        self.bins = next(line[1:] for line in lines if line[0] == "bin")
        self.observed = next([int(x) for x in line[1:]] for line in lines if line[0] == "observation")
        columns = [line[1:] for line in lines if line[0] == "bin"][1]
        processes = next(line[1:] for line in lines if line[0] == "process")
        self.rates = dict(
            zip(
                zip(columns, processes, strict=True),
                map(float, next(line[1:] for line in lines if line[0] == "rate")),
                strict=True,
            )
        )
        keys = list(self.rates)
        self.lognormal, self.formulas, self.parameters = {}, [], {}
        for line in lines:
            if len(line) > 1 and line[1] == "lnN":
                self.lognormal[line[0]] = {
                    k: float(x) for k, x in zip(keys, line[2:], strict=True) if x != "-"
                }
            elif len(line) > 1 and line[1] == "rateParam":
                self.formulas.append((line[2], line[3], line[4], line[5]))
            elif len(line) > 1 and line[1] == "param":
                self.parameters[line[0]] = tuple(json.loads(line[4]))
        assert next(int(line[1]) for line in lines if line[0] == "imax") == len(self.bins)

    def expected(self, r, **pulls):
        total = dict.fromkeys(self.bins, 0.0)
        for (name, process), rate in self.rates.items():
            value = rate * (r if process == "signal" else 1.0)
            for nuisance, scales in self.lognormal.items():
                value *= scales.get((name, process), 1.0) ** pulls.get(nuisance, 0.0)
            for where, what, formula, nuisance in self.formulas:
                if where in ("*", name) and what == process:
                    value *= eval(formula.replace("@0", repr(pulls.get(nuisance, 0.0))))
            total[name] += value
        return [total[name] for name in self.bins]


def expected(model, mu, theta, eta):
    scale = (
        (1 + model.signal_uncertainty) ** theta
        if model.constraint == "lognormal"
        else 1 + model.signal_uncertainty * theta
    )
    rates = []
    for b, share in zip(model.bins, model.shares, strict=True):
        pull = eta[b.signature]
        if model.background_constraint == "gaussian":
            background = b.background + b.background_uncertainty * pull
        else:
            background = b.background * (1 + b.background_uncertainty / b.background) ** pull
        rates.append(mu * share * scale + background)
    return rates


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("background_constraint", ["lognormal", "gaussian"])
def test_datacard_holds_the_model(constraint, background_constraint):
    model = dataclasses.replace(MODEL, constraint=constraint, background_constraint=background_constraint)
    card = Datacard(export.datacard(model))
    assert card.observed == [1, 0, 2]
    for mu, theta, eta in ((0.0, 0.0, (0.0, 0.0)), (2.5, 0.7, (-1.1, 0.4)), (4.0, -1.5, (0.8, -0.9))):
        pulls = {"theta_signal": theta, "eta_S1": eta[0], "eta_S2": eta[1]}
        reference = expected(model, mu, theta, {"S1": eta[0], "S2": eta[1]})
        assert card.expected(mu, **pulls) == pytest.approx(reference, rel=1e-9)
    if background_constraint == "gaussian":
        assert card.parameters["eta_S2"][0] == pytest.approx(-0.53 / 0.17)


def test_datacard_gamma_needs_whole_counts():
    bins = (Bin("b", "b", "", 0, 0.5, 0.25, 1.0),)
    text = export.datacard(CountingModel(bins, background_constraint="gamma"))
    assert "eta_b gmN 4 - 0.125" in text
    with pytest.raises(ConfigError, match="whole ones"):
        export.datacard(
            CountingModel(
                (dataclasses.replace(bins[0], background_uncertainty=0.2),), background_constraint="gamma"
            )
        )


def test_pyhf_cannot_share_gamma():
    with pytest.raises(ConfigError, match="gamma"):
        export.pyhf_specification(dataclasses.replace(MODEL, background_constraint="gamma"))


def test_export_writes_and_keeps(tmp_path):
    files = export.export(MODEL, tmp_path, formats=["pyhf", "datacard"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["datacard.txt", "pyhf.json"]
    assert json.loads(files["pyhf"].read_text())["version"] == "1.0.0"
    with pytest.raises(Na64Error, match="exists"):
        export.export(MODEL, tmp_path, formats=["datacard"])
    export.export(MODEL, tmp_path, formats=["datacard"], force=True)
    with pytest.raises(ConfigError, match="unknown format yaml"):
        export.export(MODEL, tmp_path, formats=["yaml"])


def test_gaussian_bounds_keep_yields_positive():
    specification = export.pyhf_specification(dataclasses.replace(MODEL, constraint="gaussian"))
    bounds = {p["name"]: p["bounds"][0] for p in specification["measurements"][0]["config"]["parameters"]}
    # Shared by two bins: the one whose background vanishes first.
    assert bounds["eta_S1"][0] == pytest.approx(-0.07 / 0.03)
    assert math.isclose(bounds["theta_signal"][0], -5.0)
