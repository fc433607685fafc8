"""Counting models from files: what a file says is what the model has, and what is wrong is one line."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest

from na64root.cling import root
from na64root.errors import ConfigError, DataError
from na64root.limits import (
    Bin,
    CountingModel,
    Effect,
    NamedSource,
    SignalSource,
    export,
    own_toys,
    roofit,
    upper_limit,
)
from na64root.limits.model_files import model_from
from na64root.limits.model_record import record_of
from support import commands

CARD = """\
# made for this test
imax 2
jmax 2
kmax *
------------
shapes * * FAKE
bin A B
observation 3 1
------------
bin     A   A    A    B   B
process sig bkg1 bkg2 sig bkg1
process 0   1    2    0   1
rate    2.1 1.0  0.5  3.0 0.8
------------
lumi lnN 1.02 -       1.02 1.02 -
eff  lnN 1.1  -       -    1.12 -
xs   lnN -    0.9/1.2 -    -    0.92/1.15
cr   gmN 2    -       -    0.25 -  -
stat group = lumi eff
"""


def written(folder, text, name="card.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_datacard_says_what_the_model_has(tmp_path):
    """Expected events by hand (independent), at the ends of the sources, where no interpolation matters."""
    found = model_from(written(tmp_path, CARD))
    assert (found.format, found.signal_events, found.blind, found.notes) == ("datacard", 5.1, False, ())
    assert [b.observed for b in found.model.bins] == [3, 1]
    names = [source.name for source in found.model.named_sources]
    assert names == ["lumi", "eff", "xs", "cr"]
    core = own_toys.filled_core(found.model)
    for r, lumi, eff, xs, cr in (
        (1.0, 0.0, 0.0, 0.0, 1.0),
        (2.0, 1.0, -1.0, 1.0, 1.5),
        (0.5, -2.0, 2.0, -1.0, 0.5),
    ):
        side = {1.0: (1.2, 1.15), 0.0: (1.0, 1.0), -1.0: (0.9, 0.92)}[xs]
        a = r * 2.1 * 1.02**lumi * 1.1**eff + side[0] + 0.25 * 2 * cr * 1.02**lumi
        b = r * 3.0 * 1.02**lumi * 1.12**eff + 0.8 * side[1]
        parameters = dict(zip(names, (lumi, eff, xs, cr), strict=True))
        x = [
            parameters[n.name.removeprefix("alpha_")]
            for n in own_toys.likelihood(found.model, "frequentist").nuisances
        ]
        assert [core.rate(i, r * 5.1, x) for i in (0, 1)] == pytest.approx([a, b], rel=1e-12)


@pytest.mark.parametrize(
    "other",
    [
        CARD.replace("\n", "\r\n"),
        "\ufeff" + CARD,
        CARD.replace("kmax *", "kmax 4"),
        CARD.replace("lumi lnN", "   lumi   lnN").replace(" ", "\t"),
        CARD.replace("imax 2", "imax 2 number of channels  # of bins"),
        CARD.replace("process sig bkg1 bkg2 sig bkg1\nprocess 0   1    2    0   1",
                     "process 0   1    2    0   1\nprocess sig bkg1 bkg2 sig bkg1"),
    ],
    ids=["CRLF", "BOM", "kmax", "tabs", "comments", "process"],
)  # fmt: skip
def test_the_same_card_written_otherwise(other, tmp_path):
    first = model_from(written(tmp_path, CARD))
    assert model_from(written(tmp_path, other, "other")).model == first.model


DAMAGED_CARDS = {
    "empty": ("", "empty"),
    "latin-1": (CARD.encode() + "# Größe".encode("latin-1"), "not UTF-8 at byte"),
    "UTF-16": (CARD.encode("utf-16"), "not UTF-8 at byte 0"),
    "zeros": (CARD.replace("made", "ma\0de"), "zero bytes in a text"),
    "prose": ("Dear all,\nthis is no card\n", "line 1: Dear is not known here"),
    "no observation": (CARD.replace("observation 3 1\n", ""), "no observation line"),
    "twice observed": (CARD.replace("observation 3 1", "observation 3 1\nobservation 3 1"), "given twice"),
    "imax twice": (CARD.replace("jmax 2", "imax 2"), "imax given twice"),
    "imax without": (CARD.replace("imax 2", "imax"), "imax without a number"),
    "no rate": (CARD.split("rate")[0], "no rate line"),
    "rate of nothing": (CARD.replace("rate    2.1 1.0  0.5  3.0 0.8", "rate"), "rate without numbers"),
    "cut": (CARD.split("process 0")[0] + "rate 1 2 3 4 5", "not one bin and two process lines"),
    "third bin": (CARD.replace("rate", "bin A\nrate"), "a third bin line"),
    "observed lengths": (CARD.replace("observation 3 1", "observation 3"), "2 bins and 1 observations"),
    "same bins": (CARD.replace("bin A B", "bin A A"), "two bins of one name"),
    "columns": (CARD.replace("3.0 0.8", "3.0"), "bin, process, process and rate are 5, 5, 5 and 4"),
    "unnumbered": (CARD.replace("0   1    2    0   1", "a b c a b"), "no process line of whole numbers"),
    "unknown bin": (CARD.replace("bin A B", "bin A C"), "column of bin B, which has no observation"),
    "column twice": (CARD.replace("bkg1 bkg2 sig", "bkg1 bkg1 sig"), "two columns of bkg1 in A"),
    "two numbers": (CARD.replace("0   1    2    0   1", "0 1 2 0 3"), "process bkg1 has the numbers 1 and 3"),
    "negative rate": (CARD.replace("0.8\n", "-0.8\n"), "rate of bkg1 in B is -0.8"),
    "empty bin": (CARD.replace("A B\nobservation 3 1", "A B C\nobservation 3 1 0"), "bin C has no processes"),
    "no signal": (CARD.replace("0   1    2    0   1", "3 1 2 3 1"), "no signal"),
    "imax": (CARD.replace("imax 2", "imax 3"), "imax is 3, but there are 2"),
    "jmax": (CARD.replace("jmax 2", "jmax 1"), "jmax is 1, but there are 2"),
    "kmax": (CARD.replace("kmax *", "kmax 3"), "kmax is 3, but there are 4"),
    "NaN": (CARD.replace("rate    2.1", "rate nan"), "rate nan is no number"),
    "infinite": (CARD.replace("rate    2.1", "rate 1e999"), "must be a finite number"),
    "half a count": (CARD.replace("observation 3", "observation 3.5"), "is not a whole number"),
    "Asimov": (CARD.replace("observation 3", "observation -1"), "observation of A is negative"),
    "no kind": (CARD + "x\n", "line 20: x without a kind"),
    "nofloat": (CARD.replace("lumi lnN", "lumi[nofloat] lnN"), "is not computed here"),
    "lnU": (CARD + "x lnU 1.1 - - - -\n", "x is lnU, a flat factor"),
    "rateParam": (CARD + "x rateParam A bkg1 1.0\n", "x is rateParam, a free or computed rate"),
    "param": (CARD + "x param 0 1\n", "x is param, a parameter of no line of ours"),
    "wide param": (CARD + "x param 0 2\n", "x is param, a parameter of no line of ours"),
    "shape": (CARD + "x shape 1 - - - -\n", "x is shape, a shape"),
    "shapes": (CARD.replace("shapes * * FAKE", "shapes * * in.root w"), "shapes are not computed here"),
    "autoMCStats": (CARD + "A autoMCStats 0\n", "errors of templates"),
    "unknown": (CARD + "x lnX 1 - - - -\n", "x is lnX, not a kind of Combine's that is known here"),
    "more columns": (CARD + "x lnN 1.1 - - - - -\n", "x has 6 columns, the rates have 5"),
    "no factor": (CARD + "x lnN 1.1/0 - - - -\n", "lnN x of 1.1/0 is no factor"),
    "no number": (CARD + "x lnN ten - - - -\n", "lnN x of ten is no number"),
    "per cent": (CARD + "x lnN 20 - - - -\n", "per cent meant"),
    "source twice": (CARD + "lumi lnN 1.1 - - - -\n", "two sources are called lumi"),
    "gmN": (CARD + "x gmN 2.5 - 0.4 - - -\n", "gmN x without a whole auxiliary count"),
    "gmN sign": (CARD + "x gmN 2 - -0.5 - - -\n", "gmN x of -0.5 is negative"),
    "gmN yield": (CARD + "x gmN 2 - 0.1 - - -\n", "whose yield is 1 and not 2 times 0.1"),
    "gmN twice": (CARD + "x gmN 2 - - 0.25 - -\n", "which cr measures too"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_CARDS)
def test_a_damaged_card_is_one_line(case, tmp_path):
    text, why = DAMAGED_CARDS[case]
    path = written(tmp_path, text)
    with pytest.raises(DataError) as error:
        model_from(path)
    message = str(error.value)
    assert why in message
    assert str(path) in message
    assert "\n" not in message


def test_a_small_factor_is_asked_about(tmp_path):
    found = model_from(written(tmp_path, CARD + "x lnN 0.2 - - - -\n"))
    assert found.notes == ("line 20: lnN x of 0.2 on sig of A is a factor: 20 % are written 1.2",)


# pyhf: the file that our export writes, and parts of other files.

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
                        {"name": "eff", "type": "normsys", "data": {"hi": 1.1, "lo": 0.92}},
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
                        {"name": "scale", "type": "histosys",
                         "data": {"hi_data": [4.5, 1.2], "lo_data": [3.8, 0.9]}},
                    ],
                },
                {
                    "name": "fake",
                    "data": [1.0, 0.5],
                    "modifiers": [{"name": "cr", "type": "shapesys", "data": [0.5, 0.0]}],
                },
            ],
        }
    ],
    "observations": [{"name": "SR", "data": [6, 2]}],
    "measurements": [
        {
            "name": "m",
            "config": {
                "poi": "mu",
                "parameters": [
                    {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]]}
                ],
            },
        }
    ],
    "version": "1.0.0",
}  # fmt: skip


def changed(*places, **values):
    """PYHF with something else in the object at a place, or without it."""
    content = json.loads(json.dumps(PYHF))
    at = content
    for place in places:
        at = at[place]
    for key, value in values.items():
        if value is None:
            del at[key]
        else:
            at[key] = value
    return content


LUMINOSITY = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02]}
SIGNAL = ("channels", 0, "samples", 0)
MODIFIER = (*SIGNAL, "modifiers", 2)
DAMAGED_PYHF = {
    "no measurement": (changed(measurements=[]), "no measurement"),
    "no poi": (changed("measurements", 0, "config", poi=None), "config of the measurement has no poi"),
    "unknown poi": (changed("measurements", 0, "config", poi="nu"), "of a type that is not computed here"),
    "fixed poi": (
        changed("measurements", 0, "config", parameters=[
            {"name": "mu", "fixed": True}, LUMINOSITY
        ]), "parameter mu is fixed"),
    "fixed beside": (
        changed("measurements", 0, "config", parameters=[
            {"name": "eff", "fixed": True, "inits": [1.0]}, LUMINOSITY
        ]), "parameter eff is fixed beside its nominal value"),
    "own auxdata": (
        changed("measurements", 0, "config", parameters=[
            {"name": "eff", "auxdata": [0.3]}, LUMINOSITY
        ]), "parameter eff has auxdata of its own"),
    "no lumi": (changed("measurements", 0, "config", parameters=[]), "has no auxdata and sigmas"),
    "luminosity": (
        changed("measurements", 0, "config", parameters=[LUMINOSITY | {"auxdata": [2.0]}]),
        "yields are those of a luminosity of one"),
    "no observation": (changed(observations=[]), "channel SR has no observation"),
    "another channel": (
        changed(observations=[*PYHF["observations"], {"name": "CR", "data": [1]}]), "observation of CR"),
    "lengths": (changed("observations", 0, data=[6]), "has 2 bins, the observation 1"),
    "half a count": (changed("observations", 0, data=[6.5, 2]), "is not a whole number"),
    "negative": (changed(*SIGNAL, data=[-2.0, 3.0]), "sample sig of channel SR expects -2 events"),
    "text": (changed(*SIGNAL, data=["2.0", 3.0]), 'data of sample sig of channel SR is "2.0" and no number'),
    "truth": (changed(*SIGNAL, data=[True, 3.0]), "is true and no number"),
    "huge": (changed(*SIGNAL, data=[10**400, 3.0]), "is not finite, or beyond 1e15"),
    "no data": (changed(*SIGNAL, data=None), "sample sig of channel SR has no data"),
    "no list": (changed(channels={}), "channels of the workspace is {} and no list"),
    "two samples": (changed(*SIGNAL, name="bkg"), "has two samples bkg"),
    "shapefactor": (changed(*MODIFIER, type="shapefactor"), "shapefactor eff of sample sig of channel SR"),
    "normfactor": (changed(*MODIFIER, type="normfactor"), "is of a type that is not computed here"),
    "no sides": (changed(*MODIFIER, data={"hi": 1.1}), "normsys eff of sample sig of channel SR has no lo"),
    "per cent": (changed(*MODIFIER, data={"hi": 20.0, "lo": 0.9}), "per cent meant"),
    "zero": (changed(*MODIFIER, data={"hi": 1.1, "lo": 0.0}), "is zero (a log-normal factor cannot vanish)"),
    "negative side": (changed(*MODIFIER, data={"hi": 1.1, "lo": -1.0}), "is -1 (must be a factor >= 0)"),
    "two shapes": (changed(*MODIFIER, type="lumi", name="scale"), "has no auxdata and sigmas"),
    "errors": (changed(*SIGNAL, "modifiers", 3, data=[0.1]), "has 1 bins, its sample 2"),
    "constraints": (
        changed(*MODIFIER, type="histosys", data={"hi_data": [2.1, 3.1], "lo_data": [1.9, 2.9]}),
        "modifier eff is gaussian and lognormal"),
    "two templates": (
        changed("channels", 0, "samples", 1, "modifiers", 1, type="histosys"), "has two histosys"),
    "negative error": (
        changed("channels", 0, "samples", 2, "modifiers", 0, data=[-0.5, 0.0]), "shapesys cr of sample fake"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_PYHF)
def test_a_damaged_workspace_of_pyhf_is_one_line(case, tmp_path):
    content, why = DAMAGED_PYHF[case]
    path = written(tmp_path, json.dumps(content))
    with pytest.raises(DataError) as error:
        model_from(path)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


DAMAGED_JSON = {
    "cut": (json.dumps(PYHF)[:500], "no JSON at line 1"),
    "NaN": (json.dumps(PYHF).replace("4.5", "NaN"), "NaN is no number of JSON"),
    "infinity": (json.dumps(PYHF).replace("4.5", "-Infinity"), "-Infinity is no number of JSON"),
    "twice": ('{"channels": 1, "channels": 2}', "channels is given twice"),
    "list": ("[1, 2]", "JSON but no object"),
    "other": ('{"a": 1}', "JSON of no counting model"),
    "deep": ('{"a":' + "[" * 100_000, "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_JSON)
def test_damaged_json_is_one_line(case, tmp_path):
    text, why = DAMAGED_JSON[case]
    with pytest.raises(DataError) as error:
        model_from(written(tmp_path, text))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_and_no_text_are_one_line(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        model_from(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"a folder\): give a file"):
        model_from(tmp_path)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(DataError, match="more than 50 MB"):
        model_from(large)


# There and back.

PLAIN = CountingModel(
    (
        Bin("S1_2017", "S1", "2017", 1, 0.07, 0.03, 0.2),
        Bin("S1_2018", "S1", "2018", 0, 0.12, 0.04, 0.3),
        Bin("S2_2018", "S2", "2018", 2, 0.53, 0.17, 0.5),
    ),
    signal_uncertainty=0.2,
)


def limit(model):
    return upper_limit(model, expected=False, checked=False).upper_limit


@pytest.mark.parametrize("form", ["datacard", "pyhf", "hs3", "workspace"])
@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("background_constraint", ["lognormal", "gaussian", "gamma"])
def test_export_and_back_is_the_same_limit(form, constraint, background_constraint, tmp_path):
    model = dataclasses.replace(PLAIN, constraint=constraint, background_constraint=background_constraint)
    if background_constraint == "gamma":  # whole auxiliary counts, not shared: what both formats can hold
        bins = [
            dataclasses.replace(b, signature=b.name, background_uncertainty=b.background / 2)
            for b in model.bins
        ]
        model = dataclasses.replace(model, bins=tuple(bins))
    name, write = export.FORMATS[form]
    write(model, tmp_path / name, "")
    found = model_from(tmp_path / name)
    assert (found.format, found.signal_events) == (form, pytest.approx(1.0))
    assert limit(found.model) == pytest.approx(limit(model), rel=1e-9)


@pytest.mark.parametrize("form", ["datacard", "pyhf", "hs3", "workspace"])
def test_a_background_of_nothing_shares_its_source(form, tmp_path):
    """Of a source one bin of which expects nothing, only events can be said, not a relative uncertainty."""
    bins = (Bin("a", "s", "", 1, 0.0, 0.3, 0.5), Bin("b", "s", "", 1, 0.4, 0.1, 0.5))
    name, write = export.FORMATS[form]
    write(CountingModel(bins), tmp_path / name, "")
    assert limit(model_from(tmp_path / name).model) == pytest.approx(limit(CountingModel(bins)), rel=1e-9)


@pytest.fixture(scope="module")
def hs3(tmp_path_factory):
    """As RooFit writes a workspace, not yet in the words of the standard."""
    path = tmp_path_factory.mktemp("hs3") / "hs3.json"
    model = dataclasses.replace(PLAIN, constraint="gaussian")
    with roofit.quiet():
        w = roofit.workspace(model, configurations=("signal_plus_background",))
        assert root().RooJSONFactoryWSTool(w).exportJSON(str(path))
    return json.loads(path.read_text())


def altered(content, key, name, **values):
    """An HS3 file with something else in one of its objects."""
    content = json.loads(json.dumps(content))
    item = next(x for x in content[key] if x["name"] == name)
    for place, value in values.items():
        if value is None:
            del item[place]
        else:
            item[place] = value
    return content


def other(key, name, **values):
    return lambda content: altered(content, key, name, **values)


def of_constraint(**values):
    return other("distributions", "constraint_eta_S1", **values)


def of_background(**values):
    return other("functions", "background_S1_2017", **values)


def of_scale(**values):
    return other("functions", "scale_signal", **values)


def of_rate(*summands):
    return other("functions", "rate_S1_2017", summands=list(summands))


def of_signal(*factors):
    return other("functions", "signal_S1_2017", factors=list(factors))


DAMAGED_HS3 = {
    "no analysis": (lambda c: c | {"analyses": []}, "no analysis"),
    "two of interest": (
        other("analyses", "model_observed", parameters_of_interest=["mu", "nu"]),
        "2 parameters of interest"),
    "no likelihood": (other("analyses", "model_observed", likelihood="x"), "no likelihood x"),
    "fewer data": (
        other("likelihoods", "model_observed", data=["observed_S1_2017"]), "3 distributions and 1 data"),
    "other data": (
        other("likelihoods", "model_observed", data=["x"] * 3), "which is not there"),
    "another data": (other("data", "observed_S1_2017", type="point"), "is of type point"),
    "histogram": (
        other("data", "observed_S1_2017", contents=[1, 2]), "has 2 bins (give each a channel"),
    "rows": (
        other("data", "observed_S1_2017", type="unbinned", entries=[[1], [2]]), "is not one row"),
    "half a count": (other("data", "observed_S1_2017", contents=[1.5]), "is not a whole number"),
    "lost factor": (
        other("distributions", "model_S1_2017", factors=["x"]), "names x, which is not there"),
    "nothing": (
        other("distributions", "model_S1_2017", factors=["constraint_eta_S1"]), "counts nothing"),
    "a shape": (other("distributions", "shape_S1_2017", type="gaussian_dist"), "has a shape"),
    "another": (
        of_constraint(type="lognormal_dist"), "is of type lognormal_dist"),
    "wide": (
        of_constraint(sigma=2.0), "is not one of mean zero and width one"),
    "no product": (
        of_constraint(type="poisson_dist"),
        "has a mean that is no constant times a parameter"),
    "no measurement": (
        of_background(x="eta"), "has no normal measurement"),
    "parabola": (
        of_background(coefficients=[1, 2, 3]), "is no straight line"),
    "no constant": (
        of_background(coefficients=["mu", 1]), "which is no constant"),
    "itself": (
        of_rate("rate_S1_2017"), "is a function of itself"),
    "free": (of_rate("x"), "follows x, which is no constant"),
    "twice": (
        of_signal("mu", "mu"), "has mu twice"),
    "two": (
        of_signal("eta_S1", "theta_signal"),
        "is a product of two parameters"),
    "slope": (
        of_signal("mu", "eta_S1"),
        "has a slope where nothing is expected"),
    "negative": (
        of_rate("signal_S1_2017", -0.5), "has a negative process"),
    "spline": (of_scale(type="spline"), "is of type spline"),
    "lists": (
        of_scale(type="interpolation0d", vars=["eta_S1"], nom=1.0,
                 high=[1.1, 1.2], low=[0.9], interpolationCodes=[4]), "lists of different lengths"),
    "code": (
        of_scale(type="interpolation0d", vars=["eta_S1"], nom=1.0,
                 high=[1.1], low=[0.8], interpolationCodes=[1]), "is interpolated by code 1"),
    "formula": (
        of_scale(type="generic_function", expression="exp(eta_S1)"),
        "is the formula exp(eta_S1)"),
    "no value": (
        other("parameter_points", "default_values", parameters=[{"name": "mu"}]), "has no value"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_HS3)
def test_a_damaged_hs3_file_is_one_line(case, hs3, tmp_path):
    change, why = DAMAGED_HS3[case]
    with pytest.raises(DataError) as error:
        model_from(written(tmp_path, json.dumps(change(hs3))))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_file_of_root_is_one_line(tmp_path):
    path = tmp_path / "workspace.root"
    export.write_workspace(PLAIN, path)
    cut = written(tmp_path, path.read_bytes()[:3000], "cut.root")
    with pytest.raises(DataError, match="no file of ROOT, or one that was cut"):
        model_from(cut)
    with pytest.raises(DataError, match="no file of ROOT, or one that was cut"):
        model_from(written(tmp_path, "root is what begins like this", "text.root"))


def run(*arguments):
    return commands.run("limit", *arguments)


FLAGS = ["--observed", "1,2", "--background", "0.19,0.53", "--background-uncertainty", "0.07,0.17"]


def test_a_workspace_of_another_kind_is_one_line(tmp_path, capsys):
    """RooFit's writer of HS3 ends the process on one whose model has one channel only."""
    workspace = root().RooWorkspace("na64root")
    workspace.factory("Poisson::counts(n[3,0,100],sum::rate(mu[1,0,50],background[1]))")
    config = root().RooStats.ModelConfig("theirs", workspace)
    config.SetPdf("counts")
    config.SetParametersOfInterest("mu")
    config.SetObservables("n")
    getattr(workspace, "import")(config)
    workspace.writeToFile(str(tmp_path / "theirs.root"))
    capsys.readouterr()  # of RooFit
    assert commands.run("export", "--from", str(tmp_path / "theirs.root"), "-o", str(tmp_path / "to")) == (
        2,
        "",
    )
    assert capsys.readouterr().err.splitlines() == [
        f"na64root: cannot use {tmp_path}/theirs.root (a workspace whose model theirs is no RooSimultaneous "
        "of counting channels): give one of `na64root export`, or HS3"
    ]
    assert not (tmp_path / "to").exists()


def test_the_verb_reads_what_the_verb_wrote(tmp_path):
    assert commands.run("export", *FLAGS, "--format", "datacard", "-o", str(tmp_path))[0] == 0
    _, direct = run(*FLAGS, "--json")
    for name, form in (("export.json", "na64root"), ("datacard.txt", "datacard")):
        code, text = run("--from", str(tmp_path / name), "--json")
        assert code == 0
        found, reference = json.loads(text), json.loads(direct)
        assert found["upper_limit"] == pytest.approx(reference["upper_limit"], rel=1e-9)
        assert found["discovery"]["p_value"] == pytest.approx(reference["discovery"]["p_value"], rel=1e-6)
        assert found["model_file"]["format"] == form
        assert found["model_file"]["upper_limit"] == pytest.approx(found["upper_limit"])


def test_the_limit_on_the_strength_is_over_the_expected_signal(tmp_path):
    path = written(tmp_path, CARD)
    code, text = run("--from", str(path), "--treatment", "none", "--json")
    assert code == 0
    found = json.loads(text)
    of = found["model_file"]
    assert of["upper_limit"] == pytest.approx(found["upper_limit"] / 5.1)
    assert of["expected"]["median"] == pytest.approx(found["expected"]["median"] / 5.1)
    code, shown = run("--from", str(path), "--treatment", "none")
    assert "limit on the strength in" in shown


@pytest.mark.filterwarnings("default:no p-value:UserWarning")
def test_toys_are_named_where_they_set_the_limit(tmp_path, capsys, caplog):
    """CARD has a source that acts on a part of a bin."""
    caplog.set_level("INFO")
    code, text = run("--from", str(written(tmp_path, CARD)), "--json")
    assert code == 0
    assert (json.loads(text)["method"], json.loads(text)["treatment"]) == ("toys", "frequentist")
    told = capsys.readouterr().err
    assert "no p-value and no two-sided interval (source lumi acts differently on the processes of A)" in told
    assert "source lumi acts differently on the processes of A: the limit is that of toys" in caplog.text


def test_a_fit_reads_what_a_limit_reads(tmp_path, capsys):
    path = str(written(tmp_path, CARD))
    code, text = commands.run("fit", "--from", path, "--do", "fit", "--treatment", "hybrid", "--json")
    assert code == 0
    found = json.loads(text)
    assert [p["name"] for p in found["fit"]["parameters"]] == [
        f"alpha_{name}" for name in ("lumi", "eff", "xs", "cr")
    ]
    of = found["model_file"]
    assert (of["path"], of["format"], of["signal_events"]) == (path, "datacard", 5.1)
    assert of["upper_limit"] == pytest.approx(found["limit"]["upper_limit"] / 5.1)
    capsys.readouterr()
    for option in (("--observed", "0"), ("--mass-GeV", "0.1", "--epsilon", "1e-3")):
        assert commands.run("fit", "--from", path, *option) == (2, "")
        assert f"{option[0]} beside --from {path} (two counting models)" in capsys.readouterr().err


def test_a_blinded_file_has_no_fit(tmp_path, capsys):
    path = hidden(tmp_path)[-1]
    folder = tmp_path / "fit"
    assert commands.run("fit", "--from", str(path), "-o", str(folder)) == (2, "")
    told = capsys.readouterr().err
    assert f"no fit of {path} (it is blinded, and has no observed counts)" in told
    assert "77" not in re_numbers(told)
    assert not folder.exists()


def test_options_beside_a_file_are_refused(tmp_path, capsys):
    path = str(written(tmp_path, CARD))
    for option, value in (("--observed", "0"), ("--background", "1"), ("--background-uncertainty", "1"),
                          ("--signal-fraction", "1"), ("--signal-uncertainty", "0.1"),
                          ("--constraint", "lognormal")):  # fmt: skip
        assert run("--from", path, option, value) == (2, "")
        assert f"{option} beside --from {path} (two counting models)" in capsys.readouterr().err


def hidden(tmp_path):
    """An export of PLAIN as if it were blinded, with its true counts left in."""
    comment = "Nothing is observed (blinded): the most probable counts without signal stand in."
    bins = [dataclasses.replace(b, observed=77) for b in PLAIN.bins]
    model = dataclasses.replace(PLAIN, bins=tuple(bins))
    paths = []
    for form in ("datacard", "pyhf", "hs3", "workspace"):
        name, write = export.FORMATS[form]
        write(model, tmp_path / name, comment)
        paths.append(tmp_path / name)
    record = {
        "counts": [dataclasses.asdict(b) for b in bins],
        "signal_uncertainty": 0.2,
        "constraint": "lognormal",
    }
    return [*paths, written(tmp_path, json.dumps(record | {"blind": True}), "export.json")]


def test_a_blinded_model_stays_blinded(tmp_path, capsys):
    for path in hidden(tmp_path):
        code, text = run("--from", str(path), "--json", "-o", str(tmp_path / f"of {path.name}"))
        assert code == 0
        found = json.loads(text)
        assert found["blind"]
        assert (found["upper_limit"], found["model_file"]["upper_limit"], found["discovery"]) == (None,) * 3
        assert found["expected"]["median"] > 2.0
        assert "77" not in re_numbers(text) | re_numbers(capsys.readouterr().err)
        remembered = (tmp_path / f"of {path.name}" / "blinding.jsonl").read_text()
        assert json.loads(remembered)["blind"]
        code, shown = run("--from", str(path))
        assert "Blinded" in shown
        assert "77" not in re_numbers(shown)
    assert run("--from", str(path), "--diagnostics", "-o", str(tmp_path / "figures")) == (2, "")
    assert "--diagnostics of a blinded model" in capsys.readouterr().err


def re_numbers(text):
    return set(text.replace(",", " ").replace(":", " ").split())


def test_a_relative_uncertainty_in_per_cent_is_asked_about(capsys):
    assert run("--observed", "0", "--background", "0.5", "--signal-uncertainty", "20") == (2, "")
    assert "per cent meant" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run("--observed", "0", "--background", "1", "--background-uncertainty", "20")[0] == 0
    assert "is 20 times its background (absolute, in events; was per cent" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="was per cent meant"):
        NamedSource("x", "lognormal", (Effect("a", "signal", 20.0),))


# Named sources in every format.

NAMED = CountingModel(
    (
        Bin("a", "a", "", 1, 0.9, 0.0, 0.4, background_processes={"x": 0.5, "y": 0.4}),
        Bin("a_2", "a_2", "", 2, 0.5, 0.0, 0.6),
    ),
    named_sources=(
        NamedSource("scale", "lognormal", (Effect("a", "signal", 1.1), Effect("a_2", "signal", 1.2))),
        NamedSource("common", "lognormal", (Effect("a", "signal", 1.05), Effect("a", "x", 0.9))),
        NamedSource(
            "sides", "lognormal", (Effect("a", "x", 1.3, 0.9), Effect("a_2", "background", 1.2, 0.7))
        ),
        NamedSource("count", "gamma", (Effect("a", "y", 0.1),), count=4),
        NamedSource("line", "gaussian", (Effect("a_2", "background", 1.3),)),
        NamedSource("falling", "gaussian", (Effect("a", "signal", 0.8),)),
    ),
)


def rates(model, random):
    """Expected events at the same pulls, whatever the order of the parameters."""
    core, known = own_toys.filled_core(model), own_toys.likelihood(model, "frequentist")
    pulls = {
        name: random.uniform(0.5, 1.5) if name == "count" else random.normal()
        for name in sorted(source.name for source in model.named_sources)
    }
    x = [pulls[n.name.removeprefix("alpha_")] for n in known.nuisances]
    return [core.rate(i, 3.0, x) for i in range(len(model.bins))]


@pytest.mark.parametrize("form", ["datacard", "pyhf", "hs3", "workspace"])
def test_named_sources_come_back(form, tmp_path):
    model = NAMED
    if form == "pyhf":  # it joins the sides as HistFactory
        joined = [dataclasses.replace(s, interpolation="histfactory") for s in NAMED.named_sources]
        model = dataclasses.replace(NAMED, named_sources=tuple(joined))
    name, write = export.FORMATS[form]
    write(model, tmp_path / name, "")
    found = model_from(tmp_path / name)
    assert [b.observed for b in found.model.bins] == [1, 2]
    assert sorted(s.name for s in found.model.named_sources) == sorted(s.name for s in NAMED.named_sources)
    for seed in range(10):
        back, there = (rates(m, np.random.default_rng(seed)) for m in (found.model, model))
        assert back == pytest.approx(there, rel=1e-9)


def test_what_a_format_joins_otherwise_is_said(tmp_path):
    path = written(tmp_path, json.dumps(record_of(NAMED).model_dump()), "export.json")
    code, text = commands.run("export", "--from", str(path), "-o", str(tmp_path / "all"), "--json")
    assert code == 0
    told = "Approximation: the two sides of sides are joined within one standard deviation, as pyhf does"
    assert [note for note in json.loads(text)["notes"] if note.startswith(told)]
    assert told in json.loads((tmp_path / "all" / "pyhf.json").read_text())["measurements"][0]["name"]
    assert "Approximation" not in (tmp_path / "all" / "datacard.txt").read_text()
    pyhf_model = model_from(tmp_path / "all" / "pyhf.json").model
    assert "# Approximation: the two sides of sides" in export.datacard(pyhf_model)


def test_export_of_a_blinded_model_stays_blinded(tmp_path):
    path = hidden(tmp_path)[0]
    code, text = commands.run("export", "--from", str(path), "-o", str(tmp_path / "again"), "--json")
    assert code == 0
    assert json.loads(text)["blind"]
    for name in ("export.json", "datacard.txt", "pyhf.json", "hs3.json", "workspace.root"):
        assert model_from(tmp_path / "again" / name).blind


def test_results_of_an_analysis_hold_its_model(tmp_path):
    model = record_of(PLAIN).model_dump()
    results = {"cutflow": [], "counting_model": model, "blind": False, "expected": []}
    found = model_from(written(tmp_path, json.dumps(results), "results.json"))
    assert (found.format, found.model, found.blind) == ("na64root", PLAIN, False)
    for nothing in ({"blind": True}, {"expected": [{"signature": "S1"}]}):
        assert model_from(written(tmp_path, json.dumps(results | nothing), "results.json")).blind
    with pytest.raises(DataError, match="results without a counting model"):
        model_from(written(tmp_path, json.dumps(results | {"counting_model": None}), "results.json"))


def test_diagnostics_of_a_model_that_the_exact_engine_cannot_hold_are_refused(tmp_path, capsys):
    path = str(written(tmp_path, CARD))
    assert run("--from", path, "--diagnostics", "-o", str(tmp_path / "figures")) == (2, "")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "na64root: no diagnostics (source lumi acts differently on the processes of A; they are the exact "
        "engine's): leave them out, `na64root fit` shows impacts and scans"
    )


def of_sources(*sources):
    return dataclasses.replace(NAMED, named_sources=sources)


CANNOT_HOLD = {
    "is gaussian with two sides": (
        export.datacard, of_sources(NamedSource("s", "gaussian", (Effect("a", "x", 1.3, 0.9),)))),
    "has auxiliary count 2.5": (
        export.datacard, of_sources(NamedSource("s", "gamma", (Effect("a", "y", 0.16),), count=2.5))),
    "is signal in one bin and background in another": (
        export.datacard, CountingModel((
            Bin("a", "a", "", 1, 0.9, 0.0, 0.4, background_processes={"x": 0.9}),
            Bin("b", "b", "", 1, 0.9, 0.0, 0.4, signal_processes={"x": 0.4})))),
    "two gaussian uncertainties of x in a": (
        export.pyhf_specification, of_sources(*(
            NamedSource(name, "gaussian", (Effect("a", "x", 1.3),)) for name in ("s", "t")))),
    "the count of source s is of no event or several processes": (
        export.pyhf_specification, of_sources(
            NamedSource("s", "gamma", (Effect("a", "y", 0.1), Effect("a", "x", 0.125)), count=4))),
}  # fmt: skip


@pytest.mark.parametrize("why", CANNOT_HOLD)
def test_what_a_format_cannot_hold_is_refused(why):
    write, model = CANNOT_HOLD[why]
    with pytest.raises(ConfigError, match=why):
        write(model)


def refused_by_combine(text):
    """What Combine's parser and text2workspace would refuse, by the rules of its manual (independent)."""
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] not in "#-"]
    head = {line[0]: line[1:] for line in lines if line[0] in ("imax", "jmax", "kmax", "observation", "rate")}
    bins, columns = (line[1:] for line in lines if line[0] == "bin")
    names, numbers = (line[1:] for line in lines if line[0] == "process")
    rates = [float(x) for x in head["rate"]]
    if not int(head["imax"][0]) == len(bins) == len(head["observation"]):
        return "imax"
    processes = set(zip(names, numbers, strict=True))
    if not int(head["jmax"][0]) + 1 == len(processes) == len(set(names)) == len(set(numbers)):
        return "jmax"
    if len({len(columns), len(names), len(numbers), len(rates)}) > 1 or set(columns) != set(bins):
        return "columns"
    for b in bins:
        own = [(int(n), r) for c, n, r in zip(columns, numbers, rates, strict=True) if c == b]
        if not any(n > 0 and r > 0.0 for n, r in own):
            return f"Bin {b} has no background processes contributing to it"
        if not any(n <= 0 for n, _ in own):
            return f"Bin {b} has no signal"
    given = {line[0] for line in lines if len(line) > 1 and line[1] == "param"}
    for line in (line for line in lines if line[0] not in (*head, "bin", "process")):
        name, kind, *rest = line
        if not re.fullmatch(r"[A-Za-z]\w*", name):
            return f"name {name}"
        if kind == "lnN" and len(rest) == len(rates):
            factors = [float(x) for entry in rest if entry != "-" for x in entry.split("/")]
            if factors and min(factors) > 0.0:
                continue
        if kind == "gmN" and rest[0].isdigit() and len(rest) == len(rates) + 1:
            alphas = [(float(x), r) for x, r in zip(rest[1:], rates, strict=True) if x != "-"]
            if all(abs(x * int(rest[0]) - r) < 1e-6 * r + 2e-6 for x, r in alphas):
                continue
        if kind == "param" and [float(x) for x in rest[:2]] == [0.0, 1.0]:
            low, high = json.loads(rest[2])
            if low <= 0.0 < high:
                continue
        places = kind == "rateParam" and len(rest) == 4 and rest[0] in (*bins, "*") and rest[1] in names
        if places and re.fullmatch(r"[-+.()*@\de]+", rest[2]) and rest[3] in given:
            continue
        return " ".join(line)
    return None


NOTHING_EXPECTED = (Bin("a", "a", "", 0, 0.0, 0.0, 0.5), Bin("b 2", "b", "", 1, 0.4, 0.2, 0.5))
IN_A_CARD = {
    "plain": PLAIN,
    "gaussian signal": dataclasses.replace(PLAIN, constraint="gaussian"),
    "log-normal": dataclasses.replace(PLAIN, background_constraint="lognormal"),
    "own": dataclasses.replace(
        PLAIN, signal_uncertainty=0.0, signal_sources={"mc": SignalSource(0.1, "none")}
    ),
    "nothing expected": CountingModel(NOTHING_EXPECTED),
    "nothing expected, uncertain": CountingModel(
        (dataclasses.replace(NOTHING_EXPECTED[0], background_uncertainty=0.3), NOTHING_EXPECTED[1])
    ),
    "named": NAMED,
    "empty control region": CountingModel(
        NOTHING_EXPECTED, named_sources=(NamedSource("cr", "gamma", (Effect("a", "background", 0.7),)),)
    ),
}


@pytest.mark.parametrize("case", IN_A_CARD)
def test_every_datacard_is_one_to_combine(case, tmp_path):
    text = export.datacard(IN_A_CARD[case])
    assert refused_by_combine(text) is None
    found = model_from(written(tmp_path, text)).model
    assert refused_by_combine(export.datacard(found)) is None  # and again


def test_the_rules_of_combine_find_what_is_wrong():
    text = export.datacard(CountingModel(NOTHING_EXPECTED))
    assert "Bin a has no background" in refused_by_combine(text.replace("1e-06", "0"))
    assert refused_by_combine(text.replace("imax 2", "imax 3")) == "imax"
    assert refused_by_combine(text.replace("jmax 1", "jmax 2")) == "jmax"
    assert "lnN" in refused_by_combine(text + "x lnN 1.1 -\n")


def test_a_bin_without_background_has_the_same_limit(tmp_path):
    """A millionth of an event moves the limit by as much, relative."""
    model = CountingModel(NOTHING_EXPECTED)
    found = model_from(written(tmp_path, export.datacard(model))).model
    assert limit(found) == pytest.approx(limit(model), rel=1e-5)


def test_an_empty_control_region_has_a_rate_in_a_datacard(tmp_path):
    bins = (Bin("a", "a", "", 0, 0.0, 0.0, 1.0),)
    model = CountingModel(
        bins, named_sources=(NamedSource("cr", "gamma", (Effect("a", "background", 0.7),)),)
    )
    path = written(tmp_path, export.datacard(model))
    assert "rate 1 1e-06" in path.read_text()
    assert model_from(path).model.named_sources == model.named_sources


NO_SOURCES = {
    "has shape": ("x", "flat", (Effect("a", "signal", 1.1),), {}),
    "has interpolation": ("x", "lognormal", (Effect("a", "signal", 1.1),), {"interpolation": "none"}),
    "has the auxiliary count": ("x", "gamma", (Effect("a", "signal", 1.1),), {"count": -1.0}),
    "has no effects": ("x", "lognormal", (), {}),
    "has two effects on signal of a": ("x", "lognormal", (Effect("a", "signal", 1.1),) * 2, {}),
    "must be a finite factor": ("x", "lognormal", (Effect("a", "signal", float("nan")),), {}),
    "has no event for one of its auxiliary count": ("x", "gamma", (Effect("a", "signal", 0.0),), {}),
}


@pytest.mark.parametrize("why", NO_SOURCES)
def test_sources_that_are_none(why):
    name, shape, effects, options = NO_SOURCES[why]
    with pytest.raises(ConfigError, match=why):
        NamedSource(name, shape, effects, **options)


def test_sources_and_processes_have_to_be_those_of_the_model():
    bins = (Bin("a", "a", "", 0, 1.0, 0.0, 1.0),)
    for effect, why in (
        (Effect("b", "signal", 1.1), "no such bin"),
        (Effect("a", "x", 1.1), "no such process"),
    ):
        with pytest.raises(ConfigError, match=why):
            CountingModel(bins, named_sources=(NamedSource("s", "lognormal", (effect,)),))
    with pytest.raises(ConfigError, match="add up to 0.5, not to 1"):
        CountingModel((dataclasses.replace(bins[0], background_processes={"x": 0.5}),))
    both = dataclasses.replace(bins[0], background_processes={"x": 1.0}, signal_processes={"x": 1.0})
    with pytest.raises(ConfigError, match="x is signal and background of a"):
        CountingModel((both,))
    parts = {"x": 0.5, "y": 0.5}
    which = dataclasses.replace(bins[0], background_processes=parts, background_uncertainty=0.1)
    with pytest.raises(ConfigError, match="several background processes and one background uncertainty"):
        CountingModel((which,))
    twins = tuple(NamedSource(name, "lognormal", (Effect("a", "signal", 1.1),)) for name in ("s 1", "s_1"))
    with pytest.raises(ConfigError, match="has the name of another but for punctuation"):
        own_toys.filled_core(CountingModel(bins, named_sources=twins))


def test_a_record_of_another_model_is_one_line(tmp_path):
    record = {"counts": [{"name": "a"}], "signal_uncertainty": 0.2, "constraint": "lognormal"}
    with pytest.raises(DataError, match=r"counts.0.*Field required|counts.0.signature"):
        model_from(written(tmp_path, json.dumps(record)))
