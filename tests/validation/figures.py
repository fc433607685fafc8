"""Figures of the documentation that rest on the reference tables here or on the simulation.

    python tests/validation/figures.py FOLDER [NAME...]

The detector against Geant4 is drawn from the samples and tables of test_detector_geant4.py, and the numbers
of the table in docs/physics.md are printed. Bands are what is demanded there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import test_detector_geant4 as geant4
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from na64root import best_r_cut, figures, load_card
from na64root.simulation.core_config import Signal
from na64root.work import Work

POINT = Signal(0.39, 6e-3)
# Geant4 is black, this simulation coloured.
FIRST, SECOND = figures.COLOURS["S1"], figures.COLOURS["S2"]
BAND = "#e8e8e8"
REFERENCE = {"fmt": "o", "color": "black", "markersize": 4.5, "linewidth": 1.2, "capsize": 2}
THRESHOLDS = (1, 10, 50)


def panels(shape, size, heights):
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*shape, height_ratios=heights)


def band(axes, low, high):
    axes.axhspan(low, high, color=BAND, zorder=0)
    axes.axhline(0.5 * (low + high), color="grey", linewidth=0.8, zorder=1)


def edge_of_maximum(mean):
    """Radiation lengths with more than a hundredth of the largest energy, as the test has them."""
    return mean > 0.01 * mean.max()


def profile(column, energy):
    upper, middle, lower = column
    reference = geant4.table(f"T1_profile_X0_{energy:.0f}GeV")
    low, high = geant4.column(reference, "t_lo"), geant4.column(reference, "t_hi")
    mean, rms = geant4.column(reference, "tot_mean_frac"), geant4.column(reference, "tot_rms_frac")
    error = geant4.column(reference, "tot_mean_err")
    share = geant4.electrons(energy)["mc_profile_GeV"] / energy
    edges, centre = np.append(low, high[-1]), 0.5 * (low + high)
    shown = mean > 1e-4
    upper.stairs(share.mean(axis=0), edges, color=FIRST, linewidth=1.8, label="simulation, mean")
    upper.errorbar(centre[shown], mean[shown], yerr=error[shown], label="Geant4, mean", **REFERENCE)
    upper.stairs(
        share.std(axis=0), edges, color=SECOND, linewidth=1.6, linestyle="--", label="simulation, event rms"
    )
    upper.plot(centre[shown], rms[shown], "o", mfc="white", color="black", ms=4.5, label="Geant4, event rms")
    upper.set_yscale("log")
    upper.set_ylim(3e-5, 1.0)
    upper.set_title(f"e$^-$ of {energy:.0f} GeV in the ECAL", loc="left")
    upper.set_ylabel(r"share of the energy per $X_0$")
    upper.legend(loc="upper right", fontsize=10)

    difference = 100.0 * (share.mean(axis=0) - mean) / mean.max()
    band(middle, -5.0, 5.0)
    middle.errorbar(centre, difference, yerr=100.0 * error / mean.max(), **{**REFERENCE, "color": FIRST})
    middle.set_ylim(-7.0, 7.0)
    middle.set_ylabel("sim. $-$ Geant4\n[% of max.]")

    filled = edge_of_maximum(mean)
    ratio = share.std(axis=0)[filled] / rms[filled]
    events = float(geant4.row_at("T1_resolution", E_GeV=int(energy))["n"])
    band(lower, 0.75, 1.25)
    # The error of a Gaussian rms of so many events; the tails are not Gaussian.
    lower.errorbar(
        centre[filled], ratio, yerr=ratio / np.sqrt(2.0 * events), **{**REFERENCE, "color": SECOND}
    )
    lower.set_ylim(0.6, 1.4)
    lower.set_ylabel("rms ratio\nsim. / Geant4")
    lower.set_xlabel(r"depth [$X_0$]")
    for axes in column:
        axes.set_xlim(0.0, edges[-1])
    print(
        f"profile {energy:g} GeV: {np.abs(difference).max():.1f} % of the maximum, "
        f"rms {ratio.min():.2f} to {ratio.max():.2f}"
    )


def track_lengths(upper, lower):
    positions = np.arange(3)
    band(lower, -3.0, 3.0)
    for name, key, colour, shift in (
        ("e$^-$", "electron", FIRST, -0.08),
        ("e$^+$", "positron", SECOND, 0.08),
    ):
        rows = [geant4.row_at("T2_integral_100GeV", E_gt_GeV=threshold) for threshold in THRESHOLDS]
        column = {"electron": "eminus", "positron": "eplus"}[key]
        expected, error = geant4.column(rows, column), geant4.column(rows, f"{column}_err")
        sample = geant4.electrons(100.0)[f"mc_track_{key}_X0"]
        found = sample.mean(axis=0)
        own = sample.std(axis=0) / np.sqrt(len(sample))
        upper.plot(positions + shift, found, "_", color=colour, ms=20, mew=2.5, label=f"simulation, {name}")
        marker = {**REFERENCE, "fmt": "o" if key == "electron" else "s"}
        upper.errorbar(positions + shift, expected, yerr=error, label=f"Geant4, {name}", **marker)
        relative = 100.0 * (found / expected - 1.0)
        both = 100.0 * np.hypot(error, own) / expected
        lower.errorbar(positions + shift, relative, yerr=both, **{**marker, "color": colour}, label=name)
        print(f"track length {key}: " + ", ".join(f"{value:+.1f} %" for value in relative))
    upper.set_yscale("log")
    upper.set_ylim(0.02, 300.0)
    upper.set_title("track length, e$^-$ of 100 GeV", loc="left")
    upper.set_ylabel(r"above the threshold [$X_0$]")
    upper.legend(loc="upper right", fontsize=10)
    lower.plot([1.6, 2.4, 2.4, 1.6, 1.6], [-10, -10, 10, 10, -10], ":", color=SECOND, linewidth=1.2)
    lower.annotate("e$^+$: 10 %", (1.55, 7.0), ha="right", va="center", color=SECOND, fontsize=11)
    lower.set_ylim(-12.0, 12.0)
    lower.set_ylabel("sim. / Geant4 $-$ 1\n[%]")
    lower.set_xlabel("threshold [GeV]")
    for axes in (upper, lower):
        axes.set_xlim(-0.5, 2.5)
        axes.set_xticks(positions, [str(threshold) for threshold in THRESHOLDS])
        axes.tick_params(axis="x", which="minor", length=0)


def ecal_numbers(axes):
    """Differences in units of what is demanded, with the error of the reference where it has one."""
    labels = []
    band(axes, -1.0, 1.0)
    for place, (name, tolerance) in enumerate(
        (("$\\sigma/E$", 0.10), ("central\ncell", 0.02), ("3$\\times$3\ncells", 0.02), ("leakage", 0.30))
    ):
        labels.append(f"{name}\n{100 * tolerance:.0f} %")
        for energy, colour, shift in ((10.0, FIRST, -0.12), (100.0, SECOND, 0.12)):
            reference = geant4.row_at("T1_resolution", E_GeV=int(energy))
            leak = geant4.row_at("T4_leakage", E_GeV=int(energy))
            sample = geant4.electrons(energy)
            cells = sample["ECAL_ene"].sum(axis=1)
            total = cells.sum(axis=(1, 2))
            resolution = float(reference["rms_over_mean"])
            width = sample["ecalTotal"].std() / sample["ecalTotal"].mean()
            central, nine = cells[:, 3, 3] / total, cells[:, 2:5, 2:5].sum(axis=(1, 2)) / total
            behind = float(leak["leak_mean_MeV"])
            difference, error = (
                (width / resolution - 1.0, float(reference["err"]) / resolution),
                (
                    central.mean() - float(reference["cell33_share_mean"]),
                    float(reference["cell33_share_rms"]) / np.sqrt(float(reference["n"])),
                ),
                (nine.mean() - float(reference["E3x3_share"]), 0.0),
                (1e3 * sample["mc_leakage_GeV"].mean() / behind - 1.0, float(leak["err"]) / behind),
            )[place]
            axes.errorbar(
                place + shift,
                difference / tolerance,
                yerr=error / tolerance,
                **{**REFERENCE, "color": colour},
                label=f"{energy:.0f} GeV" if place == 0 else None,
            )
            print(f"ECAL, {name!r}, {energy:g} GeV: {difference:+.4f} +- {error:.4f}")
    axes.set_xticks(range(4), labels, fontsize=11)
    axes.tick_params(axis="x", which="both", length=0)
    axes.set_xlim(-0.5, 3.5)
    axes.set_ylim(-1.6, 1.6)
    axes.set_ylabel("difference over\nwhat is demanded")
    axes.legend(loc="upper right", ncols=2, fontsize=10)


def geant4_ecal():
    figure, axes = panels((3, 3), (17.0, 11.5), (2.4, 1.0, 1.0))
    profile(axes[:, 0], 10.0)
    profile(axes[:, 1], 100.0)
    track_lengths(axes[0, 2], axes[1, 2])
    ecal_numbers(axes[2, 2])
    for panel in axes[:2, :2].flatten():
        panel.xaxis.set_major_formatter(NullFormatter())
    return figure


def r_against_offset(upper, lower, energy):
    band(lower, -0.05, 0.05)
    largest = 0.0
    for direction, colour, marker, name in (("x", FIRST, "o", "along x"), ("d", SECOND, "s", "diagonal")):
        rows = [
            row
            for row in geant4.table("T3_R")
            if (row["E_GeV"], row["direction"]) == (str(energy), direction)
        ]
        offset, expected = geant4.column(rows, "offset_mm"), geant4.column(rows, "P_R_lt_0.06")
        error = geant4.column(rows, "err")
        found = []
        for value in offset:
            place = (value, 0.0) if direction == "x" else (value / np.sqrt(2), value / np.sqrt(2))
            sample = geant4.pairs(float(energy), place, 1000)
            r = 1 - sample["HCAL_ene"][:, :3, 1, 1].sum(axis=1) / geant4.hcal_total(sample)
            found.append(float((r < geant4.R_MAX).mean()))
        difference = np.array(found) - expected
        own = np.sqrt(np.array(found) * (1.0 - np.array(found)) / 3000.0)
        upper.plot(offset, found, color=colour, label=f"simulation, {name}")
        style = {**REFERENCE, "fmt": marker}
        upper.errorbar(offset, expected, yerr=error, label=f"Geant4, {name}", **style)
        lower.errorbar(offset, difference, yerr=np.hypot(error, own), **{**style, "color": colour})
        edge = (expected > 0.1) & (expected < 0.9)
        for value in offset[edge]:
            lower.plot([value - 2, value + 2], [0.1, 0.1], color=colour, linewidth=1.5)
            lower.plot([value - 2, value + 2], [-0.1, -0.1], color=colour, linewidth=1.5)
        largest = max(largest, np.abs(difference).max())
    upper.set_title(f"pairs of {energy} GeV in the HCAL", loc="left")
    upper.set_ylim(-0.05, 1.1)
    upper.set_ylabel("$P(R < 0.06)$")
    upper.xaxis.set_major_formatter(NullFormatter())
    upper.legend(loc="lower left", fontsize=10)
    lower.set_ylim(-0.14, 0.14)
    lower.set_ylabel("sim. $-$ Geant4")
    lower.set_xlabel("offset from the middle of the cell [mm]")
    print(f"P(R < 0.06), {energy} GeV: {largest:.3f} at most")


ENERGIES = (10, 40, 80)


def against_energy(upper, lower, series, ylabel, lower_label, limit, *, relative):
    """Values and differences at 10, 40, 80 GeV; each of `series` is (name, simulation, Geant4, error)."""
    tolerance = 100.0 * limit if relative else limit
    band(lower, -tolerance, tolerance)
    for (name, found, expected, error), colour, marker, shift in zip(
        series, (FIRST, SECOND), ("o", "s"), (-0.06, 0.06), strict=False
    ):
        places = np.arange(3) + shift
        found, expected, error = np.array(found), np.array(expected), np.array(error)
        style = {**REFERENCE, "fmt": marker}
        upper.plot(places, found, "_", color=colour, ms=22, mew=2.5, label=f"simulation, {name}")
        upper.errorbar(places, expected, yerr=error, label=f"Geant4, {name}", **style)
        difference = 100.0 * (found / expected - 1.0) if relative else found - expected
        scaled = 100.0 * error / expected if relative else error
        lower.errorbar(places, difference, yerr=scaled, **{**style, "color": colour})
        print(f"pairs, {name}: " + ", ".join(f"{value:+.3g}" for value in difference))
    upper.set_ylabel(ylabel)
    upper.legend(loc="best", fontsize=10)
    lower.set_ylabel(lower_label)
    lower.set_ylim(-1.5 * tolerance, 1.5 * tolerance)
    lower.set_xlabel("energy of the pair [GeV]")
    for axes in (upper, lower):
        axes.set_xlim(-0.5, 2.5)
        axes.set_xticks(range(3), [str(energy) for energy in ENERGIES])
        axes.tick_params(axis="x", which="minor", length=0)


def geant4_hcal():
    figure, axes = panels((4, 3), (17.0, 14.5), (1.8, 1.0, 1.8, 1.0))
    for i, energy in enumerate(ENERGIES):
        r_against_offset(axes[0, i], axes[1, i], energy)
    rows = [geant4.row_at("T3_response", E_GeV=energy, mass_MeV="10+30+60") for energy in ENERGIES]
    samples = [geant4.pairs(float(energy)) for energy in ENERGIES]
    totals = [geant4.hcal_total(sample) for sample in samples]
    none = [0.0] * 3

    resolution = (
        "all masses",
        [total.std() / total.mean() for total in totals],
        geant4.column(rows, "rms_over_mean"),
        geant4.column(rows, "err"),
    )
    against_energy(
        axes[2, 0], axes[3, 0], [resolution], "$\\sigma/E$", "sim. / Geant4 $-$ 1\n[%]", 0.10, relative=True
    )
    axes[2, 0].set_title("resolution of the HCAL", loc="left")

    radii = []
    for fraction, name, label in ((0.5, "mc_r50_mm", "$r_{50}$"), (0.9, "mc_r90_mm", "$r_{90}$")):
        tables = [geant4.table(f"T3_lateral_{energy}GeV") for energy in ENERGIES]
        expected = [
            float(np.interp(fraction, geant4.column(t, "Sc_cum")[:-1], geant4.column(t, "r_hi_mm")[:-1]))
            for t in tables
        ]
        radii.append((label, [sample[name].mean() for sample in samples], expected, none))
    against_energy(
        axes[2, 1], axes[3, 1], radii, "radius [mm]", "sim. / Geant4 $-$ 1\n[%]", 0.15, relative=True
    )
    axes[2, 1].set_ylim(0.0, 55.0)
    axes[2, 1].set_title("width of pairs (tables without errors)", loc="left")

    shares = [sample["hcal1"] / total for sample, total in zip(samples, totals, strict=True)]
    above = geant4.column(rows, "P_H2share_gt0.9")
    events = geant4.column(rows, "n")
    sharing = [
        ("mean", [share.mean() for share in shares], geant4.column(rows, "H2_share"), none),
        (
            "$P(> 0.9)$",
            [float((share > 0.9).mean()) for share in shares],
            above,
            np.sqrt(above * (1.0 - above) / events),
        ),
    ]
    against_energy(axes[2, 2], axes[3, 2], sharing, "share of HCAL2", "sim. $-$ Geant4", 0.05, relative=False)
    axes[2, 2].set_ylim(0.75, 1.0)
    axes[2, 2].set_title("sharing, pairs that start in HCAL2", loc="left")
    for panel in axes[2]:
        panel.xaxis.set_major_formatter(NullFormatter())
    return figure


def r_cut():
    cards = [load_card(overrides=[f"selection.r.core={core}"]) for core in ("period", "single")]
    scans = [best_r_cut(card, POINT, work=Work(threads=2)) for card in cards]
    for scan in scans:
        print(
            f"R cut, core {scan.core}: best {scan.best:g} ({scan.flat[0]:g} to {scan.flat[1]:g}), gain "
            f"{100 * scan.gain:.1f} +- {100 * scan.gain_error:.1f} %"
        )
    return figures.r_cut(scans)


FIGURES = {draw.__name__: draw for draw in (geant4_ecal, geant4_hcal, r_cut)}


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or FIGURES:
        with rc_context({**figures.STYLE, "savefig.dpi": 110}):
            FIGURES[name]().savefig(folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
