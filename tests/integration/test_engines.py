"""Every engine gives the same records: compiled library, just-in-time strings, threads, a Dask cluster."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from na64root import load_card
from na64root.cling import root
from na64root.config import SIGNATURES
from na64root.errors import ConfigError, DataError
from na64root.event_loop import compiled, library
from na64root.exclusion.grids import Axis, Plane
from na64root.exclusion.planes import scan
from na64root.limits import Bin, CountingModel, upper_limit
from na64root.ntuple import open_ntuple
from na64root.ntuple.facts import about
from na64root.selection import SelectionOptions, engines, select
from na64root.selection.booked import Booked
from na64root.selection.left_out import LeftOut
from na64root.selection.skim import Skim
from na64root.simulation import simulate
from na64root.simulation.core_config import Signal
from na64root.simulation.options import PseudodataOptions, SignalOptions
from na64root.simulation.writer import EventFile
from na64root.work import THREADS, Engine, Work
from support.layouts import (
    ENERGIES,
    MAPPING_OF_B,
    READ,
    card_of,
    numbered_events,
    rntuple_of_a,
    table,
    tree_b,
)
from support.optimisation import optimised
from support.planted import all_events, expected_flow, flow_of, near_thresholds
from support.tree_a import BRANCHES, event, s1_event, write_tree

CARD = load_card()
FEW = {"2016": 4e8, "2017": 4e8, "2018": 8e8}
STRINGS = Engine(just_in_time=True)


def records(path, engine=THREADS, *, card=CARD, threads=1) -> dict:
    paths = [str(path)] if isinstance(path, str | Path) else path
    return select(paths, card, work=Work(engine=engine, threads=threads)).model_dump()


def books_in_library(path, card=CARD, options=SelectionOptions()) -> bool:
    ntuple = open_ntuple([str(path)])
    event_loop = engines.EventLoop(Work())
    with event_loop.running(1):
        return isinstance(Booked(ntuple, card, event_loop, options, None).frame, compiled.Node)


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two workers, reached by its address as any other."""
    with Engine("dask").client(2) as client:
        yield client


def at(cluster) -> Engine:
    return Engine("dask", scheduler=cluster.scheduler.address)


def tasks_done(cluster) -> int:
    return sum(cluster.run(lambda dask_worker: dask_worker.state.executed_count).values())


def test_the_planted_tree_on_every_engine(planted_tree, cluster):
    assert books_in_library(planted_tree)
    result = select([planted_tree], CARD)
    assert flow_of(result) == expected_flow()
    expected = result.model_dump()
    for engine, threads in [
        (THREADS, 2),
        (Engine("local"), 2),
        (STRINGS, 1),
        (STRINGS, 2),
        (at(cluster), 1),
    ]:
        assert records(planted_tree, engine, threads=threads) == expected, (engine, threads)


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_pseudo_data_on_every_engine(tmp_path, cluster, format):
    """Weighted events, with an injected signal so that many are selected, in both formats."""
    path = tmp_path / "events.root"
    simulate.pseudodata(
        CARD,
        EventFile(path, format=format),
        PseudodataOptions(eot=FEW, inject=Signal(0.2, 0.1), weighted=True),
    )
    assert books_in_library(path)
    with optimised():
        expected = records(path, STRINGS)
    assert len(expected["candidates"]) > 10
    assert expected["weighted"]
    assert expected["histograms"]["r"]["variances"] is not None
    assert records(path) == expected
    assert records(path, threads=2) == expected
    if format == "rntuple":  # in a TTree: `weighted_parts`, and the slow test below
        assert records(path, at(cluster)) == expected


FULL = SelectionOptions(n_minus_one=True)
OTHER_PERIODS = """
[selection.period.2017]
ecal.s1_max_GeV = { value = 20.0, provenance = "user", source = "a test" }
veto.photomultiplier_balance = { value = 0.4, provenance = "user", source = "a test" }
[selection.period.2018]
ecal.s2_max_GeV = { value = 70.0, provenance = "user", source = "a test" }
srd.modules_below_max = { value = 2, provenance = "user", source = "a test" }
"""


@pytest.mark.parametrize("options", [FULL, replace(FULL, blind=True)], ids=["open", "blind"])
@pytest.mark.parametrize("apart", ["", OTHER_PERIODS], ids=["together", "apart"])
def test_distributions_blinding_and_thresholds_of_periods_are_compiled(
    tmp_path, planted_tree, options, apart
):
    """Every number of the selection, N-1 too, is that of code compiled just in time."""
    card = card_of(tmp_path, apart)
    assert books_in_library(planted_tree, card, options)
    with optimised():
        expected = select([planted_tree], card, options, work=Work(engine=STRINGS)).model_dump()
    assert len(expected["n_minus_one"]) > 4
    for threads in (1, 2):
        assert select([planted_tree], card, options, work=Work(threads=threads)).model_dump() == expected


PERIODS_APART = """
[selection.period.2017]
shower_chi2.chi2_max = { value = 2.0, provenance = "user", source = "a test" }
[selection.period.2018]
shower_chi2.chi2_max = { value = 10.5, provenance = "user", source = "a test" }
"""


def mapped_file(folder: Path, flat: str, format: str) -> tuple[str, str]:
    """The planted tree with other names and in MeV; the mapping that reads it."""
    options = root().RDF.RSnapshotOptions()
    if format == "rntuple":
        options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    frame = root().RDataFrame("tree", flat)
    for name in READ:
        frame = frame.Define(f"my_{name}", f"{name} * 1000.0" if name in ENERGIES else name)
    frame.Snapshot("events", str(folder / "mapped.root"), [f"my_{name}" for name in READ], options)
    mapped = {name: f'"my_{name}"' for name in READ}
    mapped |= {name: f'{{ branch = "my_{name}", unit = "MeV" }}' for name in ENERGIES}
    return str(folder / "mapped.root"), table("events", mapped)


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_a_mapped_planted_tree_on_every_engine(tmp_path, cluster, format):
    """With thresholds of periods: in 2018 an event of each signature with chi2 = 10 passes, in 2017
    no event has less than 2.
    """
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    path, mapping = mapped_file(tmp_path, flat, format)
    card = card_of(tmp_path, mapping + PERIODS_APART)
    flow = expected_flow()
    for signature in SIGNATURES:
        flow["2018", signature, "shower_chi2"] += 1
        flow["2017", signature, "shower_chi2"] = 0
    result = select([path], card)
    assert flow_of(result) == flow
    expected = result.model_dump()
    others = [(THREADS, 2), (STRINGS, 2), *([(at(cluster), 1)] if format == "ttree" else [])]
    for engine, threads in others:
        assert records(path, engine, card=card, threads=threads) == expected, (engine, threads)
    # Layout A with the same thresholds tells the same.
    of_a = records(flat, card=card_of(tmp_path, PERIODS_APART))
    assert {k: v for k, v in of_a.items() if k not in ("files", "input")} == {
        k: v for k, v in expected.items() if k not in ("files", "input")
    }


def test_an_rntuple_of_planted_events_with_threads_and_as_strings(tmp_path):
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    path = rntuple_of_a(tmp_path, flat)
    result = select([path], CARD)
    assert flow_of(result) == expected_flow()
    for engine, threads in [(THREADS, 2), (STRINGS, 1), (STRINGS, 2)]:
        assert records(path, engine, threads=threads) == result.model_dump(), (engine, threads)
    # Each file of a chain is opened where its entries begin.
    copies = [str(shutil.copy(path, tmp_path / f"{i}.root")) for i in range(3)]
    kept = load_card(overrides=["quality.duplicates=keep"])
    assert books_in_library(path, kept)
    for threads in (1, 2):
        flow = flow_of(select(copies, kept, work=Work(threads=threads)))
        assert flow == {row: 3 * events for row, events in expected_flow().items()}


def test_tree_b_with_threads_and_as_strings(tmp_path):
    path = tree_b(tmp_path / "b.root")
    card = card_of(tmp_path, table("ana_tree", MAPPING_OF_B))
    expected = records(path, card=card)
    assert [c["observed"] for c in expected["counts"] if c["period"] == "2018"] == [None, 3]
    for engine, threads in [(THREADS, 2), (STRINGS, 1)]:
        assert records(path, engine, card=card, threads=threads) == expected, (engine, threads)


@pytest.mark.slow
def test_other_inputs_on_a_cluster(tmp_path, cluster):
    """Weighted pseudo-data in a TTree, a mapped RNTuple, an RNTuple of planted events, layout B."""
    pseudodata = tmp_path / "events.root"
    wanted = PseudodataOptions(eot=FEW, inject=Signal(0.2, 0.1), weighted=True)
    simulate.pseudodata(CARD, pseudodata, wanted)
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    mapped, mapping = mapped_file(tmp_path, flat, "rntuple")
    inputs = [
        (pseudodata, CARD),
        (mapped, card_of(tmp_path, mapping + PERIODS_APART)),
        (rntuple_of_a(tmp_path, flat), CARD),
        (tree_b(tmp_path / "b.root"), card_of(tmp_path, table("ana_tree", MAPPING_OF_B))),
    ]
    for path, card in inputs:
        assert records(path, at(cluster), card=card) == records(path, card=card), path


def test_a_branch_named_as_a_word_of_cpp_is_refused_on_a_cluster_alone(tmp_path, cluster):
    path = write_tree(tmp_path / "words.root", [event(), s1_event()], extra={"std": 1.0})
    assert records(path, Engine("threads"))
    with pytest.raises(DataError, match=r"the input has a branch 'std' \(on a cluster .* leave out --engine"):
        records(path, at(cluster))


def test_an_event_that_comes_twice_and_a_spill_left_out(tmp_path, cluster):
    events = [event(spillevent=n) for n in range(2, 100)]
    events += [s1_event(spillevent=7), event(spillevent=7, spill=8), event(spillevent=8, spill=9)]
    path = write_tree(tmp_path / "file.root", events)
    assert books_in_library(path)
    expected = records(path, STRINGS)
    for engine, threads in [(THREADS, 1), (Engine("local"), 2), (STRINGS, 2)]:
        assert records(path, engine, threads=threads) | {"event_loops": 1} == expected
    assert sum(row["events"] for row in expected["cutflow"] if row["period"] == LeftOut.DUPLICATE) == 2
    with pytest.raises(DataError, match=r"1 events .* come twice"):
        records(path, at(cluster))
    keep = load_card(overrides=["quality.duplicates=keep"])
    assert records(path, at(cluster), card=keep) == records(path, card=keep)

    without = [
        select([path], CARD, SelectionOptions(without_spills=[(4000, 8)]), work=Work(engine=engine))
        for engine in (THREADS, STRINGS)
    ]
    assert without[0] == without[1]
    assert any(row.period == LeftOut.SPILL for row in without[0].cutflow)
    # Where events come twice, spills are left out after that is known.
    with pytest.raises(DataError, match=r"1 events .* come twice"):
        select([path], CARD, SelectionOptions(without_spills=[(4000, 8)]), work=Work(engine=at(cluster)))


@pytest.mark.parametrize(
    "omit",
    [
        ["HCAL_ene", "trackMomentum", "straw3X", "straw3Y"],
        ["ECAL_ene", "SRD_ene", "ecal0", "showerChi2"],
        ["isOnSpill", "ecalTotalNoTimecut"],
    ],
)
def test_missing_branches(tmp_path, omit):
    path = write_tree(tmp_path / "file.root", all_events(), omit=omit)
    assert books_in_library(path)
    assert records(path) == records(path, STRINGS)


def test_single_precision_and_other_flags_are_compiled_too(tmp_path):
    types = {name: "F" for name, (code, _) in BRANCHES.items() if code == "D"}
    types |= {"isPhysics": "b", "isTriggerPhysics": "I", "run": "I", "straw3X": "D"}
    path = write_tree(tmp_path / "file.root", all_events(), types=types)
    assert books_in_library(path)
    result = records(path)
    assert result == records(path, STRINGS)
    assert len(result["candidates"]) > 10


def test_other_types_and_cards_are_booked_as_strings(tmp_path, planted_tree):
    """The same counts with branches of types that the library has not, and with cuts that it has not."""
    assert books_in_library(planted_tree)
    expected = records(planted_tree)
    assert len(expected["candidates"]) > 10
    path = write_tree(tmp_path / "file.root", all_events(), types={"straw3X": "b", "straw3Y": "b"})
    assert not books_in_library(path)
    assert records(path)["cutflow"] == expected["cutflow"]
    assert records(path)["candidates"] == expected["candidates"]

    # A tighter threshold, and the same as a cut that a card declares, which the library has not.
    tighter = load_card(overrides=["selection.shower_chi2.chi2_max=3.5"])
    card = tmp_path / "own.toml"
    card.write_text(
        'extends = "paper2021"\n[[selection.declared]]\nname = "own"\nafter = "shower_chi2"\n'
        'expression = "showerChi2 < 3.5"\n'
    )
    own = load_card(card)
    assert books_in_library(planted_tree, tighter)
    assert not books_in_library(planted_tree, own)
    of_library, of_strings = records(planted_tree, card=tighter), records(planted_tree, card=own)
    assert of_strings["candidates"] == of_library["candidates"]
    assert of_strings["counts"] == of_library["counts"]
    assert 0 < len(of_library["candidates"]) < len(expected["candidates"])


def test_thresholds_are_parameters_of_one_library(planted_tree):
    """Another value of every threshold, one library."""
    overrides = [
        "selection.pile_up.out_of_time_max_GeV=0.99",
        "selection.straw.hits_min=2",
        "selection.beam_cell.x=2",
        "selection.srd.module_max_GeV=0.0201",
        "selection.momentum.window_GeV=0.51",
        "selection.preshower.energy_min_GeV=2.9",
        "selection.ecal.s1_max_GeV=30",
        "selection.veto.energy_max_GeV=0.001",
        "selection.veto.photomultiplier_balance=0.9",
        "selection.hcal.s1_signal_min_GeV=30.3",
        "selection.r.r_max=0.01",
        "selection.r.core=single",
        "selection.shower_chi2.chi2_max=3.5",
    ]
    default = records(planted_tree)
    for override in overrides:
        card = load_card(overrides=[override])
        assert books_in_library(planted_tree, card)
        changed = records(planted_tree, card=card)
        assert changed == records(planted_tree, STRINGS, card=card), override
        assert changed["cutflow"] != default["cutflow"], override


def test_a_bin_edge_is_that_of_root(tmp_path):
    """Energies at and next to edges of bins, where rounding decides."""
    edges = np.linspace(0.0, 0.1, 101)
    values = np.concatenate([edges, np.nextafter(edges, 0.0), np.nextafter(edges, 1.0)])
    path = write_tree(
        tmp_path / "file.root", [event(SRD_ene=[v, v, v, 0.0], ecalTotal=1000.0 * v) for v in values]
    )
    assert records(path)["histograms"] == records(path, STRINGS)["histograms"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Three files of many different events, with several baskets in each branch."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(3)
    return [
        write_tree(
            folder / f"{i}.root",
            [
                event(ecalTotal=rng.uniform(0, 100), hcal1=rng.exponential(), spill=i, spillevent=2 + n)
                for n in range(3000)
            ],
        )
        for i in range(3)
    ]


def test_files_read_by_several_threads_are_added_up(chain):
    """Each file is a task, so that both threads have some."""
    expected = select(chain, CARD, work=Work(engine=STRINGS))
    assert select(chain, CARD) == expected
    assert select(chain, CARD, work=Work(threads=2)) == expected
    assert (
        sum(row.events for row in expected.cutflow if (row.cut, row.signature) == ("initial", "S1")) == 9000
    )
    assert len(expected.candidates) > 1000


def test_every_engine_tells_how_far_it_is(chain, cluster, monkeypatch):
    """Also while the loop runs: the time left is estimated from that."""
    monkeypatch.setattr(engines, "_REPORT_SECONDS", 0.0005)
    expected = records(chain)
    for options, threads in [
        ({}, 1),
        ({"just_in_time": True}, 1),
        ({"just_in_time": True}, 2),
        ({"name": "dask", "scheduler": cluster.scheduler.address}, 1),
    ]:
        for _ in range(20):  # whoever follows a loop of milliseconds may sleep through it
            reports = []
            work = Work(
                threads=threads,
                engine=Engine(**options),
                progress=lambda _, reports=reports: lambda *report: reports.append(report),
            )
            assert select(chain, CARD, work=work).model_dump() == expected, options
            assert reports == sorted(reports), options
            assert {events for _, events in reports} == {9000}, options
            assert reports[-1] == (9000, 9000), options
            if within := any(0 < done < 9000 for done, _ in reports):
                break
        assert within, options


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("branch", ["run", "ECAL_ene", "VETO_ene"])
def test_a_basket_in_the_middle_that_cannot_be_unpacked(tmp_path, chain, branch, threads):
    """The loop looks at baskets itself, as it comes to them: one line, in any file, at any stage."""
    file = root().TFile.Open(chain[1])
    found = file.Get("tree").GetBranch(branch)
    assert branch == "run" or found.GetWriteBasket() > 1
    position = found.GetBasketSeek(found.GetWriteBasket() - 1 if branch != "run" else 0)
    file.Close()
    content = bytearray(Path(chain[1]).read_bytes())
    content[position + 90 : position + 110] = bytes(20)
    path = tmp_path / "damaged.root"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^branch {branch} in {path} cannot be read .the file is damaged"):
        select([chain[0], str(path), chain[2]], CARD, work=Work(threads=threads))


def test_without_a_library_strings_are_booked(planted_tree, monkeypatch, caplog):
    expected = records(planted_tree)
    for cached in (library.booking, library._loaded):
        cached.cache_clear()
    monkeypatch.setattr(library, "FLAGS", ("--no-such-flag",))
    with caplog.at_level(logging.WARNING):
        assert not books_in_library(planted_tree)
        assert records(planted_tree) == expected
    for cached in (library.booking, library._loaded):
        cached.cache_clear()
    (message,) = {r.getMessage() for r in caplog.records}
    assert "cannot compile the event loop" in message
    assert "no-such-flag" in message


@pytest.mark.slow
def test_two_processes_build_the_library_at_once(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-c",
        "from na64root.event_loop.library import booking; print(booking() is not None)",
    ]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["True", "True"]
    (made,) = (tmp_path / "na64root").iterdir()
    assert made.suffix == ".so"


@pytest.mark.slow
def test_a_worker_killed_during_the_run_changes_nothing(tmp_path, chain):
    expected = select(chain, CARD).model_dump()
    killed = []
    with Engine("dask").client(2) as client:

        def kill() -> None:
            """One worker, as soon as it works on a part of the loop."""
            deadline = time.monotonic() + 60.0
            while time.monotonic() < deadline and not killed:
                for address, tasks in client.processing().items():
                    if any("mapper" in str(task) for task in tasks):
                        process = client.run(os.getpid, workers=[address])[address]
                        os.kill(process, signal.SIGKILL)
                        killed.append(process)
                        return
                time.sleep(0.01)

        killer = threading.Thread(target=kill)
        killer.start()
        engine = Engine("dask", scheduler=client.scheduler.address)
        found = select(chain, CARD, work=Work(engine=engine)).model_dump()
        killer.join()
    assert len(killed) == 1
    assert found == expected


@pytest.fixture(scope="module")
def weighted_parts(tmp_path_factory):
    """Two files with events near thresholds, of which each has a weight of its own."""
    folder = tmp_path_factory.mktemp("weighted")
    events = near_thresholds(1000, 3)
    paths = []
    for i in range(2):
        plain = write_tree(folder / f"plain{i}.root", events[i::2])
        frame = root().RDataFrame("tree", plain).Define("mcWeight", "0.5 + 0.01 * (spillevent % 97)")
        paths.append(str(folder / f"part{i}.root"))
        frame.Snapshot("tree", paths[-1])
    return paths


def test_spills_left_out_on_every_engine(weighted_parts, cluster):
    every = select(weighted_parts, CARD)
    spills = sorted({(c.run, c.spill) for c in every.candidates})[:2]
    expected = select(weighted_parts, CARD, SelectionOptions(without_spills=spills))
    left_out = [row for row in expected.cutflow if row.period == LeftOut.SPILL]
    assert left_out[0].events > 1
    assert left_out[0].events != left_out[0].weighted
    assert len(expected.candidates) < len(every.candidates)
    assert (
        select(weighted_parts, CARD, SelectionOptions(without_spills=spills), work=Work(engine=at(cluster)))
        == expected
    )


def test_n_minus_one_on_every_engine(weighted_parts, cluster):
    expected = select(weighted_parts, CARD, SelectionOptions(n_minus_one=True))
    assert len(expected.n_minus_one) > 20
    for engine, threads in [(THREADS, 2), (at(cluster), 1)]:
        found = select(
            weighted_parts,
            CARD,
            SelectionOptions(n_minus_one=True),
            work=Work(engine=engine, threads=threads),
        )
        assert found == expected, engine
    blind = [
        select(weighted_parts, CARD, SelectionOptions(n_minus_one=True, blind=True), work=Work(engine=engine))
        for engine in (THREADS, at(cluster))
    ]
    assert blind[0] == blind[1]


@pytest.mark.parametrize(
    ("cut", "options"),
    [
        ("veto", SelectionOptions(n_minus_one=True)),
        ("preshower", SelectionOptions(blind=True, without_spills=[(4000, 1)])),
        (None, SelectionOptions()),
    ],
    ids=["cut", "blind", "selected"],
)
def test_a_skim_of_a_cluster_is_that_of_this_machine(tmp_path, chain, cluster, cut, options):
    """Each file is a task; with what is left out, in the order of the files, and the same facts."""
    made, rows = [], []
    for engine in (THREADS, at(cluster)):
        skim = Skim(tmp_path / f"{engine.name}.root", cut=cut)
        result = select(chain, CARD, replace(options, skim=skim), work=Work(engine=engine))
        made.append(result.skim.events)
        columns = root().RDataFrame("tree", str(skim.path)).AsNumpy(["run", "spill", "spillevent", "hcal1"])
        rows.append(np.stack([columns[name].astype(float) for name in sorted(columns)]))
        assert rows[-1].shape == (4, result.skim.events)
    assert made[0] == made[1] > 500
    assert np.array_equal(*rows)
    facts = [about(str(tmp_path / f"{engine}.root")) for engine in ("threads", "dask")]
    assert facts[0] == facts[1]
    if options.without_spills:
        assert not (rows[0][3] == 1).any()


def test_a_skim_of_a_mapped_tree_with_a_friend_on_a_cluster(tmp_path, cluster):
    path = write_tree(tmp_path / "main.root", numbered_events(), omit=["hcal1"])
    write_tree(tmp_path / "friend.root", numbered_events(), tree_name="f")
    mapping = (
        '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\nhcal1 = "f.hcal1"\n'
        f'[[layout.friends]]\ntree = "f"\nalias = "f"\nfiles = ["{tmp_path}/friend.root"]\n'
    )
    card = card_of(tmp_path, mapping)
    skims = [Skim(tmp_path / f"{name}.root", cut="trigger") for name in ("here", "there")]
    for engine, skim in zip((THREADS, at(cluster)), skims, strict=True):
        events = select([path], card, SelectionOptions(skim=skim), work=Work(engine=engine)).skim.events
        assert events > 10
    for tree in ("tree", "f"):
        here, there = (
            root().RDataFrame(tree, str(skim.path)).AsNumpy(["spillevent", "ecalTotal"]) for skim in skims
        )
        assert len(here["spillevent"]) == events
        assert all(np.array_equal(here[name], there[name], equal_nan=True) for name in here)


@pytest.mark.slow
def test_systematic_variations_on_every_engine(weighted_parts, cluster):
    """Smearing draws from the number of the event, so that neither workers nor parts of the data matter."""
    expected = select(weighted_parts, CARD, SelectionOptions(systematics=True))
    moved = {e.source for e in expected.systematics if e.up != e.nominal}
    assert {"momentum_resolution", "ecal_resolution", "hcal_resolution"} <= moved
    assert (
        select(weighted_parts, CARD, SelectionOptions(systematics=True), work=Work(engine=at(cluster)))
        == expected
    )


@pytest.mark.slow
def test_friend_trees_on_every_engine(tmp_path, weighted_parts, cluster):
    """A worker reads the same events of a tree and of its friends, in clusters of other lengths."""
    calorimeters = [name for name in ENERGIES if name != "trackMomentum"]
    rest = [*(name for name in READ if name not in calorimeters), "mcWeight"]
    paths = []
    for i, part in enumerate(weighted_parts):
        paths.append(str(tmp_path / f"run{i}.root"))
        for tree, path, names, cluster_size in (
            ("events", paths[-1], rest, 100),
            ("calo", str(tmp_path / f"run{i}_calo.root"), calorimeters, 170),
        ):
            options = root().RDF.RSnapshotOptions()
            options.fAutoFlush = cluster_size
            options.fVector2RVec = False
            root().RDataFrame("tree", part).Snapshot(tree, path, names, options)
    mapped = {name: f'"{name}"' for name in rest} | {name: f'"calo.{name}"' for name in calorimeters}
    friends = '[[layout.friends]]\ntree = "calo"\nalias = "calo"\nfiles = ["{folder}/{stem}_calo.root"]\n'
    card = card_of(tmp_path, table("events", mapped) + friends)
    expected = select(paths, card)
    plain = select(weighted_parts, CARD)
    assert expected.cutflow == plain.cutflow
    assert expected.candidates == plain.candidates
    assert len(expected.candidates) > 50
    assert select(paths, card, work=Work(engine=at(cluster))) == expected


def test_truth_columns_on_every_engine(tmp_path, cluster):
    path = tmp_path / "signal.root"
    simulate.signal(CARD, path, Signal(0.39, 6e-3), SignalOptions(events=2000))
    columns = ["mc_depth_X0", "mc_chi2_GeV[0]"]
    one, other = (
        select([str(path)], CARD, SelectionOptions(columns=columns), work=Work(engine=engine))
        for engine in (THREADS, at(cluster))
    )
    assert one == other
    assert all(one.columns[signature].keys() == {"weight", "period", *columns} for signature in SIGNATURES)
    assert sum(len(found["weight"]) for found in one.columns.values()) > 10


def test_a_declared_cut_with_a_header_on_every_engine(tmp_path, chain, cluster):
    (tmp_path / "odd.hpp").write_text(
        "namespace own { inline bool is_odd(unsigned number) { return number % 2 == 1; } }", "utf-8"
    )
    (tmp_path / "card.toml").write_text(
        'extends = "paper2021"\n[[selection.declared]]\nname = "odd"\nafter = "trigger"\n'
        'expression = "own::is_odd(spillevent)"\nheader = "odd.hpp"\n',
        "utf-8",
    )
    card = load_card(tmp_path / "card.toml")
    one = select(chain, card).model_dump()
    assert select(chain, card, work=Work(engine=at(cluster))).model_dump() == one
    flow = {row["cut"]: row["events"] for row in one["cutflow"] if row["period"] == "2018"}
    assert 0 < flow["odd"] < flow["trigger"]


def test_damaged_data_on_a_cluster_is_one_line(tmp_path, chain, cluster):
    file = root().TFile.Open(chain[0])
    position = file.Get("tree").GetBranch("ecalTotal").GetBasketSeek(0)
    file.Close()
    content = bytearray(Path(chain[0]).read_bytes())
    content[position + 90 : position + 110] = bytes(20)
    path = tmp_path / "damaged.root"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^branch ecalTotal in {path} cannot be read"):
        records(path, at(cluster))


@pytest.mark.slow
def test_toys_on_a_cluster_are_those_of_one_process(cluster):
    model = CountingModel((Bin("S1", "S1", "", 1, 0.2, 0.1, 1.0),), signal_uncertainty=0.2)
    how = {"method": "roostats", "precision": 0.2, "expected": False}
    ran_before = tasks_done(cluster)
    on_cluster = upper_limit(model, **how, work=Work(seed=5, engine=at(cluster)))
    assert on_cluster == upper_limit(model, **how, work=Work(seed=5))
    assert on_cluster.toys > 100
    assert tasks_done(cluster) > ran_before  # there, not here


def small_plane(card=CARD) -> Plane:
    x = Axis("mass", 0.05, 0.6, 4)
    return Plane.of_axes(card, x, Axis("epsilon", 1e-5, 1e-2, 6))


def test_a_scan_on_a_cluster_is_that_of_this_machine(tmp_path, cluster):
    """Bit for bit, also where it was interrupted on the cluster and went on here."""
    expected = scan(CARD, small_plane())
    assert expected.g2_excluded_up_to_GeV is not None
    ran_before = tasks_done(cluster)
    with Work(engine=at(cluster)).connected() as work:
        assert scan(CARD, small_plane(), work=work) == expected
        ran = tasks_done(cluster) - ran_before
        assert ran >= 8  # columns of the grid, and of the finer one

        def stop(done, total):
            if done == 3:
                raise KeyboardInterrupt

        kept = tmp_path / "kept"
        with pytest.raises(KeyboardInterrupt):
            scan(CARD, small_plane(), kept=kept, work=replace(work, progress=lambda _: stop))
    assert len(kept.read_text("utf-8").splitlines()) == 1 + 3
    first = []
    resumed = scan(
        CARD, small_plane(), kept=kept, work=Work(progress=lambda _: lambda *done: first.append(done))
    )
    assert resumed == expected
    assert first[0] == (3, 4)


@pytest.mark.slow
def test_a_simulated_scan_on_a_cluster_is_that_of_this_machine(cluster):
    card = load_card(overrides=["signal.acceptance=simulation", "signal.effective_events_min=20",
                                "signal.simulated_events=1000"])  # fmt: skip
    x, y = Axis("mass", 0.2, 0.3, 2), Axis("epsilon", 2e-3, 6e-3, 2)
    plane = Plane.of_axes(card, x, y)
    found = scan(card, plane, expected=False, work=Work(engine=at(cluster)))
    assert found == scan(card, plane, expected=False)


@pytest.mark.slow
def test_a_worker_killed_during_a_scan_changes_nothing(tmp_path):
    expected = scan(CARD, small_plane())
    killed = []
    with Engine("dask").client(2) as client:

        def kill(done, total) -> None:
            """The worker that works, after the first column is done."""
            busy = [address for address, tasks in client.processing().items() if tasks]
            if busy and not killed:
                killed.append(client.run(os.getpid, workers=busy[:1])[busy[0]])
                os.kill(killed[0], signal.SIGKILL)

        engine = Engine("dask", scheduler=client.scheduler.address)
        found = scan(CARD, small_plane(), work=Work(engine=engine, progress=lambda _: kill))
    assert len(killed) == 1
    assert found == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "spark"}, "no engine spark"),
        ({"name": "threads", "scheduler": "tcp://here:1"}, "engine threads has no scheduler"),
    ],
)
def test_engines_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        Engine(**options)


def test_a_scheduler_that_does_not_answer(planted_tree, monkeypatch):
    monkeypatch.setattr("na64root.work._CONNECTION_SECONDS", 1)
    with pytest.raises(ConfigError, match="no Dask scheduler at tcp://127.0.0.1:9 "):
        records(planted_tree, Engine("dask", scheduler="tcp://127.0.0.1:9"))
