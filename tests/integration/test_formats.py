"""TTree and RNTuple: the same columns and events, read and analysed alike; a bad RNTuple is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from na64root import load_card, ntuple, selection
from na64root.cling import declare, root
from na64root.errors import ConfigError, DataError
from na64root.simulation import simulate
from na64root.simulation.core_config import Signal
from na64root.simulation.options import GunOptions, PseudodataOptions, SignalOptions
from na64root.simulation.writer import EventFile
from na64root.work import Work
from support.layouts import card_of
from support.planted import all_events, expected_flow, flow_of
from support.tree_a import write_tree

CARD = load_card()
FEW = {"2016": 4e8, "2017": 4e8, "2018": 8e8}
TYPE_NAMES = {"Double_t": "double", "Bool_t": "bool", "UInt_t": "std::uint32_t", "Int_t": "std::int32_t"}


def signal(path, format, threads=1, **options):
    wanted = SignalOptions(**({"events": 1500} | options))
    return simulate.signal(
        CARD, EventFile(path, format=format), Signal(0.39, 6e-3), wanted, work=Work(threads=threads)
    )


def gun(path, format, threads=1):
    wanted = GunOptions(particle="e-", energy_GeV=20.0, volume="hcal2", events=700)
    return simulate.gun(CARD, EventFile(path, format=format), wanted, work=Work(threads=threads))


def background(path, format, threads=1):
    wanted = PseudodataOptions(eot=FEW, weighted=True)
    return simulate.pseudodata(CARD, EventFile(path, format=format), wanted, work=Work(threads=threads))


def injected(path, format, threads=1):
    wanted = PseudodataOptions(eot=FEW, inject=Signal(0.2, 0.1))
    return simulate.pseudodata(CARD, EventFile(path, format=format), wanted, work=Work(threads=threads))


def types_of(path) -> dict[str, str]:
    frame = root().RDataFrame("tree", str(path))
    types = {str(name): str(frame.GetColumnType(name)) for name in frame.GetColumnNames()}
    for old, new in TYPE_NAMES.items():
        types = {name: text.replace(old, new) for name, text in types.items()}
    return {name: text.replace("<int>", "<std::int32_t>") for name, text in types.items()}


def content_of(path) -> dict[str, np.ndarray]:
    data = root().RDataFrame("tree", str(path)).AsNumpy()
    return {
        name: np.concatenate([np.asarray(v) for v in values]) if values.dtype == object else values
        for name, values in data.items()
    }


@pytest.mark.parametrize("simulated", [signal, gun, background, injected])
def test_both_formats_and_any_threads_give_the_same_columns_and_events(tmp_path, simulated):
    one, other = tmp_path / "tree.root", tmp_path / "ntuple.root"
    records = simulated(one, "ttree", threads=1), simulated(other, "rntuple", threads=3)
    assert records[0].events == records[1].events > 512  # more than threads make at once
    assert records[0].weights_sum == records[1].weights_sum
    assert types_of(one) == types_of(other)
    expected, found = content_of(one), content_of(other)
    assert len(expected) > 50
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    again = tmp_path / "threads.root"
    simulated(again, "ttree", threads=3)
    for name, values in content_of(again).items():
        np.testing.assert_array_equal(expected[name], values, err_msg=name)


def test_the_selection_does_not_depend_on_the_format(tmp_path):
    """Cut flow with weights, counts, candidates, histograms: everything but the name of the file."""
    results = []
    for format in ("ttree", "rntuple"):
        injected(tmp_path / f"{format}.root", format)
        results.append(selection.select([str(tmp_path / f"{format}.root")], CARD, work=Work(threads=2)))
    left, right = (r.model_dump(exclude={"files"}) for r in results)
    assert left == right
    assert sum(count.observed for count in results[0].counts) > 10
    assert len(results[0].candidates) > 10


def test_an_rntuple_is_inspected_and_compressed(tmp_path):
    path = tmp_path / "signal.root"
    signal(path, "rntuple")
    record = ntuple.inspect([str(path)], CARD)
    assert record.branches_missing == []
    assert record.entries == 1500
    assert record.can_evaluate.S1
    assert record.can_evaluate.S2
    declare("""
    #include "ROOT/RNTupleReader.hxx"
    std::uint32_t compression_of(const char *path) {
        const auto reader = ROOT::RNTupleReader::Open("tree", path);
        const auto &cluster = *reader->GetDescriptor().GetClusterIterable().begin();
        return cluster.GetColumnRange(0).GetCompressionSettings().value();
    }
    """)
    assert root().compression_of(str(path)) // 100 == 5  # ZSTD
    file = root().TFile.Open(str(path))
    assert '"mass_GeV": 0.39' in str(file.Get("na64root").GetTitle())
    file.Close()


def test_an_unknown_format_leaves_no_file(tmp_path):
    for simulated in (signal, gun, background):
        with pytest.raises(ConfigError, match="no format csv"):
            simulated(tmp_path / "x.root", "csv")
    assert list(tmp_path.iterdir()) == []


# Bad RNTuples


def error_of(inputs: list[str]) -> str:
    """The message of the DataError that select() and inspect() raise; it is one line."""
    messages = []
    for read in (selection.select, ntuple.inspect):
        with pytest.raises(DataError) as caught:
            read(inputs, CARD)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "\n" not in messages[0]
    return messages[0]


def planted(path: Path, fields: dict[str, str], entries: int = 1) -> str:
    ROOT = root()
    model = ROOT.RNTupleModel.Create()
    for name, kind in fields.items():
        model.AddField(ROOT.RFieldBase.Create(name, kind).Unwrap())
    writer = ROOT.RNTupleWriter.Recreate(ROOT.std.move(model), "tree", str(path))
    entry = writer.CreateEntry()
    for _ in range(entries):
        writer.Fill(entry)
    writer.CommitDataset()
    return str(path)


FIELDS = {"run": "std::uint32_t", "spill": "std::uint32_t", "spillevent": "std::uint32_t"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ecalTotal": "std::int32_t"}, "ecalTotal|Int_t (Double_t or Float_t is expected)"),
        ({"run": "double"}, "run|Double_t (an integer is expected)"),
        ({"VETO_ene": "std::array<double,3>"}, "VETO_ene|Double_t[3] (Double_t or Float_t, [6] is expected)"),
        ({"VETO_ene": "std::vector<std::int32_t>"}, "VETO_ene|Int_t[6] (Double_t or Float_t, [6]"),
    ],
)
def test_other_types_and_lengths(tmp_path, fields, message):
    path = planted(tmp_path / "file.root", FIELDS | fields)
    branch, rest = message.split("|")
    assert f"branch {branch} in {path} is {rest}" in error_of([path])


def test_missing_fields_no_entries_and_mixed_chains(tmp_path):
    path = planted(tmp_path / "file.root", {"run": "std::uint32_t", "spill": "std::uint32_t"})
    assert f"{path} has no branch spillevent" in error_of([path])
    empty = planted(tmp_path / "empty.root", FIELDS, entries=0)
    assert f"{empty} has no entries" in error_of([empty])
    tree, other = tmp_path / "tree.root", tmp_path / "other.root"
    signal(tree, "ttree", events=10)
    signal(other, "rntuple", events=10)
    message = error_of([str(tree), str(other)])
    assert f"{other} holds an RNTuple, {tree} a TTree" in message


def test_flipped_and_cut_bits_never_crash_and_never_pass(tmp_path):
    """An RNTuple has checksums: where a file is read, its counts are those of the whole file."""
    good = tmp_path / "good.root"
    injected(good, "rntuple")
    counts = selection.select([str(good)], CARD).cutflow
    content = good.read_bytes()
    rng = np.random.default_rng(6)
    refused: dict[Path, str] = {}
    for number in range(20):
        damaged = bytearray(content)
        for position in rng.integers(4, len(content), rng.integers(1, 3)):
            damaged[position] ^= 1 << rng.integers(0, 8)
        path = tmp_path / f"{number}.root"
        path.write_bytes(damaged if number else content[: len(content) // 2])
        try:
            assert selection.select([str(path)], CARD, work=Work(threads=2)).cutflow == counts
        except DataError as error:
            refused[path] = str(error)
    assert all(str(path) in message and "\n" not in message for path, message in refused.items())
    assert tmp_path / "0.root" in refused
    assert len(refused) > 5


def as_snapshot(plain: str, path: str) -> None:
    options = root().RDF.RSnapshotOptions()
    options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    root().RDataFrame("tree", plain).Snapshot("tree", path, "", options)


def as_importer(plain: str, path: str) -> None:
    root().ROOT.Experimental.RNTupleImporter.Create(plain, "tree", path).Import()


def as_uproot(plain: str, path: str) -> None:
    import uproot

    with uproot.open(plain) as source, uproot.recreate(path) as target:
        target.mkrntuple("tree", source["tree"].arrays(library="np"))


@pytest.mark.parametrize("write", [as_snapshot, as_importer, as_uproot])
def test_rntuples_of_others_are_of_layout_a(tmp_path, planted_tree, write):
    """Arrays as RVec, as std::array, and as std::array of std::array."""
    path = str(tmp_path / "other.root")
    write(planted_tree, path)
    for threads in (1, 2):
        found = selection.select([path], CARD, work=Work(threads=threads))
        assert flow_of(found) == expected_flow()


def test_an_rntuple_whose_arrays_have_another_shape_is_named(tmp_path):
    code = (
        "void na64root_test_shape(const char *path) { auto model = ROOT::RNTupleModel::Create();"
        ' for (auto n : {"run", "spill", "spillevent"}) model->MakeField<std::uint32_t>(n);'
        ' model->MakeField<std::array<std::array<std::array<double, 2>, 6>, 6>>("ECAL_ene");'
        ' auto w = ROOT::RNTupleWriter::Recreate(std::move(model), "tree", path); w->Fill(); }'
    )
    declare(f"#include <ROOT/RNTupleModel.hxx>\n#include <ROOT/RNTupleWriter.hxx>\n{code}")
    root().na64root_test_shape(str(tmp_path / "shape.root"))
    with pytest.raises(
        DataError, match=r"ECAL_ene in .* is Double_t\[6\]\[6\]\[2\] .*\[2\]\[6\]\[6\] is expected"
    ):
        ntuple.open_ntuple([str(tmp_path / "shape.root")])


@pytest.mark.parametrize("mapped", [False, True])
def test_doubles_in_fewer_bits_are_read(tmp_path, mapped):
    codes = {"ecalTotal": "d", "hcal0": "d", "hcal1": "d", "showerChi2": "f"}
    codes |= {"ECAL_ene": "d", "HCAL_ene": "f"}
    path = write_tree(tmp_path / "packed.root", all_events(), types=codes)
    text = '[layout]\ntree = "tree"\nbase = "A"\n' + "[layout.branches]\n" * mapped
    text += "".join(f'{name} = "{name}"\n' for name in codes if mapped)
    found = selection.select([path], card_of(tmp_path, text) if mapped else CARD)
    counted = {key: n for key, n in flow_of(found).items() if key[2] in ("trigger", "straw", "srd")}
    assert counted == {key: n for key, n in expected_flow().items() if key in counted}
