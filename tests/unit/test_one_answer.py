"""One question has one answer: every verb starts from one counting model, and says what it used.

References: the program itself by another verb, and the model of the plane of `analyze` (self); that the
numbers are right is proven in tests/validation.
"""

from __future__ import annotations

import functools
import io
import json

import pytest

from na64root import cli, theory
from na64root.analyze import counting_model
from na64root.analyze.models import model_on_g2_line
from na64root.cli.verb import application
from na64root.config import load_card
from na64root.exclusion import Exclusion, planes
from na64root.limits import CountingModel, upper_limit
from na64root.limits.side_by_side import limits_side_by_side
from na64root.signal import card_counts
from na64root.work import Work

SEEN = ["limit.S1.observed=1", "plane.mass_points=4", "plane.epsilon_points=6"]
SET = [argument for value in SEEN for argument in ("--set", value)]


def run(*arguments: str) -> dict:
    stdout = io.StringIO()
    assert cli.run([*arguments, "--json"], stdout) == 0
    return json.loads(stdout.getvalue())


@pytest.fixture(scope="module")
def of_card():
    """The model that analyze sets its limit with for these counts: from its plane."""
    card = load_card(overrides=SEEN)
    area = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    end = planes.plane_of(area, "mass-epsilon").g2_excluded_up_to_GeV
    assert end is not None
    return card, end, model_on_g2_line(area, end)[0]


def test_limit_explain_export_and_analyze_have_one_model_and_one_number(of_card, tmp_path):
    card, end, model = of_card
    assert counting_model((), card)[0] == model
    number = upper_limit(model).upper_limit
    limit = run("limit", *SET)
    assert limit["upper_limit"] == number
    epsilon = float(theory.epsilon_g2(end, card.muon_g2.central.value))
    explained = run("explain", *SET, "--mass-GeV", repr(end), "--epsilon", repr(epsilon))
    assert explained["upper_limit"] == explained["quoted"]["upper_limit"] == pytest.approx(number, rel=1e-9)
    exported = run("export", *SET, "--format", "pyhf", "-o", str(tmp_path))
    assert exported["signal_uncertainty"] == model.signal_uncertainty == pytest.approx(0.2, rel=1e-4)
    assert [b["signal_fraction"] for b in exported["counts"]] == [b.signal_fraction for b in model.bins]


def test_options_that_describe_counts_mean_the_same_to_limit_and_export(tmp_path):
    flags = ["--observed", "1,0", "--background", "0.2,0.5"]
    run("limit", *flags)
    exported = run("export", *flags, "--format", "datacard", "-o", str(tmp_path))
    assert exported["signal_uncertainty"] == 0.0
    assert [b["signal_fraction"] for b in exported["counts"]] == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_are_one_model_to_export_limit_and_fit(few_pseudodata, tmp_path, capsys):
    """The counts of one experiment of pseudo-data, its exposure that of one period."""
    given = [few_pseudodata, *SET[2:], "--eot", "2018=1.87e11"]
    run("export", *given, "--format", "pyhf", "-o", str(tmp_path / "export"))
    of_file = ["--from", str(tmp_path / "export" / "export.json")]
    by_file, limit = run("limit", *of_file), run("limit", *given)
    assert limit["upper_limit"] == pytest.approx(by_file["upper_limit"], rel=1e-9)
    assert limit["discovery"] == by_file["discovery"]
    assert [f["path"] for f in limit["provenance"]["input_files"]] == [few_pseudodata]
    fitted = run("fit", *given, "--do", "fit")
    assert fitted["limit"]["upper_limit"] == limit["upper_limit"]
    blind = run("limit", *given, "--blind")
    assert (blind["blind"], blind["upper_limit"], blind["discovery"]) == (True, None, None)
    assert blind["expected"]["median"] > 0.0
    weighted = str(tmp_path / "mc.root")
    run("simulate", "background", "--eot", "2018=1e8", "-o", weighted)
    simulated = run("limit", weighted, *SET[2:], "--eot", "2018=1.87e11", "-o", str(tmp_path / "new"))
    assert (simulated["blind"], simulated["upper_limit"], simulated["discovery"]) == (False, None, None)
    assert not (tmp_path / "new" / "blinding.jsonl").exists()
    capsys.readouterr()
    for refused, why in (
        (["limit", *given, "--observed", "0"], "--observed beside FILES (two counting models)"),
        (["limit", *given, *of_file], "--from beside FILES (two counting models)"),
        (["fit", *given, "--mass-GeV", "0.1", "--epsilon", "1e-3"], "--mass-GeV beside FILES"),
        (["limit", "--blind"], "--blind without FILES"),
    ):
        assert cli.run(refused, io.StringIO()) == 2
        assert why in capsys.readouterr().err


def test_what_is_given_beside_the_card_replaces_that_alone():
    shares = ["--signal-fraction", "0.3,0.7"]
    card = load_card(overrides=SEEN)
    expected = CountingModel.from_lists(
        observed=[1, 0],
        background=[0.19, 0.53],
        background_uncertainty=[0.0, 0.1],
        signal_fraction=[0.3, 0.7],
        signal_uncertainty=0.1,
    )
    found = run(*["limit", *SET, *shares, "--background-uncertainty", "0,0.1", "--signal-uncertainty", "0.1"])
    assert found["upper_limit"] == upper_limit(expected, expected=False).upper_limit
    assert found["cl"] == card.limit.confidence_level.value


# The verbs on which an option of the card has its own flag: wherever what it says is used.
WITH_LIMIT = {"analyze", "explain", "limit", "fit", "coupling", "scan", "plan"}
WITH_CONSTRAINT = {*WITH_LIMIT, "export"}
WITH_MODEL = {*WITH_CONSTRAINT, "acceptance", "simulate signal"}
WITH_EOT = WITH_MODEL - {"plan"}
MODEL = {"--alpha-dark", "--mass-ratio", "--relative-splitting", "--beam-energy-GeV", "--material"}
LIMIT = {"--cl", "--treatment", "--constraint"}


@pytest.mark.parametrize("verb", sorted(WITH_MODEL))
def test_verbs_share_their_options(verb):
    """The same flags with the same help."""

    def options(verb: str) -> dict[str, str | None]:
        command = functools.reduce(lambda group, name: group.commands[name], verb.split(), application)
        return {p.opts[0]: getattr(p, "help", None) for p in command.params}

    reference, found = options("limit"), options(verb)
    wanted = MODEL | (LIMIT if verb in WITH_LIMIT else {"--constraint"} if verb in WITH_CONSTRAINT else set())
    assert {flag: found.get(flag) for flag in wanted} == {flag: reference[flag] for flag in wanted}
    assert ("--eot" in found) == (verb in WITH_EOT)


def test_options_of_the_card_reach_it():
    """Each flag is the card's value, marked as the user's: the same result and the same card."""
    flags = ["--alpha-dark", "0.2", "--treatment", "hybrid", "--cl", "0.95", "--constraint", "gaussian"]
    values = [
        *["model.alpha_dark=0.2", "limit.treatment=hybrid", "limit.confidence_level=0.95"],
        "limit.constraint=gaussian",
    ]
    by_flags = run("limit", *SET, *flags)
    by_values = run("limit", *SET, *(a for value in values for a in ("--set", value)))
    assert by_flags["upper_limit"] == by_values["upper_limit"]
    assert by_flags["provenance"]["card_sha256"] == by_values["provenance"]["card_sha256"]
    assert (by_flags["treatment"], by_flags["cl"]) == ("hybrid", 0.95)


def test_the_treatment_that_is_named_is_the_one_that_was_used(recwarn):
    """The asymptotic formulae fit nuisance parameters and know no prior."""
    model = CountingModel.from_lists(
        observed=[20], background=[15.0], background_uncertainty=[5.0], signal_fraction=[1.0]
    )
    named = {t: upper_limit(model, method="asymptotic", treatment=t) for t in ("frequentist", "hybrid")}
    assert named["hybrid"] == named["frequentist"]
    assert named["hybrid"].treatment == "frequentist"


def test_the_quoted_limit_is_the_exact_one_and_roostats_is_beside_it(of_card):
    """RooStats within four of its toy errors: 6e-5 false alarms, and none with this seed."""
    card, _, model = of_card
    told: list[tuple[int, int]] = []
    work = Work(seed=3, progress=lambda what: lambda done, total: told.append((done, total)))
    found = limits_side_by_side(model, card, work=work)
    # how far the toys are, and at the end that they are done
    assert told[-1][0] == told[-1][1] > 0
    assert all(done < total for done, total in told[:-1])
    assert [done for done, _ in told[:-1]] == sorted(done for done, _ in told[:-1])
    assert found.quoted.upper_limit == found.exact["frequentist"].upper_limit
    assert (found.quoted.method, found.quoted.treatment) == ("exact", "frequentist")
    assert abs(found.roostats.upper_limit - found.quoted.upper_limit) < 4.0 * found.roostats.upper_limit_error
    # those without signal, of both
    exact = found.exact["frequentist"].expected
    for name in ("minus1", "median", "plus1"):
        assert getattr(found.roostats.expected, name) == pytest.approx(getattr(exact, name), rel=0.1)
