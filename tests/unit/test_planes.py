"""Planes of any two parameters: corners, scaling laws, refinement, interruption."""

import contextlib
import dataclasses
import io
import math

import numpy as np
import pytest
from rich.console import Console

from na64root import ConfigError, load_card, theory
from na64root.cli import tables
from na64root.exclusion import Exclusion, drawn_over, planes
from na64root.exclusion.grids import Axis, Plane
from na64root.exclusion.planes import _Found, _grid, scan
from na64root.html_report.data import end_in_words
from na64root.records import PlaneResult
from na64root.reports.plane_files import bin_edges
from na64root.signal import Parameters, SignalModel, card_counts
from na64root.work import Work


@pytest.fixture(scope="module")
def card():
    return load_card()


def small(card, x="mass=0.05:0.6:9", y="alpha=0.003:0.8:9", **fixed):
    def axis(text):
        quantity, numbers = text.split("=")
        low, high, points = numbers.split(":")
        return Axis(quantity, float(low), float(high), int(points))

    return Plane.of_axes(card, axis(x), axis(y), **fixed)


def strength(plane):
    """Shape (n_y, n_x); 0 for no signal."""
    return np.array([[0.0 if mu is None else 1.0 / mu for mu in row] for row in plane.upper_limit_mu])


def dense(contours):
    """Points on the lines, twenty to a segment, in the logarithms of the axes; shape (n, 2)."""
    lines = [np.log(np.array(line)) for line in contours]
    return np.concatenate(
        [
            np.stack(
                [
                    np.interp(np.linspace(0, len(line) - 1, 20 * len(line)), np.arange(len(line)), line[:, k])
                    for k in (0, 1)
                ],
                axis=1,
            )
            for line in lines
        ]
    )


def largest_distance(contours, others):
    """From a point of one set of lines to the other set, in the logarithms of the axes."""
    theirs = dense(others)
    return max(float(np.hypot(*(theirs - point).T).min()) for point in dense(contours))


def test_a_plane_is_a_slice_of_another(card):
    """One model point, on the g-2 line at alpha_D = 0.1, has one strength in two planes."""
    result = scan(card, small(card, y="alpha=0.1:0.4:3"), expected=False)
    g2 = theory.epsilon_g2(result.x, card.muon_g2.central.value)
    for i in (0, 4, 8):
        other = scan(card, small(card, f"mass={result.x[i]}:1:2", f"epsilon={g2[i]}:1:2"), expected=False)
        assert strength(result)[0, i] == pytest.approx(strength(other)[0, 0], rel=1e-9)


def test_mass1_and_ratio_make_the_mass(card):
    one = scan(card, small(card, "mass=0.3:0.6:3", "splitting=0.2:0.6:3"), expected=False)
    other = scan(card, small(card, "mass1=0.1:0.2:3", "splitting=0.2:0.6:3"), expected=False)
    np.testing.assert_allclose(strength(one), strength(other), rtol=1e-9)


def test_a_plane_says_which_of_its_axes_are_linear(card):
    made = small(card, "mass=0.05:0.1:2", "ratio=2.5:3.5:5")
    record = scan(card, dataclasses.replace(made, y=dataclasses.replace(made.y, logarithmic=False)))
    assert (record.x_logarithmic, record.y_logarithmic) == (True, False)
    np.testing.assert_allclose(record.y, [2.5, 2.75, 3.0, 3.25, 3.5])
    written = record.model_dump()
    del written["x_logarithmic"], written["y_logarithmic"]  # as before there were linear axes
    older = PlaneResult.model_validate(written)
    assert older.x_logarithmic
    assert older.y_logarithmic


@pytest.mark.parametrize(
    ("points", "logarithmic", "edges"),
    [([1.0, 2.0, 3.0], False, [0.5, 1.5, 2.5, 3.5]), ([1.0, 4.0, 16.0], True, [0.5, 2.0, 8.0, 32.0])],
)
def test_bins_lie_around_points_that_are_even(points, logarithmic, edges):
    np.testing.assert_allclose(bin_edges(points, logarithmic=logarithmic), edges)


def test_couplings_are_converted(card):
    """analytic: y = alpha_D epsilon^2/R^4, g = epsilon e; each point is one of (mass, epsilon)."""
    wanted = Plane.named("mass-epsilon", card).at(0.3, 1e-3)
    y, g = 0.1 * 1e-6 / 81.0, 1e-3 * math.sqrt(4.0 * math.pi / 137.035999084)
    assert wanted.parameters == Parameters.of(card)
    for x, other, at in (
        ("mass1=0.01:1:3", "y=1e-12:1e-6:3", (0.1, y)),
        ("mass=0.01:1:3", "y=1e-12:1e-6:3", (0.3, y)),
        ("mass=0.01:1:3", "g=1e-6:1:3", (0.3, g)),
        ("g=1e-6:1:3", "mass1=0.01:1:3", (g, 0.1)),
    ):
        plane = small(card, x, other)
        point = plane.at(*at)
        assert plane.of_curves
        assert point.parameters == wanted.parameters
        assert (point.mass_GeV, point.epsilon) == pytest.approx((0.3, 1e-3), rel=1e-12)
        assert plane.place(0.3, 1e-3) == pytest.approx(at, rel=1e-9)
        assert plane.mass_range == pytest.approx((0.03, 3.0) if "mass1" in (x + other) else (0.01, 1.0))
    # with another parameter as the axis beside it, y is at that parameter
    by_alpha = small(card, "alpha=0.01:1:3", "y=1e-12:1e-6:3", mass_GeV=0.3)
    assert not by_alpha.of_curves
    assert by_alpha.epsilon_is == "from y"
    assert by_alpha.at(0.4, 4.0 * y).epsilon == pytest.approx(1e-3)
    assert small(card, "ratio=3:6:3", "y=1e-12:1e-6:3", mass_GeV=0.3).at(
        6.0, y / 16.0
    ).epsilon == pytest.approx(1e-3)
    # and with epsilon it is alpha_D that follows
    both = small(card, "epsilon=1e-4:1e-2:3", "y=1e-12:1e-6:3", mass_GeV=0.3).at(2e-3, 4.0 * y)
    assert both.parameters.alpha_dark == pytest.approx(0.1)


def test_a_plane_of_y_is_one_of_epsilon(card):
    """analytic: the strength at a point does not depend on the axes that it is reached by."""
    of_epsilon = scan(card, small(card, "mass=0.06:0.6:3", "epsilon=1e-4:1e-2:3"), expected=False)
    y = ":".join(f"{0.1 * end**2 / 81.0:.16g}" for end in (1e-4, 1e-2))
    of_y = scan(card, small(card, "mass1=0.02:0.2:3", f"y={y}:3"), expected=False)
    np.testing.assert_allclose(strength(of_y), strength(of_epsilon), rtol=1e-9)
    # curves come along point by point
    line, other = (r.overlays["g-2 central"].contour for r in (of_epsilon, of_y))
    np.testing.assert_allclose(
        np.array(other), np.array([[m / 3.0, 0.1 * e**2 / 81.0] for m, e in line]), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("axes", "fixed", "names"),
    [
        # at one mass the g-2 line is one epsilon, a vertical line
        (("epsilon=1e-3:1e-2:3", "ratio=2.2:5:3"), {"mass_GeV": 0.1}, {"muon g-2 central"}),
        (("ratio=2.1:5:3", "splitting=0.05:2:3"), {"mass_GeV": 0.1}, {"A' -> chi1 chi2 closed"}),
        (("mass=0.01:0.3:3", "alpha=0.05:0.9:3"), {"epsilon": 2e-3}, {"Landau pole", "muon g-2 central"}),
        (("splitting=0.01:0.9:3", "mass1=1e-3:0.1:3"), {}, {"chi2 stable"}),
    ],
)
def test_lines_cross_any_plane(card, axes, fixed, names):
    """analytic: on each line the point of the plane is one where its condition holds, to the grid's 1e-3."""
    plane = small(card, *axes, **fixed)
    found = drawn_over.overlays_of(card, plane, others=False)
    assert names <= set(found)
    for name in names:
        for x, y in found[name].contour[2:-2]:
            point = plane.at(x, y)
            if name == "muon g-2 central":
                line = float(theory.epsilon_g2(point.mass_GeV, card.muon_g2.central.value))
                assert point.epsilon == pytest.approx(line, rel=1e-3)
            elif name == "Landau pole":
                pole = theory.landau_pole_bound(point.mass_GeV)
                assert point.parameters.alpha_dark == pytest.approx(pole, rel=1e-3)
            elif name == "chi2 stable":
                assert point.parameters.model(point.mass_GeV, 1e-3).splitting == pytest.approx(
                    2.0 * 0.51099895e-3, rel=2e-2
                )
            else:
                assert y == pytest.approx(x - 2.0)


def test_modes_show_what_holds_for_them(card, monkeypatch):
    """No chi2 decays, and no relic line of it, where the A' is invisible."""
    for points in ("EXPERIMENT_POINTS", "RELIC_POINTS"):
        monkeypatch.setattr(drawn_over, points, 3)
    plane = small(card, "mass=0.1:0.2:2", "epsilon=1e-4:1e-2:2")
    seen = {
        mode: set(drawn_over.overlays_of(card, plane, mode=mode)) for mode in ("semivisible", "invisible")
    }
    assert {"thermal relic", "E137", "BaBar", "NuCal", "CHARM"} <= seen["semivisible"]
    assert "BaBar invisible 2017" not in seen["semivisible"]
    assert seen["invisible"] == {
        *(
            f"{name} {edge}"
            for name in ("g-2", "g-2 before Fermilab")
            for edge in ("central", "minus2", "plus2")
        ),
        "electron g-2 (rubidium)",
        *(f"{kind} relic{band}" for kind in ("scalar", "Majorana", "Dirac") for band in ("", " band")),
        "BaBar invisible 2017",
        "NA64 invisible 2019",
    }


def test_where_there_is_no_model(card):
    """A' -> chi1 chi2 is open for splitting < ratio - 2."""
    plane = small(card, "mass=0.05:0.1:2", "ratio=2.2:3.5:8")
    result = scan(card, plane, expected=False)
    for row, ratio in zip(result.upper_limit_mu, result.y, strict=True):
        assert (row[0] is None) == (ratio <= 2.4)


def test_where_there_is_no_g2_line():
    card = load_card(overrides=["muon_g2.central=-1e-10"])
    result = scan(card, small(card), expected=False)
    assert result.contours == []
    assert {mu for row in result.upper_limit_mu for mu in row} == {None}


def test_a_stable_chi2_gives_the_invisible_limit(card):
    """Below m_A' = 7.66 MeV, Delta < 2 m_e at f = 0.4, the semi-visible limit is the invisible one."""
    exposure = card.exposure()
    plane = small(card, "mass=0.0010:0.0076:4", "epsilon=1e-6:1e-3:9")
    # One signature alone has a count in both.
    counts = [count for count in card_counts(card, exposure) if count.signature == "S2"]
    visible, invisible = (
        scan(card, plane, counts, exposure, mode=mode, expected=False)
        for mode in ("semivisible", "invisible")
    )
    # Up to A' -> e e, of relative rate alpha epsilon^2/alpha_D.
    np.testing.assert_allclose(strength(visible), strength(invisible), rtol=1e-5)
    assert SignalModel(card).at_mass(0.0078).ctau_cm([1e-3])[0] < math.inf


def test_a_short_life_kills_s2_first(card):
    """Rising epsilon at 0.39 GeV: S2 over S1 falls without end, and S2 passes its maximum before S1 does."""
    epsilon = np.geomspace(1e-3, 3e-2, 60)
    s1, s2 = SignalModel(card).at_mass(0.39).per_electron(epsilon).T
    assert (np.diff(s2 / s1) < 0.0).all()
    assert np.argmax(s2) < np.argmax(s1)
    assert s2[-1] < 1e-6 * s2.max()


def test_scaling_laws(card):
    """A lifetime goes as 1/(epsilon^2 alpha_D), production as epsilon^2: analytic."""
    signal = SignalModel(card)
    parameters = Parameters.of(card)
    at_mass = signal.at_mass(0.3, parameters)
    more = at_mass.with_alpha_dark(0.2)
    # The branching ratio of the A' differs by alpha epsilon^2/alpha_D, 1e-6.
    np.testing.assert_allclose(
        more.per_electron([3e-3])[0],
        0.5 * at_mass.per_electron([3e-3 * math.sqrt(2.0)])[0],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        more.per_electron([3e-3]),
        signal.at_mass(0.3, Parameters(0.2, 3.0, 0.4)).per_electron([3e-3]),
        rtol=1e-12,
    )


def test_the_limit_falls_with_the_exposure(card):
    """At zero events, backgrounds kept, epsilon^2 of the lower edge goes as 1/EOT where chi2 lives long."""
    plane = small(card, "mass=0.01:0.02:2", "epsilon=1e-6:1e-3:12")
    counts = card_counts(card, card.exposure())
    low, high = (
        scan(card, plane, counts, card.exposure({"all": eot}), expected=False) for eot in (1e11, 1e13)
    )
    np.testing.assert_allclose(strength(high), 100.0 * strength(low), rtol=1e-9)


def test_the_contour_does_not_depend_on_the_grid(card):
    coarse = scan(card, small(card), expected=False)
    fine = scan(card, small(card, "mass=0.05:0.6:26", "alpha=0.003:0.8:26"), expected=False)
    # In both directions. Interpolation alone is off by 0.07 of the coarse spacing; refined, far less.
    spacing = math.log(12.0) / 8.0
    assert largest_distance(coarse.contours, fine.contours) < 0.03 * spacing
    assert largest_distance(fine.contours, coarse.contours) < 0.03 * spacing


def test_expected_contours_are_ordered(card):
    """More background means a weaker limit: above alpha_D = 0.05 the bands lie one inside the other."""
    result = scan(card, small(card))
    assert set(result.expected_contours) == {"minus2", "minus1", "median", "plus1", "plus2"}
    largest = [
        max(x for line in result.expected_contours[name] for x, alpha in line if alpha > 0.05)
        for name in ("plus2", "plus1", "median", "minus1", "minus2")
    ]
    assert (np.diff(largest) > -1e-3).all()
    assert largest[0] < largest[-1]


def test_an_interrupted_scan_goes_on(card, tmp_path):
    """Stopped in the middle and started again: the same result, and what was done is not done again."""
    kept = tmp_path / "kept"
    plane = small(card)
    whole = scan(card, plane, expected=False)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(card, plane, expected=False, kept=kept, work=Work(progress=lambda _: stop))
    lines = kept.read_text().splitlines()
    assert len(lines) >= 5
    # Cut off in the middle of a line, as by a full disk.
    kept.write_text("\n".join(lines)[:-20])
    computed = []
    original = planes._column

    def counted(exclusion, plane, x, *column):
        computed.append(x)
        return original(exclusion, plane, x, *column)

    planes._column = counted
    try:
        resumed = scan(card, plane, expected=False, kept=kept)
        again = len(computed)
        scan(card, plane, expected=False)
    finally:
        planes._column = original
    assert resumed == whole
    assert again <= len(computed) - again - 3
    assert not kept.exists()


def test_what_was_kept_for_another_scan_is_not_used(card, tmp_path):
    kept = tmp_path / "kept"

    def stop(done, total):
        raise KeyboardInterrupt

    # The same grid, so that columns of one scan would be taken for those of the other.
    axes = "mass=0.1:0.3:3", "alpha=0.01:0.1:3"
    other = load_card(overrides=["model.relative_splitting=0.3"])
    with pytest.raises(KeyboardInterrupt):
        scan(card, small(card, *axes), expected=False, kept=kept, work=Work(progress=lambda _: stop))
    plane = small(other, *axes)
    whole = scan(other, plane, expected=False)
    assert scan(other, plane, expected=False, kept=kept) == whole
    assert whole.upper_limit_mu != scan(card, small(card, *axes), expected=False).upper_limit_mu


@pytest.mark.slow
def test_columns_of_another_seed_are_not_used_where_they_are_simulated(tmp_path):
    """The chain has no seed; samples do."""
    axes = "mass=0.2:0.3:2", "epsilon=3e-3:6e-3:2"

    def first_line(acceptance, seed):
        card = load_card(overrides=[f"signal.acceptance={acceptance}"])
        kept = tmp_path / "kept"

        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            scan(
                card,
                small(card, *axes),
                expected=False,
                kept=kept,
                work=Work(seed=seed, progress=lambda _: stop),
            )
        return kept.read_text("utf-8").splitlines()[0]

    assert first_line("chain", 1) == first_line("chain", 2)
    assert first_line("simulation", 1) != first_line("simulation", 2)


def test_the_projection_reaches_further(card):
    """Fig. 5 bottom: with 5e12 EOT and a shorter HCAL1 more of the larger splittings is excluded."""
    projection = load_card("compact_hcal")
    axes = "mass1=0.05:0.2:4", "splitting=0.2:0.9:5"
    now = strength(scan(card, small(card, *axes), expected=False))
    then = strength(scan(projection, small(projection, *axes), expected=False))
    assert (then > now).all()
    assert (then >= 1.0).sum() > (now >= 1.0).sum() > 0


@pytest.mark.parametrize(
    ("axes", "fixed", "problem"),
    [
        (("mass=0.1:0.2:3", "mass=0.1:0.2:3"), {}, "both axes"),
        (("mass=0.1:0.2:3", "mass1=0.1:0.2:3"), {}, "ratio"),
        (("alpha=0.1:0.2:3", "splitting=0.1:0.2:3"), {}, "which mass"),
        (("mass=0.2:0.1:3", "alpha=0.1:0.2:3"), {}, "must rise"),
        (("mass=0:0.1:3", "alpha=0.1:0.2:3"), {}, "above zero"),
        (("mass=nan:0.1:3", "alpha=0.1:0.2:3"), {}, "must rise"),
        (("mass=0.1:0.2:1", "alpha=0.1:0.2:3"), {}, "at least 2"),
        (("m=0.1:0.2:3", "alpha=0.1:0.2:3"), {}, "no axis m"),
        (("mass=0.1:0.2:3", "epsilon=0.1:0.2:3"), {"epsilon": 1e-3}, "both give it"),
        (("mass=0.1:0.2:3", "alpha=0.1:0.2:3"), {"epsilon": -1e-3}, "above zero"),
        (("mass=0.1:0.2:3", "alpha=0.1:0.2:3"), {"mass_GeV": 0.1}, "both give it"),
        (("mass=0.1:0.2:3", "y=1e-9:1e-8:3"), {"epsilon": 1e-3}, "both give it"),
        (("epsilon=0.1:0.2:3", "g=1e-4:1e-3:3"), {}, "choose one of them"),
    ],
)
def test_axes_that_make_no_plane(card, axes, fixed, problem):
    with pytest.raises(ConfigError, match=problem):
        small(card, *axes, **fixed)


def test_a_band_that_some_columns_lack_is_left_out(caplog):
    first = (0, (0, 1)), _Found({"observed": [0.5, 2.0]})
    second = (1, (0, 1)), _Found({"observed": [0.4, 1.0], "plus2": [0.6, 3.0]})
    for columns in ([first, second], [second, first]):
        grids = _grid(columns, 2, 2)
        assert {name: grid.tolist() for name, grid in grids.items()} == {"observed": [[0.5, 0.4], [2.0, 1.0]]}
        assert "no contour plus2" in caplog.text
        caplog.clear()


def test_no_such_plane(card):
    with pytest.raises(ConfigError, match="known: mass-epsilon"):
        scan(card, "mass-charge")


def test_two_scans_in_one_folder_do_not_mix_what_they_keep(tmp_path, caplog):
    path = tmp_path / ".plane.unfinished"
    column, other = (planes._Found({"observed": [strength]}) for strength in (1.0, 2.0))
    with contextlib.closing(planes._Kept(path, "one", [], {})) as first:
        first.add("a", column)
        with contextlib.closing(planes._Kept(path, "another", [], {})) as second:
            assert "another scan works" in caplog.text
            second.add("a", other)
            second.remove()
        first.add("b", column)
    with contextlib.closing(planes._Kept(path, "one", [], {})) as again:
        kept = [again.get(name) for name in ("a", "b")]
        assert [found.strengths for found in kept if found] == [column.strengths, column.strengths]
        again.remove()
    assert not path.exists()


def test_the_inclusive_reading_beside_the_papers(caplog):
    """It holds the paper's region, does not close upwards, and is null where it has no meaning."""
    small = ["plane.mass_min_GeV=0.05", "plane.mass_points=5", "plane.epsilon_points=14"]
    plane = planes.scan(load_card(overrides=small), expected=False)
    reading = plane.inclusive
    assert reading is not None
    assert plane.g2_excluded_up_to_GeV < 0.5 < reading.g2_excluded_up_to_GeV == 1.0
    assert reading.g2_end_is_frame  # up to the last mass: no end of it
    # one line from the first mass to the last, with nothing above it
    (line,) = reading.contours
    assert sorted((line[0][0], line[-1][0])) == pytest.approx([plane.x[0], plane.x[-1]])
    assert max(x for contour in plane.contours for x, _ in contour) < 0.5
    # the same lower edge where chi2 live long (self)
    low = [min(y for line in lines for x, y in line if x < 1.001 * plane.x[0])
           for lines in (plane.contours, reading.contours)]  # fmt: skip
    assert low[1] == pytest.approx(low[0], rel=1e-3)
    for change, mode in (("geometry.veto_cm=56", "semivisible"), ("plane.mass_points=3", "invisible")):
        other = planes.scan(load_card(overrides=[*small, change]), expected=False, mode=mode)
        assert other.inclusive is None
        assert other.contours
    assert caplog.text.count("no inclusive reading of S2 in this plane") == 1


def test_a_card_that_counts_inclusively_has_one_contour_twice():
    small = ["plane.mass_points=3", "plane.epsilon_points=6", "plane.mass_min_GeV=0.3", "signal.s2=inclusive"]
    plane = planes.scan(load_card(overrides=small), expected=False)
    assert plane.contours == plane.inclusive.contours
    assert plane.g2_excluded_up_to_GeV == plane.inclusive.g2_excluded_up_to_GeV


def test_an_end_point_at_the_frame_is_said_to_be_no_end():
    """The same card on both sides of its end, at 1.92 GeV by the ledger (self)."""
    small = ["plane.mass_points=4", "plane.epsilon_points=6", "plane.mass_min_GeV=0.3"]
    ends = planes.scan(load_card("best", overrides=small), expected=False)
    assert not ends.g2_end_is_frame
    assert ends.g2_excluded_up_to_GeV == pytest.approx(1.917, abs=0.002)
    framed = planes.scan(load_card("best", overrides=[*small, "plane.mass_max_GeV=1"]), expected=False)
    assert framed.g2_end_is_frame
    assert framed.g2_excluded_up_to_GeV == 1.0
    assert framed.scorecard["g2_end_point_GeV"]["computed_is"] == "at least"
    console = Console(file=io.StringIO(), width=200)
    for plane, said in ((framed, True), (ends, False)):
        tables.show_plane(plane, console)
        text, console.file = console.file.getvalue(), io.StringIO()
        line = next(line for line in text.splitlines() if line.startswith("The central g-2 line"))
        assert ("and beyond, the end of the plane" in line) is said
        assert (
            "and beyond" in end_in_words(plane.g2_excluded_up_to_GeV, frame=plane.g2_end_is_frame)
        ) is said


def test_no_inclusive_events_where_they_have_no_meaning():
    card = load_card(overrides=["geometry.veto_cm=56"])
    area = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    assert not area.has_inclusive
    with pytest.raises(ConfigError, match="no inclusive reading of S2 here"):
        area.inclusive(area.at_mass(0.39), [6e-3])
