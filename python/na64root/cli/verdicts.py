"""The verb verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from .verb import Common, application, verb

if TYPE_CHECKING:
    from rich.console import Console

    from ..records import Record
    from ..verdicts import Verdict


def show_verdict(record: Verdict, console: Console) -> None:
    """The verdict in words, then the events by step."""
    from rich.table import Table

    answer = "excluded" if record.excluded else "not excluded"
    console.print(f"{answer} at {100 * record.confidence_level:g} % CL: {record.why}")
    table = Table("", box=None)
    for column in ("expected", "statistical", "systematic"):
        table.add_column(column, justify="right")
    for name, found in (("S1", record.s1), ("S2", record.s2), ("together", record.total)):
        table.add_row(
            name, f"{found.expected:.4g}", f"± {found.statistical:.2g}", f"± {found.systematic:.2g}"
        )
    console.print(table)
    for signature, steps in record.steps.items():
        console.print(f"{signature}: " + ", ".join(f"{step.step} {step.events:.4g}" for step in steps))
    if record.events is not None:
        for decay, number in record.events.decays.items():
            console.print(f"{number} of {record.events.events} events: {decay}", soft_wrap=True)
    for note in record.notes:
        console.print(f"  note: {note}", soft_wrap=True)


@verb(application, "verdict", show=show_verdict,
      example="na64root verdict --mass-GeV 0.2 --epsilon 1e-3")  # fmt: skip
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("--mass-GeV", "mass_GeV", type=float, help="A' mass, of a model point.")
@click.option("--epsilon", type=float, help="Kinetic mixing, of a point or of Les Houches events.")
@click.option("--alpha-dark", type=float, help="Dark coupling (default: the card's).")
@click.option("--mass-ratio", type=float, help="m_A'/m_chi1 (default: the card's, or of FILE).")
@click.option("--relative-splitting", type=float, help="(m_chi2 - m_chi1)/m_chi1 (default: likewise).")
@click.option("--produced", type=float, help="A' made in the exposure, in all events of FILE.")
def _verdict(
    common: Common,
    file: Path | None,
    mass_GeV: float | None,
    epsilon: float | None,
    alpha_dark: float | None,
    mass_ratio: float | None,
    relative_splitting: float | None,
    produced: float | None,
) -> Record:
    """Whether a model is excluded, and why: a model point, or generated events of anybody.

    FILE has HepMC3 events (.hepmc3[.gz]) with decays and their places, as simulate signal --hepmc writes
    them, or Les Houches events (.lhe[.gz]) of A', which then decay as the model says.
    """
    from ..verdicts import Point, verdict

    dark = {"alpha_dark": alpha_dark, "mass_ratio": mass_ratio, "relative_splitting": relative_splitting}
    if file is not None:
        for name, value in ({"mass_GeV": mass_GeV} | dark).items():
            if value is not None:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} beside {file} (the model is that of the file): leave it out")
        return verdict(file, common.card, epsilon=epsilon, produced=produced, work=common.work)
    if mass_GeV is None or epsilon is None:
        raise click.UsageError(
            "give --mass-GeV and --epsilon, or a FILE of events", click.get_current_context()
        )
    if produced is not None:
        raise ConfigError("--produced without FILE (a point says itself what is made): leave it out")
    return verdict(Point(mass_GeV, epsilon, **dark), common.card, work=common.work)
