"""The selection: the card's cuts on NA64-format ntuples, in one event loop."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..cling import in_literal_folder
from ..config import SIGNATURES, Card
from ..errors import DataError
from ..inputs import one_run
from ..ntuple import Input, note_files, open_ntuple, reading
from ..records import ResultsFolder, one_file
from ..work import Work
from .blinding import refuse_systematics, require_blind
from .booked import Booked
from .engines import EventLoop
from .exposure import input_exposure
from .left_out import LeftOut
from .options import SelectionOptions
from .records import SelectionResult
from .skim import Skim, skim_of
from .skim_cuts import notes_on_skims
from .systematics import Variations


@one_run()
def select(
    inputs: Input,
    card: Card,
    options: SelectionOptions = SelectionOptions(),
    *,
    work: Work = Work(),
) -> SelectionResult:
    """Apply the card's selection to NA64-format ntuples. An event that comes twice is counted once.

    Args:
        inputs: paths, globs, text files of paths, root:// addresses; or an input that is opened already.
        options: what is wanted beside counts.
        work: how the event loop runs; its seed is of the sources of systematics that smear.

    Raises:
        ConfigError: an unknown period of `options.eot` or no number of electrons; a declared cut that does
            not compile; the engine's cluster cannot be reached; a skim that would show what is hidden.
        DataError: the input cannot be read, or neither signature can be evaluated with its branches; a branch
            of `options.columns` that is not in the files; a blinded skim without `options.blind`.
        Na64Error: the skim exists and is not to be replaced, is read itself, or cannot be written.
    """
    card.exposure(options.eot)  # before anything is read
    refuse_systematics(options.blind, options.systematics)
    note_files(inputs)
    with _beside(options.skim) as skim_path:
        # Runs and spills are read before the loop where they decide on the exposure.
        ntuple = open_ntuple(inputs, card, unpack=False)
        require_blind(ntuple, options.blind)
        lacking = {s: ntuple.schema.missing_for_signature(s, ntuple.present) for s in SIGNATURES}
        if all(lacking.values()):
            names = ", ".join(dict.fromkeys(lacking["S1"] + lacking["S2"]))
            raise DataError(
                f"{ntuple.paths[0]} allows neither S1 nor S2 (no branch {names}): give an ntuple with them, "
                "or say in [layout] where they are"
            )
        exposure = input_exposure(
            ntuple,
            card,
            options.eot,
            options.without_spills,
            blind=options.blind,
            for_skim=options.skim is not None,
        )
        exposure = replace(exposure, notes=[*notes_on_skims(ntuple, card), *exposure.notes])
        event_loop = EventLoop(work)
        skim = None
        if options.skim is not None and skim_path is not None and exposure.of_skim is not None:
            skim = functools.partial(
                skim_of,
                options.skim,
                ntuple,
                card,
                skim_path,
                exposure.of_skim,
                spills=options.without_spills,
                blind=options.blind,
                on_each_file=event_loop.on_each_file,
            )

        def loop() -> tuple[LeftOut, Booked]:
            with reading(ntuple, declared=bool(card.selection.declared)):
                variations = Variations(card, ntuple, work.seed) if options.systematics else None
                booked = Booked(ntuple, card, event_loop, options, variations, skim)
                booked.run()
            return booked.left_out, booked

        booked, runs = event_loop.in_order(loop)
        booked.loops *= runs
        with reading(ntuple, declared=bool(card.selection.declared)):
            return booked.result(exposure, lacking)


@contextlib.contextmanager
def _beside(skim: Skim | None) -> Iterator[Path | None]:
    """Where the loop writes a skim, which takes its place at the end."""
    if skim is None:
        yield None
        return
    ResultsFolder(skim.path.parent, skim.force).require([skim.path.name])
    with one_file(skim.path, force=skim.force) as made:
        yield Path(in_literal_folder(made))
