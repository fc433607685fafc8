"""Verbs that read ntuples: analyze, select, inspect, quality, background."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from . import tables
from .options import BLIND, ENGINE, EOT, FILES, FORMAT, INPUT, LIMIT, MODEL, OUTLIERS, exposure_option, need
from .verb import Common, application, verb

if TYPE_CHECKING:
    from ..records import Record
    from ..signal import Mode
    from ..simulation.writer import Format


@verb(application, "analyze", example="na64root analyze data.root --eot 2018=1.87e11 -o results",
       show=tables.show_analysis, keeps=True)  # fmt: skip
@FILES
@EOT
@INPUT
@click.option(
    "--pseudodata", is_flag=True, help="Write a pseudo-data ntuple into the output folder, analyse it."
)
@click.option(
    "--signal",
    "signal_files",
    multiple=True,
    metavar="FILE",
    help="Simulated signal in place of the chain's; may be repeated.",
)
@click.option(
    "--signal-mass-GeV",
    "signal_mass_GeV",
    type=float,
    help="A' mass of --signal, for files of another simulation.",
)
@click.option("--signal-epsilon", type=float, help="Kinetic mixing of --signal, likewise.")  # fmt: skip
@OUTLIERS
@click.option(
    "--systematics",
    is_flag=True,
    help="Also vary the card's systematic sources, in the events and in --signal.",
)
@click.option(
    "--mode",
    type=click.Choice(["semivisible", "invisible"]),
    default="semivisible",
    show_default=True,
    help="invisible: A' -> invisible, limit and plane of S2 alone.",
)
@MODEL
@LIMIT
@ENGINE
@BLIND
def _analyze(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    pseudodata: bool,
    signal_files: tuple[str, ...],
    signal_mass_GeV: float | None,
    signal_epsilon: float | None,
    exclude_outlier_spills: bool,
    systematics: bool,
    mode: Mode,
    blind: bool,
) -> Record:
    """The whole chain: read, select, count, limits, exclusion plane, figures.

    FILES are NA64 ntuples: paths, globs, text files of paths, or root:// addresses.
    """
    from ..analyze import AnalysisOptions, DataOptions, SignalFiles, analyze

    signal = SignalFiles(signal_files, signal_mass_GeV, signal_epsilon) if signal_files else None
    if signal is None and (signal_mass_GeV is not None or signal_epsilon is not None):
        raise ConfigError(
            "--signal-mass-GeV or --signal-epsilon without --signal (no sample): give its files"
        )
    if bool(files) == pseudodata:
        raise click.UsageError("give FILES to analyse, or --pseudodata", click.get_current_context())
    data = DataOptions(exposure_option(common.card, eot), exclude_outlier_spills, systematics, blind)
    options = AnalysisOptions(data, pseudodata, signal, mode)
    return analyze(files, common.card, common.results, options, work=common.work)


@verb(application, "select", example="na64root select data.root --skim selected.root -o selection",
       show=tables.show_selection, keeps=True)  # fmt: skip
@FILES
@EOT
@INPUT
@click.option(
    "--skim",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.root",
    help="Also write the events that pass S1 or S2, with all branches.",
)
@click.option("--skim-cut", metavar="CUT", help="Skim the events that pass the cuts up to this one.")
@FORMAT
@ENGINE
@BLIND
def _select(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    skim: Path | None,
    skim_cut: str | None,
    format: Format,
    blind: bool,
) -> Record:
    """Cut flow, N-1 distributions, planes of ECAL against HCAL energy, and a skim, in one event loop.

    FILES as for analyze. Cuts of your own and thresholds of single run periods: docs/selection.md.
    """
    from ..reports.selection_report import report
    from ..selection import SelectionOptions
    from ..selection.skim import Skim

    if not files:
        raise click.UsageError("give FILES to select from", click.get_current_context())
    if skim is None and skim_cut is not None:
        raise ConfigError("--skim-cut without --skim (no file): name the file to write by --skim")
    options = SelectionOptions(
        eot=exposure_option(common.card, eot),
        n_minus_one=True,
        skim=None if skim is None else Skim(skim, skim_cut, rntuple=format == "rntuple", force=common.force),
        blind=blind,
    )
    return report(files, common.card, common.results, options, work=common.work)


@verb(application, "inspect", example="na64root inspect data.root", show=tables.show_inspection)
@FILES
@INPUT
def _inspect(common: Common, files: tuple[str, ...]) -> Record:
    """What the files hold: schema, missing branches, runs, periods, spills, what can be evaluated; every tree
    with its branches, their types, ranges and odd values; histograms and folders.

    For a tree of an unknown layout it proposes the table [layout] of a card, with a reason for each line.
    """
    from ..ntuple import inspect

    need(files)
    return inspect(files, common.card)


@verb(application, "background", example="na64root background data.root --mc background.root -o background",
       show=tables.show_backgrounds)  # fmt: skip
@FILES
@EOT
@INPUT
@click.option("--mc", multiple=True, metavar="FILE", help="Simulated background, for the dimuon yield.")
@click.option("--mc-eot", multiple=True, metavar="PERIOD=N", help="Electrons on target of --mc, likewise.")
@BLIND
def _estimate_backgrounds(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    mc: tuple[str, ...],
    mc_eot: tuple[str, ...],
    blind: bool,
) -> Record:
    """Backgrounds from control regions of the data, and the dimuon yield against a simulation.

    With -o also a figure. The limit takes an estimate where the card's section backgrounds says so.
    """
    from ..reports.figured import estimate_backgrounds

    need(files)
    return estimate_backgrounds(
        files,
        common.card,
        common.results_if_named,
        simulation=mc,
        eot=exposure_option(common.card, eot),
        simulation_eot=exposure_option(common.card, mc_eot),
        blind=blind,
        work=common.work,
    )


@verb(application, "quality", example="na64root quality 'runs/*.root' -o quality", show=tables.show_quality)
@FILES
@INPUT
@BLIND
def _quality(common: Common, files: tuple[str, ...], blind: bool) -> Record:
    """Rate, ECAL and HCAL means of every run and spill; outlier spills, duplicates, events out of order.

    With -o also a figure against the spills.
    """
    from ..reports.figured import assess_quality

    need(files)
    assessed = assess_quality(files, common.card, common.results_if_named, blind=blind)
    for note in assessed.notes:
        logging.getLogger(__name__).warning("%s", note)
    return assessed
