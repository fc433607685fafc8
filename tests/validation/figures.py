"""Figures of the documentation that rest on the reference tables here or on the simulation.

python tests/validation/figures.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib import rc_context

from na64root import best_r_cut, load_card, plots
from na64root.simulate import Signal

POINT = Signal(0.39, 6e-3)


def r_cut():
    cards = [load_card(overrides=[f"selection.r.core={core}"]) for core in ("period", "single")]
    scans = [best_r_cut(card, POINT, threads=2) for card in cards]
    for scan in scans:
        print(
            f"R cut, core {scan.core}: best {scan.best:g} ({scan.flat[0]:g} to {scan.flat[1]:g}), gain "
            f"{100 * scan.gain:.1f} +- {100 * scan.gain_error:.1f} %"
        )
    return plots.r_cut(scans)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in {"r_cut": r_cut}.items():
        with rc_context(plots.STYLE):
            draw().savefig(folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
