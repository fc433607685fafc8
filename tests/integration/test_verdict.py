"""One call from a model to a verdict: points, HepMC3 and Les Houches events, and files that are none of
these.

References: `explain` (self), the semi-analytic chain against generated events (two ways of the same physics).
"""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

import na64root
from na64root.config import changed_card, load_card
from na64root.errors import ConfigError, DataError
from na64root.exclusion.explain import explain
from na64root.signal import Parameters, SignalModel
from na64root.verdicts import Point, verdict
from support.commands import run

pyhepmc = pytest.importorskip("pyhepmc")
pytest.importorskip("pylhe")

MASS, EPSILON = 0.39, 6e-3
CARD = load_card()
CHI1, CHI2 = MASS / 3.0, 1.4 * MASS / 3.0
ELECTRON = 0.51099895e-3


def test_a_point_is_what_explain_tells():
    found = na64root.verdict(na64root.Point(MASS, EPSILON), CARD)
    told = explain(CARD, mass_GeV=MASS, epsilon=EPSILON)
    assert found.s1.expected == pytest.approx(told.n_signal.s1, rel=1e-12)
    assert found.s2.expected == pytest.approx(told.n_signal.s2, rel=1e-12)
    assert found.upper_limit == told.upper_limit
    assert found.cls == pytest.approx(told.cls, rel=1e-9)
    assert found.excluded == told.excluded
    assert found.total.statistical == 0.0
    sources = [q.value for q in CARD.limit.signal_uncertainties.values() if q.correlation == "all"]
    assert found.total.systematic == pytest.approx(found.total.expected * np.hypot.reduce(sources))
    for signature, steps in found.steps.items():
        assert steps[-1].events == pytest.approx(getattr(found, signature.lower()).expected, rel=1e-9)
    weak = verdict(Point(MASS, 1e-5))
    assert not weak.excluded
    assert "production decides" in weak.why


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Events of `simulate signal`, for half the exposure of the card."""
    folder = tmp_path_factory.mktemp("generated")
    path = folder / "signal.hepmc3.gz"
    half = [f"--eot={p.name}={0.5 * p.eot.value}" for p in CARD.periods]
    point = ("--mass-GeV", str(MASS), "--epsilon", str(EPSILON))
    output = ("-o", str(folder / "signal.root"), "--hepmc", str(path))
    assert run("simulate", "signal", *point, "-n", "4000", *half, *output, "-j", "1")[0] == 0
    return path


def test_generated_events_agree_with_their_point(generated):
    """Within 4 standard errors, of S1 and S2: chance does otherwise in 1e-4 of seeds. Weights are scaled
    to the
    exposure of the card, and S2 counts decays behind HCAL3 alone."""
    found, point = verdict(generated), verdict(Point(MASS, EPSILON))
    for name in ("s1", "s2"):
        one, other = getattr(found, name), getattr(point, name)
        assert 0.0 < one.statistical < 0.2 * one.expected
        assert abs(one.expected - other.expected) < 4.0 * one.statistical
    assert found.events.events == 4000
    assert sum(found.events.decays.values()) == 4000
    # The statistical error of the events is in the limit.
    assert found.upper_limit != point.upper_limit
    again = verdict(generated, produced=1e3)
    assert again.s2.expected / again.s1.expected == pytest.approx(found.s2.expected / found.s1.expected)


def test_cuts_on_the_electron_are_a_step_where_the_residual_efficiency_is_without_them(generated):
    """The same factor on file and point, that of the chain at this mass (self)."""
    rest = changed_card(CARD, {"signal.residual": "rest"})
    kept = SignalModel(rest).at_mass(MASS).electrons_kept
    assert 0.0 < kept < 0.99
    for what in (generated, Point(MASS, EPSILON)):
        total, found = verdict(what, CARD), verdict(what, rest)
        for name in ("s1", "s2"):
            one, other = getattr(found, name), getattr(total, name)
            assert one.expected == pytest.approx(kept * other.expected, rel=1e-9)
            assert one.statistical == pytest.approx(kept * other.statistical, rel=1e-9)
            assert found.steps[name.upper()][-1].step == "electron"
            assert found.steps[name.upper()][-1].events == pytest.approx(one.expected, rel=1e-9)


def boost(energy, mass):
    return energy, (0.0, 0.0, float(np.sqrt(energy**2 - mass**2)))


def hepmc_event(
    *, weights=(0.5,), aprimes=1, chi2s=1, visible=0, deeper=False, mass=MASS, stated=None, energy=80.0
):
    """An A' of 80 GeV: chi2 decays 4 m behind the front, or what the options say."""
    event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)

    def particle(number, energy, m, status=2, says=None):
        e, p = boost(energy, m)
        made = pyhepmc.GenParticle((*p, e), number, status)
        made.generated_mass = m if says is None else says
        return made

    def vertex(z, incoming, *outgoing):
        made = pyhepmc.GenVertex((0.0, 0.0, z, z))
        made.add_particle_in(incoming)
        for one in outgoing:
            made.add_particle_out(one)
        event.add_vertex(made)

    produced = [particle(55, energy, mass, says=stated) for _ in range(aprimes)]
    vertex(100.0, particle(11, 100.0, ELECTRON, 4), *(produced or [particle(22, 100.0, 0.0, 1)]))
    for aprime in produced:
        if visible:
            vertex(110.0, aprime, *(particle(sign * visible, 40.0, 0.10566, 1) for sign in (1, -1)))
            continue
        ends = [particle(58, 40.0, CHI2) for _ in range(chi2s)]
        vertex(100.0, aprime, *(particle(52, 30.0, CHI1, 1) for _ in range(2 - chi2s)), *ends)
        for chi2 in ends:
            pair = [particle(11, 15.0, ELECTRON, 1), particle(-11, 15.0, ELECTRON, 1)]
            other = particle(52, 10.0, CHI1, 1)
            if deeper:
                middle = particle(999, 30.0, 0.01)
                vertex(4000.0, chi2, other, middle)
                vertex(4001.0, middle, *pair)
            else:
                vertex(4000.0, chi2, other, *pair)
    event.weights = list(weights)
    return event


def hepmc_file(path, *events, names=("mcWeight",), attributes=None):
    run_info = pyhepmc.GenRunInfo()
    run_info.attributes = attributes or {}
    run_info.weight_names = list(names)
    with pyhepmc.open(path, "w") as file:
        for event in events:
            event.run_info = run_info
            file.write(event)
    return path


def test_what_an_event_is_worth(tmp_path):
    """By hand: 80 GeV, decay at 4 m in HCAL3, a pair of 30 GeV: S1, times the card's efficiency of the R "
    "cut."""
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), hepmc_event(weights=(0.25,)))
    found = verdict(path)
    assert found.s1.expected == pytest.approx(0.75 * CARD.signal.r_efficiency.value, rel=1e-12)
    assert found.s1.statistical == pytest.approx(np.hypot(0.5, 0.25) * CARD.signal.r_efficiency.value)
    assert found.s2.expected == 0.0
    assert not found.excluded
    # Of 100 A' in the exposure half pass the residual efficiency; weights are shares of them.
    shared = verdict(path, produced=100.0)
    passed = 50.0 * CARD.signal.r_efficiency.value
    assert shared.s1.expected == pytest.approx(passed, rel=1e-12)
    assert shared.s1.statistical == pytest.approx(passed * np.hypot(0.5, 0.25) / 0.75)
    assert shared.excluded
    assert any("which exposure" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aprimes": 2}, r"event 2 of .* has 2 A'"),
        ({"aprimes": 0}, r"event 2 of .* has 0 A'"),
        ({"visible": 13}, r"1 of 2 events .* not understood \(A' -> mu- mu\+: 1\)"),
        ({"chi2s": 2}, r"not understood \(A' -> chi2 chi2: 1\)"),
        ({"deeper": True}, r"not understood \(A' -> chi1 chi2, chi2 -> chi1 999: 1\)"),
        ({"stated": 0.5}, r"A' in event 2 of .* E\^2 - p\^2 = .*they contradict each other"),
        ({"mass": 0.2, "stated": 0.2}, r"the mass of aprime in .* goes from 0.2 to 0.39 GeV"),
        ({"weights": (-1.0,)}, r"event 2 in .* has the weight -1"),
    ],
)
def test_events_that_are_not_understood_are_refused(tmp_path, options, message):
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), hepmc_event(**options))
    with pytest.raises(DataError, match=message) as caught:
        verdict(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("electrons.2016", "many", r"says electrons.2016 = many \(a number is needed, not negative\)"),
        ("electrons.2016", "-1e9", r"says electrons.2016 = -1e9 \("),
        ("electrons.2016", "nan", r"says electrons.2016 = nan \("),
        ("electrons.2016", 0.0, "says electrons of zero for all periods"),
        ("epsilon", "small", r"says epsilon = small \("),
        ("alpha_dark", float("inf"), r"says alpha_dark = inf \("),
    ],
)
def test_what_a_file_says_in_no_number_is_one_line(tmp_path, name, value, message):
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), attributes={name: value})
    with pytest.raises(DataError, match=message) as caught:
        verdict(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_model_or_beam_is_refused(tmp_path, generated):
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), hepmc_event(energy=120.0))
    with pytest.raises(ConfigError, match=r"has 120 GeV \(the beam has 100 GeV\)"):
        verdict(path)
    # A' of electrons at the upper end of the beam's spread of 1 % are of this beam.
    assert verdict(hepmc_file(path, hepmc_event(energy=101.5))).events.events == 1
    assert verdict(generated).epsilon == EPSILON  # as it says
    assert verdict(generated, epsilon=EPSILON).epsilon == EPSILON
    with pytest.raises(ConfigError, match=r"is of epsilon = 0.006 \(0.001 is given\): leave --epsilon out"):
        verdict(generated, epsilon=1e-3)
    other = changed_card(CARD, {"model.alpha_dark": 0.5})
    with pytest.raises(ConfigError, match=r"is of alpha_dark = 0.1 \(the card has 0.5\): --set model.alpha"):
        verdict(generated, other)
    attributes = {"mediator": "b_minus_l", "alpha_dark": 0.5, "electrons.2016": 0.0, "electrons.2017": 1e10}
    hepmc_file(path, hepmc_event(), attributes=attributes)
    with pytest.raises(ConfigError, match=r"is of mediator b_minus_l \(the card has kinetic_mixing\)"):
        verdict(path, other)
    found = verdict(path, changed_card(other, {"model.mediator": "b_minus_l"}))
    assert (found.alpha_dark, found.epsilon) == (0.5, None)


def test_a_missing_weight_is_not_one(tmp_path):
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), hepmc_event())
    lines = path.read_text().splitlines(keepends=True)
    events = next(i for i, line in enumerate(lines) if line.startswith("E "))
    some = [line for i, line in enumerate(lines) if i < events or not line.startswith("W ") or i > events + 4]
    none = [line for i, line in enumerate(lines) if i < events or not line.startswith("W ")]
    path.write_text("".join(some))
    for produced in (None, 100.0):
        with pytest.raises(DataError, match="1 of 2 events in .* have no weight"):
            verdict(path, produced=produced)
    path.write_text("".join(none))
    with pytest.raises(DataError, match="2 of 2 events in .* have no weight"):
        verdict(path)
    assert verdict(path, produced=100.0).events.weights_sum == 2.0
    hepmc_file(path, hepmc_event(weights=(0.25, 0.5)), names=("other", "mcWeight"))
    assert verdict(path).events.weights_sum == 0.5  # of mcWeight, the second
    lines = path.read_text().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("E "))
    short = [
        line.rpartition(" ")[0] + "\n" if line.startswith("W ") and i > first else line
        for i, line in enumerate(lines)
    ]
    path.write_text("".join(short))
    with pytest.raises(DataError, match="has 1 weights, 2 have names"):
        verdict(path)
    hepmc_file(path, hepmc_event(), names=("other",))
    with pytest.raises(DataError, match="has no weight mcWeight .*: give --produced"):
        verdict(path)


def test_what_the_library_says_of_a_damaged_file_is_not_shown(tmp_path, capfd):
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event(), hepmc_event())
    path.write_text(path.read_text().replace("P 3 ", "P x ", 1))
    with pytest.raises(DataError):
        verdict(path)
    out, err = capfd.readouterr()
    assert err == ""
    assert "ERROR" not in out  # counts of particles it writes in any case
    assert "Parsing" not in out
    assert pyhepmc.Setup.print_errors


def damage(content, how):
    """The bytes of a file, gzipped or not, with something wrong."""
    if how == "cut":
        return gzip.compress(content)[:-40]
    if how == "bits":
        packed = bytearray(gzip.compress(content))
        packed[len(packed) // 2] ^= 0xFF
        packed[len(packed) // 2 + 1] ^= 0xFF
        return bytes(packed)
    return content  # no gzip at all


@pytest.mark.parametrize("how", ["cut", "bits", "plain"])
@pytest.mark.parametrize("ending", ["hepmc3", "lhe"])
def test_damaged_compression_is_one_line(tmp_path, how, ending):
    text = hepmc_file(tmp_path / "a.hepmc3", *[hepmc_event() for _ in range(30)]).read_bytes()
    content = text if ending == "hepmc3" else les_houches([80.0] * 300).encode()
    path = tmp_path / f"damaged.{ending}.gz"
    path.write_bytes(damage(content, how))
    with pytest.raises(DataError, match=r"cannot read .*: make or copy it again") as caught:
        verdict(path, epsilon=EPSILON)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.hepmc3", "", "is empty"),
        ("a.hepmc3", "HepMC::IO_GenEvent\n", "is no HepMC3 in ASCII"),
        ("a.hepmc3", "HepMC::Version 3.02\nHepMC::Asciiv3-START_EVENT_LISTING\n", "is cut off"),
        ("a.lhe", "<html/>", "is no file of Les Houches events"),
    ],
)
def test_other_files_are_one_line(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        verdict(path, epsilon=EPSILON)
    with pytest.raises(DataError, match="no such file"):
        verdict(tmp_path / f"none_{name}", epsilon=EPSILON)
    with pytest.raises(ConfigError, match="is of no known format"):
        verdict(tmp_path / "events.txt")


def test_forced_decays_and_other_readings_are_refused(tmp_path):
    out = str(tmp_path / "s.hepmc3")
    point = ("--mass-GeV", str(MASS), "--epsilon", str(EPSILON))
    made = run(
        "simulate", "signal", *point, "--forced", "-n", "5", "-o", str(tmp_path / "s.root"), "--hepmc", out
    )
    assert made[0] == 0
    with pytest.raises(DataError, match="are forced .signal; the others are missing"):
        verdict(out)


def les_houches(
    energies, weights=None, *, stated=None, particles=1, aprimes=1, child=None, end=True, mass=MASS
):
    """Les Houches events of A' along the beam."""
    text = '<LesHouchesEvents version="3.0">\n<init>\n11 82 100.0 0.0 0 0 0 0 3 1\n1.0 0.1 1.0 1\n</init>\n'
    for energy, weight in zip(energies, weights or [1.0] * len(energies), strict=True):
        momentum = np.sqrt(energy**2 - mass**2)
        line = (
            f"55 {2 if child else 1} 0 0 0 0 0.0 0.0 {momentum:.10e} {energy:.10e} {stated or mass} 0. 9.\n"
        )
        lines = line * aprimes
        if child:
            lines += "".join(
                f"{sign * child} 1 1 1 0 0 0.0 0.0 {energy / 2} {energy / 2} 0.0 0. 9.\n" for sign in (1, -1)
            )
        text += f"<event>\n{particles} 1 {weight:.10e} 1.0 0.0078 0.1\n{lines}</event>\n"
    return text + ("</LesHouchesEvents>\n" if end else "")


def test_aprimes_of_the_chain_are_worth_what_the_chain_says(tmp_path):
    """The chain's own spectrum as Les Houches events, all made at its mean depth: that moves S1 by less
    than 2 %,
    since the depth of production is a few radiation lengths of 0.8 cm beside 1.8 m of flight."""
    points = SignalModel(CARD).production(MASS)
    path = tmp_path / "a.lhe.gz"
    text = les_houches([p.energy for p in points], [p.weight for p in points])
    path.write_bytes(gzip.compress(text.encode()))
    found, point = verdict(path, epsilon=EPSILON), verdict(Point(MASS, EPSILON))
    assert found.s1.expected == pytest.approx(point.s1.expected, rel=0.02)
    assert found.s2.expected == pytest.approx(point.s2.expected, rel=0.02)
    assert found.s2.statistical > 0.0
    # Twice the A', twice the events.
    one, two = (verdict(path, epsilon=EPSILON, produced=n) for n in (1e3, 2e3))
    assert two.total.expected == pytest.approx(2.0 * one.total.expected)
    assert one.steps["S1"][0].events < 1e3


def test_annihilation_is_not_added_to_aprimes_of_a_file(tmp_path):
    """Of 0.2 GeV, where annihilation adds more than 5 % to the A' of bremsstrahlung: not to a file's."""
    on = changed_card(CARD, {"model.annihilation": "on"})
    bremsstrahlung, both = (sum(p.weight for p in made) for made in productions(on, 0.2))
    assert both > 1.05 * bremsstrahlung
    path = tmp_path / "a.lhe"
    path.write_text(les_houches([40.0, 60.0, 80.0, 95.0], mass=0.2))
    for produced in (None, 1e3):
        with_it, without = (verdict(path, c, epsilon=1e-3, produced=produced) for c in (on, CARD))
        assert with_it.total.expected == pytest.approx(without.total.expected, rel=1e-12)
        assert with_it.steps == without.steps
        assert any("annihilation, which the card has on, is not added" in note for note in with_it.notes)
        assert not any("annihilation" in note for note in without.notes)


def productions(card, mass):
    """What bremsstrahlung makes, and that with what annihilation makes."""
    signal = SignalModel(card)
    bremsstrahlung = signal.production(mass)
    return bremsstrahlung, [*bremsstrahlung, *signal.annihilation(mass, Parameters.of(card))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": False}, "is cut off or damaged"),
        ({"particles": 2}, r"event 1 of .* has 1 lines of particles and says 2 \(NUP\)"),
        ({"particles": 2, "aprimes": 2}, r"event 1 of .* has 2 A'"),
        ({"stated": 0.5}, r"A' in event 1 of .* contradict each other"),
        ({"stated": "1e999x"}, r"cannot read event 1 of"),
        ({"particles": float("inf")}, r"cannot read event 1 of"),
        ({"particles": 3, "child": 13}, r"not understood \(A' -> 13 -13: 2\)"),
    ],
)
def test_les_houches_events_that_are_not_understood(tmp_path, options, message):
    path = tmp_path / "a.lhe"
    path.write_text(les_houches([80.0, 60.0], **options))
    with pytest.raises(DataError, match=message) as caught:
        verdict(path, epsilon=EPSILON)
    assert "\n" not in str(caught.value)


def test_what_does_not_go_together(tmp_path):
    path = tmp_path / "a.lhe"
    path.write_text(les_houches([120.0]))
    with pytest.raises(ConfigError, match="has no decays .*: give --epsilon"):
        verdict(path)
    with pytest.raises(ConfigError, match=r"has 120 GeV \(the beam has 100 GeV\)"):
        verdict(path, epsilon=EPSILON)
    path.write_text(les_houches([5.0]))
    with pytest.raises(ConfigError, match="no A' in .* is above 15 GeV"):
        verdict(path, epsilon=EPSILON)
    for value in (0.0, float("nan")):
        with pytest.raises(ConfigError, match=r"produced = .*must be positive"):
            verdict(path, epsilon=EPSILON, produced=value)
        with pytest.raises(ConfigError, match=r"epsilon = .*must be positive"):
            verdict(Point(MASS, value))
    with pytest.raises(ConfigError, match="beside a model point"):
        verdict(Point(MASS, EPSILON), produced=1.0)
    with pytest.raises(ConfigError, match="cannot be produced"):
        verdict(Point(200.0, EPSILON))


def test_the_command(tmp_path, capsys):
    code, text = run("verdict", "--mass-GeV", "0.2", "--epsilon", "1e-3", "--json")
    assert code == 0
    assert json.loads(text)["kind"] == "point"
    code, text = run("verdict", "--mass-GeV", "0.2", "--epsilon", "1e-3")
    assert code == 0
    assert "excluded at 90 % CL" in text
    path = hepmc_file(tmp_path / "a.hepmc3", hepmc_event())
    assert "1 of 1 events: A' -> chi1 chi2" in run("verdict", str(path))[1]
    for arguments in (("verdict",), ("verdict", str(path), "--mass-GeV", "0.2")):
        assert run(*arguments)[0] == 2
    assert "the model is that of the file" in capsys.readouterr().err
