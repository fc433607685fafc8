"""Curves of users over a plane: what is read, how it is converted, and one line for each bad file."""

from __future__ import annotations

import numpy as np
import pytest

from na64root import ConfigError, DataError, load_card
from na64root.exclusion.curves_of_files import UserCurve
from na64root.records import Overlay, PlaneResult, provenance, to_json
from support.commands import run

CARD = load_card()
MASS = np.geomspace(0.01, 0.5, 5)


def plane(axes: str = "mass-epsilon") -> PlaneResult:
    """A plane in which nothing is excluded."""
    return PlaneResult(
        plane=axes,
        mode="semivisible",
        epsilon_is="an axis",
        x=MASS.tolist(),
        y=[1e-4, 1e-3, 1e-2],
        upper_limit_mu=[[2.0] * 5] * 3,
        contours=[],
        expected_contours={},
        overlays={},
        epsilon_low=[],
        epsilon_high=[],
        g2_excluded_up_to_GeV=None,
        scorecard={},
        counts=[],
        exposure={"2016": 1e10},
        provenance=provenance(CARD, seed=1),
    )


def overlay(tmp_path, text: str, axes: str = "mass-epsilon", columns: str | None = None) -> Overlay:
    path = tmp_path / "curve.csv"
    path.write_bytes(text.encode())
    return UserCurve.of(str(path), columns).overlay(plane(axes), CARD)


@pytest.mark.parametrize(
    "text",
    [
        "mass,epsilon\n0.1,1e-3\n0.2,2e-3\n",
        "epsilon mass_GeV\n1e-3 0.1\n2e-3 0.2",
        "# whose it is\n\nm_A, eps\r\n0.1,\t1e-3\r\n# between\r\n0.2, 2e-3\r\n",
        "\ufeffmass;epsilon\n0.1;1e-3\n0.2;2e-3\n",
        # analytic, at alpha_D = 0.1 and R = 3: y = alpha_D epsilon^2/R^4, m_chi1 = m_A'/R, g = epsilon e
        f"m_chi,y\n{0.1 / 3},{0.1 * 1e-6 / 81}\n{0.2 / 3},{0.1 * 4e-6 / 81}\n",
        "mass,g\n0.1,3.0282212088e-4\n0.2,6.0564424176e-4\n",
    ],
)
def test_columns_are_converted(tmp_path, text):
    contour = overlay(tmp_path, text).contour
    np.testing.assert_allclose(contour, [[0.1, 1e-3], [0.2, 2e-3]], rtol=1e-9)


def test_columns_by_option_and_axes_of_any_plane(tmp_path):
    assert overlay(tmp_path, "0.1,1e-3\n0.2,2e-3\n", columns="mass,epsilon").contour[1] == [0.2, 2e-3]
    # the plane's own axes are taken as they are, in either order
    assert overlay(tmp_path, "splitting,mass1\n0.4,0.1\n0.3,0.2\n", "mass1-splitting").contour == [
        [0.1, 0.4],
        [0.2, 0.3],
    ]
    into_y = overlay(tmp_path, "mass,epsilon\n0.3,1e-3\n0.6,1e-3\n", "mass1-y").contour
    np.testing.assert_allclose(into_y, [[0.1, 1e-7 / 81], [0.2, 1e-7 / 81]], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "error", "problem"),
    [
        ("", DataError, "is empty"),
        ("\ufeff", DataError, "is empty"),
        ("# nothing\n", DataError, "is empty"),
        ("0.1,1e-3\n0.2,2e-3\n", DataError, "does not name its columns"),
        ("mass,epsilon\n", DataError, "has 0 rows"),
        ("mass,epsilon\n0.1,1e-3\n", DataError, "has 1 rows"),
        ("mass,epsilon\n0.2,1e-3\n0.1,2e-3\n", DataError, r"line 3: mass 0.1 after 0.2 \(must rise\)"),
        ("mass,epsilon\n0.1,1e-3\n0.1,2e-3\n", DataError, "must rise"),
        ("mass,epsilon\n-0.1,1e-3\n0.1,2e-3\n", DataError, "line 2: -0.1 .must be finite and above zero"),
        ("mass,epsilon\n0.1,nan\n0.2,2e-3\n", DataError, "line 2: nan"),
        ("mass,epsilon\n0.1,1e-3\n0.2,inf\n", DataError, "line 3: inf"),
        ("mass,epsilon\n0.1,0\n0.2,1e-3\n", DataError, "above zero"),
        ("mass,epsilon\n0.1,1e-3,5\n0.2,2e-3,5\n", DataError, "3 values .a curve has two columns"),
        ("mass,epsilon\n0.1,one\n0.2,2e-3\n", DataError, r"0.1 one \(no numbers\)"),
        ("mass,sigma\n0.1,1e-3\n0.2,2e-3\n", ConfigError, r"column sigma \(a curve has two of mass, mass1"),
        ("mass,mass\n0.1,1e-3\n0.2,2e-3\n", ConfigError, "1 columns"),
        ("mass,epsilon,y\n0.1,1e-3,5\n", ConfigError, "3 columns"),
        (
            "mass,alpha\n0.1,1e-3\n0.2,2e-3\n",
            ConfigError,
            r"has columns mass, alpha \(the plane is mass-epsilon",
        ),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path, text, error, problem):
    with pytest.raises(error, match=problem) as refused:
        overlay(tmp_path, text)
    assert "\n" not in str(refused.value)
    assert "): " in str(refused.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot read overlay"):
        UserCurve.of(str(tmp_path / "nothing.csv")).overlay(plane(), CARD)
    (tmp_path / "utf16.csv").write_bytes("mass,epsilon\n".encode("utf-16"))
    with pytest.raises(DataError, match="no UTF-8 text"):
        UserCurve.of(str(tmp_path / "utf16.csv")).overlay(plane(), CARD)
    with pytest.raises(ConfigError, match="no name after the colon"):
        UserCurve.of("curve.csv:")
    with pytest.raises(ConfigError, match="--overlay-columns mass: 1 columns"):
        UserCurve.of("curve.csv", "mass")


def test_parameters_are_those_of_the_card_of_the_plane(tmp_path):
    other = load_card(overrides=["model.alpha_dark=0.5"])
    path = tmp_path / "curve.csv"
    path.write_text("mass,y\n0.1,1e-10\n0.2,2e-10\n")
    with pytest.raises(ConfigError, match="is converted at the parameters of the plane's card"):
        UserCurve.of(str(path)).overlay(plane(), other)
    path.write_text("mass,epsilon\n0.1,1e-3\n0.2,2e-3\n")
    assert UserCurve.of(f"{path}:theirs").overlay(plane(), other).contour[0] == [0.1, 1e-3]


def test_plot_draws_it_and_keeps_it_in_its_files(tmp_path, capsys, unrendered):
    json, curve = tmp_path / "scan.json", tmp_path / "curve.csv"
    json.write_text(to_json(plane()))
    curve.write_text("0.05,1e-3\n0.2,2e-3\n")
    arguments = ["plot", str(json), "--overlay-columns", "mass,epsilon", "-o", str(tmp_path / "out")]
    assert run(*arguments, "--overlay", f"{curve}:model X")[0] == 0
    rows = (tmp_path / "out" / "mass-epsilon.csv").read_text()
    assert "# model X: curve.csv, given by --overlay; as in the file, epsilon against mass" in rows
    assert "model X,user,0,0.05,0.001" in rows
    capsys.readouterr()
    twice = ["--overlay", f"{curve}:X", "--overlay", f"{curve}:X", "--force"]
    assert run(*arguments, *twice)[0] == 2
    assert "--overlay X (the plane has that already)" in capsys.readouterr().err
    assert run(*arguments)[0] == 2
    assert "--overlay-columns without --overlay" in capsys.readouterr().err
