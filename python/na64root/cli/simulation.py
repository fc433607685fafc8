"""Verbs that simulate, and the acceptance of the simulated signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from . import tables
from .options import EOT, FORMAT, Numbers, exposure_option, signal_point
from .verb import Common, application, simulate, verb

if TYPE_CHECKING:
    from ..records import Record
    from ..simulation.core_config import ForcedVolume, SignalMode
    from ..simulation.writer import EventFile, Format


def event_file(common: Common, name: str, format: Format, hepmc: Path | None = None) -> EventFile:
    """The file that -o names, where other verbs name a folder; `name` in the default folder without."""
    from ..simulation.writer import EventFile

    return EventFile(common.output or common.results.path / name, format, common.force, hepmc)


@verb(simulate, "signal", show=tables.show_record, keeps=True,
       example="na64root simulate signal --mass-GeV 0.39 --epsilon 6e-3 -n 100000 -o sig.root")  # fmt: skip
@signal_point
@click.option("-n", "--events", type=int, default=10000, show_default=True)
@click.option("--period", default="all", show_default=True, help="A run period, or all by their electrons.")
@click.option("--first-event", type=int, default=0, show_default=True, help="For samples made in parts.")
@EOT
@FORMAT
@click.option(
    "--hepmc",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.hepmc3[.gz]",
    help="Also the generated particles as HepMC3, for another simulation (needs pyhepmc).",
)
@click.option(
    "--lhe",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.lhe[.gz]",
    help="Les Houches events whose A' are taken, one an event, in place of own ones (needs pylhe).",
)
@click.option("--produced", type=float, help="A' made in the exposure, in all events of --lhe.")
def _signal(
    common: Common,
    mass_GeV: float,
    epsilon: float,
    mode: SignalMode,
    forced: ForcedVolume | None,
    events: int,
    period: str,
    first_event: int,
    eot: tuple[str, ...],
    format: Format,
    hepmc: Path | None,
    lhe: Path | None,
    produced: float | None,
) -> Record:
    """Weighted signal events: their mcWeight sums to the expected signal of the exposure."""
    from ..simulation.core_config import Signal
    from ..simulation.options import SignalOptions
    from ..simulation.simulate import signal

    return signal(
        common.card,
        event_file(common, "signal.root", format, hepmc),
        Signal(mass_GeV, epsilon, mode),
        SignalOptions(
            events,
            forced,
            period,
            exposure_option(common.card, eot, total=True),
            first_event,
            lhe,
            produced,
        ),
        work=common.work,
    )


@verb(simulate, "background", show=tables.show_record, keeps=True,
       example="na64root simulate background --eot 1e12 -o background.root")  # fmt: skip
@EOT
@FORMAT
def _background(common: Common, eot: tuple[str, ...], format: Format) -> Record:
    """The classes of pseudo-data, each event weighted with the prescale of its class."""
    from ..simulation.options import PseudodataOptions
    from ..simulation.simulate import pseudodata

    return pseudodata(
        common.card,
        event_file(common, "background.root", format),
        PseudodataOptions(exposure_option(common.card, eot, total=True), weighted=True),
        work=common.work,
    )


@verb(simulate, "pseudodata", example="na64root simulate pseudodata --seed 7 -o pseudodata.root",
       show=tables.show_record, keeps=True)  # fmt: skip
@EOT
@click.option("--inject-mass-GeV", "inject_mass_GeV", type=float, help="Add a signal: A' mass.")
@click.option("--inject-epsilon", type=float, help="Add a signal: kinetic mixing.")
@click.option(
    "--inject-mode",
    type=click.Choice(["semivisible", "invisible", "visible"]),
    default="semivisible",
    show_default=True,
)
@FORMAT
def _pseudodata(
    common: Common,
    eot: tuple[str, ...],
    inject_mass_GeV: float | None,
    inject_epsilon: float | None,
    inject_mode: SignalMode,
    format: Format,
) -> Record:
    """Ntuple of the three run periods as data, both sides of every cut populated.

    Background only, or with a signal injected.
    """
    from ..simulation.core_config import Signal
    from ..simulation.options import PseudodataOptions
    from ..simulation.simulate import pseudodata

    inject = None
    if inject_mass_GeV is not None and inject_epsilon is not None:
        inject = Signal(inject_mass_GeV, inject_epsilon, inject_mode)
    elif inject_mass_GeV is not None or inject_epsilon is not None:
        raise ConfigError(
            "half a signal (mass and mixing belong together): give --inject-mass-GeV and --inject-epsilon"
        )
    return pseudodata(
        common.card,
        event_file(common, "pseudodata.root", format),
        PseudodataOptions(exposure_option(common.card, eot, total=True), inject=inject),
        work=common.work,
    )


@verb(
    simulate,
    "gun",
    show=tables.show_record,
    keeps=True,
    example="na64root simulate gun --particle e- --energy-GeV 20 --volume ecal -n 5000 -o gun.root",
)
@click.option(
    "--particle", required=True, metavar="e-|pair", help="Electron, or e+e- pair of a heavier state."
)
@click.option(
    "--energy-GeV", "energy_GeV", type=float, required=True, help="Of the particle, or of the pair."
)
@click.option("--mass-GeV", "mass_GeV", type=float, help="Of the state that decays to the pair.")
@click.option("--volume", required=True, metavar="ecal|hcal1|hcal2|hcal3", help="Where it starts.")
@click.option(
    "--offset-mm",
    "offset_mm",
    type=Numbers(),
    default="0,0",
    show_default=True,
    metavar="X,Y",
    help="From the middle of the central cell of the volume.",
)
@click.option("-n", "--events", type=int, default=1000, show_default=True)
@click.option("--no-noise", is_flag=True, help="Sampling fluctuations only: no noise, no thresholds.")
@FORMAT
def _gun(
    common: Common,
    particle: str,
    energy_GeV: float,
    mass_GeV: float | None,
    volume: str,
    offset_mm: list[float],
    events: int,
    no_noise: bool,
    format: Format,
) -> Record:
    """Electrons or e+e- pairs in one calorimeter, with the truth that a comparison needs.

    An electron enters through the front of the volume, a pair starts at a uniform depth in it.
    """
    from ..simulation.options import GunOptions
    from ..simulation.simulate import gun

    if len(offset_mm) != 2:
        raise ConfigError("--offset-mm is no pair of numbers (x and y are needed): write --offset-mm 75,0")
    return gun(
        common.card,
        event_file(common, "gun.root", format),
        GunOptions(
            particle,
            energy_GeV,
            volume,
            events,
            mass_GeV,
            offset_mm=(offset_mm[0], offset_mm[1]),
            noise=not no_noise,
        ),
        work=common.work,
    )


@verb(application, "acceptance", show=tables.show_acceptance,
       example="na64root acceptance --mass-GeV 0.39 --epsilon 6e-3 -n 100000 --map map.json")  # fmt: skip
@signal_point
@click.option("-n", "--events", type=int, default=100000, show_default=True, help="To simulate.")
@EOT
@click.option("--r-report", "with_r", is_flag=True, help="What each cause takes by the R cut.")
@click.option("--best-r-cut", "with_best", is_flag=True, help="The cut on R with the best sensitivity of S1.")
@click.option("--best-cuts", "with_cuts", is_flag=True,
              help="Thresholds of S1 and S2 and the cut on R with the best sensitivity of both.")  # fmt: skip
@click.option("--map", "map_file", type=click.Path(path_type=Path), metavar="FILE.json",
              help="Also simulate a map of the efficiency against chi2 energy and c tau.")  # fmt: skip
def _acceptance(
    common: Common,
    mass_GeV: float,
    epsilon: float,
    mode: SignalMode,
    forced: ForcedVolume | None,
    events: int,
    eot: tuple[str, ...],
    with_r: bool,
    with_best: bool,
    with_cuts: bool,
    map_file: Path | None,
) -> Record:
    """Simulated signal selected as data: cut flow, decay volumes, efficiencies, beside the chain.

    With --map also an efficiency map for models of others, -n events for each decade of c tau.
    """
    from ..exclusion.best_cuts import best_cuts
    from ..exclusion.r_cut import best_r_cut
    from ..records import require_replaceable
    from ..simulation.acceptance import AcceptanceReport, efficiency, r_report
    from ..simulation.core_config import Signal

    card, point = common.card, Signal(mass_GeV, epsilon, mode)
    if mode != "semivisible" and (with_r or with_best or with_cuts or map_file is not None):
        raise ConfigError(
            f"--r-report, --best-r-cut, --best-cuts, --map in mode {mode} (they need decays of chi2): leave "
            "them out"
        )
    if eot and (with_best or with_cuts):
        raise ConfigError(
            "--eot beside --best-r-cut or --best-cuts (they are for exposure and backgrounds of the card): "
            "leave it out, or set periods.NAME.eot and the backgrounds that go with it"
        )
    if map_file is not None:
        require_replaceable(map_file, force=common.force)
    found = efficiency(
        card,
        point,
        events=events,
        forced=forced,
        eot=exposure_option(card, eot, total=True),
        work=common.work,
    )
    report = r_report(card, point, events=events, work=common.work) if with_r else None
    best = best_r_cut(card, point, events=events, work=common.work) if with_best else None
    together = best_cuts(card, point, events=events, work=common.work) if with_cuts else None
    if map_file is not None:
        from ..simulation.efficiency_map import make_map

        made = make_map(card, mass_GeV, events=events, work=common.work)
        made.save(map_file, force=common.force)
    return AcceptanceReport(
        **dict(found),
        r_report=report,
        best_r_cut=best,
        best_cuts=together,
        map=None if map_file is None else str(map_file),
    )
