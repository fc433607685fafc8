"""The selection: the card's cuts on NA64-format ntuples, in one event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ..config import SIGNATURES, Card
from ..errors import ConfigError, DataError
from ..ntuple import Input, open_ntuple, reading, require_blind
from ..records import refuse_to_replace, renamed_into
from . import engines
from .booked import Booked
from .exposure import input_exposure
from .left_out import LeftOut
from .records import SelectionResult
from .skim import Skim
from .systematics import Variations


def select(
    inputs: Input,
    card: Card,
    *,
    columns: Sequence[str] = (),
    eot: Mapping[str, float] | None = None,
    without_spills: Collection[tuple[int, int]] = (),
    systematics: bool = False,
    n_minus_one: bool = False,
    skim: Skim | None = None,
    blind: bool = False,
    seed: int = 1,
    threads: int = 1,
    engine: engines.Engine = engines.THREADS,
    force: bool = False,
) -> SelectionResult:
    """Apply the card's selection to NA64-format ntuples. An event that comes twice is counted once.

    Args:
        inputs: paths, globs, text files of paths, root:// addresses; or an input that is opened already.
        columns: what else to give of the selected events: branches beyond the layout (``mc_depth_X0``),
            elements of arrays (``mc_chi2_GeV[0]``).
        eot: exposure of some periods, taken as it is; of others see
            :func:`na64root.selection.exposure.input_exposure`.
        without_spills: run and spill of those that are left out, counted as such in the cut flow.
        systematics: also vary the card's systematic sources, in the same loop.
        n_minus_one: also the N-1 distributions, in the same loop.
        skim: events to write into a file of their own, in the same loop; not on a cluster.
        blind: hide the events in the signal boxes, which are all that pass the cuts `ecal` and `hcal` of a
            signature, whatever its other cuts say.
        seed: of the random numbers of sources that smear.
        threads: threads of the event loop, or workers; the result does not depend on it.
        engine: what runs the event loop; the result does not depend on it either.
        force: replace the file of the skim.

    Raises:
        ConfigError: `eot` names an unknown period or is no number of electrons; `threads` below 1; a declared
            cut that does not compile; the engine's cluster cannot be reached; a skim that would show what is
            hidden.
        DataError: the input cannot be read, or neither signature can be evaluated with its branches; a branch
            of `columns` that is not in the files; a blinded skim without `blind`.
        Na64Error: the skim exists and `force` is not set, or it cannot be written.
    """
    card.exposure(eot)  # before anything is read
    if blind and systematics:
        raise ConfigError(
            "--systematics with --blind (its effects are on the counts in the signal boxes): leave one out"
        )
    if threads < 1:
        raise ConfigError(f"cannot run on {threads} threads (at least one is needed): use --threads 1")
    if skim is not None and engine.name == "dask":
        raise ConfigError(
            "a skim cannot be written on a cluster (engine dask: each worker would write a file of its own): "
            "leave out --skim, or use --engine threads"
        )
    with _beside(skim, force) as skim_path:
        # Runs and spills are read before the loop where they decide on the exposure.
        ntuple = open_ntuple(inputs, card, unpack=False)
        require_blind(ntuple, blind)
        lacking = {s: ntuple.schema.missing_for_signature(s, ntuple.present) for s in SIGNATURES}
        if all(lacking.values()):
            names = ", ".join(dict.fromkeys(lacking["S1"] + lacking["S2"]))
            raise DataError(
                f"{ntuple.paths[0]} allows neither S1 nor S2 (no branch {names}): give an ntuple with them, "
                "or say in [layout] where they are"
            )
        exposure = input_exposure(ntuple, card, eot, without_spills, blind=blind, for_skim=skim is not None)

        def loop() -> tuple[LeftOut, Booked]:
            with reading(ntuple):
                booked = Booked(
                    ntuple,
                    card,
                    columns,
                    without_spills,
                    Variations(card, ntuple, seed) if systematics else None,
                    engine=engine,
                    blind=blind,
                    just_in_time=n_minus_one or skim is not None,
                )
                if n_minus_one or skim is not None:
                    booked.book_failed_cuts(n_minus_one, skim, skim_path, exposure.of_skim)
                booked.run()
            return booked.left_out, booked

        booked, runs = engine.in_order(threads, loop)
        booked.loops *= runs
        with reading(ntuple):
            return booked.result(exposure, lacking)


@contextlib.contextmanager
def _beside(skim: Skim | None, force: bool) -> Iterator[Path | None]:
    """Where the loop writes a skim, which takes its place at the end."""
    if skim is None:
        yield None
        return
    folder, name = skim.path.parent, skim.path.name
    refuse_to_replace(folder, [name], force)
    with renamed_into(folder, [name]) as temporary:
        yield temporary / name
