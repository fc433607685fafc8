"""Every error that reading and selecting can end in is provoked by some test, and says what to do."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from na64root import ntuple, selection
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import ConfigError, DataError
from na64root.selection.n_minus_one import FailedCuts
from support.layouts import table
from support.tree_a import event, write_tree

PACKAGE = Path(__file__).parents[2] / "python" / "na64root"
TESTS = Path(__file__).parents[1]
ERRORS = ("DataError", "UnknownLayoutError", "ConfigError", "Na64Error")
VALUE = "\0"  # in place of what a message is filled with
# So many characters of a message have to be in a test, for it to be that message.
ENOUGH = 14


def text_of(node: ast.AST | None, names: dict[str, list[str]]) -> str:
    """The text of a message, with VALUE for what is not known here; `names` are those of the function."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, names) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, names) if isinstance(node.value, ast.Name) else VALUE
    if isinstance(node, ast.BinOp):
        return text_of(node.left, names) + text_of(node.right, names)
    if isinstance(node, ast.IfExp):
        return text_of(node.body, names) + VALUE + text_of(node.orelse, names)
    if isinstance(node, ast.Name):
        return VALUE.join(["", *names.get(node.id, []), ""])
    return VALUE


@functools.cache
def sites() -> list[tuple[str, str]]:
    """Where an error is raised, and its message."""
    found = []
    for path in sorted(
        [*PACKAGE.glob("ntuple/*.py"), *PACKAGE.glob("selection/*.py"), PACKAGE / "inputs.py"]
    ):
        tree = ast.parse(path.read_text("utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            names: dict[str, list[str]] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    names.setdefault(node.targets[0].id, []).append(text_of(node.value, {}))
            for node in ast.walk(function):
                error = node.exc if isinstance(node, ast.Raise) else None
                if isinstance(error, ast.Call) and getattr(error.func, "id", None) in ERRORS:
                    both = error.args[: 2 if error.func.id == "UnknownLayoutError" else 1]  # type: ignore[attr-defined]
                    message = ": ".join(text_of(part, names) for part in both)
                    found.append((f"{path.parent.name}/{path.name}:{function.name}", message))
    return sorted(set(found))


def words_in_tests() -> list[str]:
    """Texts of all tests, regular expressions taken apart into what they want literally."""
    words = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 400:
                for part in re.split(r"\.[*+]|\||\n|\\[wSd][*+]?", node.value):
                    words.add(re.sub(r"\\(.)", r"\1", part).strip("^$"))
    return sorted(words)


def test_every_message_is_one_of_a_test():
    pieces = {word[i : i + ENOUGH] for word in words_in_tests() for i in range(len(word) - ENOUGH + 1)}
    unknown = []
    for site, message in sites():
        parts = [part for part in message.split(VALUE) if len(part) >= ENOUGH]
        own = {part[i : i + ENOUGH] for part in parts for i in range(len(part) - ENOUGH + 1)}
        if parts and not own & pieces:
            unknown.append(f"{site}: {re.sub(f'{VALUE}+', '...', message)}")
    assert unknown == []
    assert len(sites()) > 100


def test_every_message_has_a_way_out():
    """Behind the last colon, unless what is raised was put together elsewhere."""
    without = []
    for site, message in sites():
        told = re.sub(f"{VALUE}+", VALUE, message)
        problem, colon, way_out = told.rpartition(": ")
        if VALUE not in (told, way_out) and not (colon and problem and len(way_out.strip(VALUE)) >= 5):
            without.append(f"{site}: {told.replace(VALUE, '...')}")
    assert without == []


# Those that no other test is about


def with_facts(path: Path, *facts: object) -> str:
    """A file that says of itself what files of na64root say, as hadd leaves it of several of them."""
    file = root().TFile.Open(str(path), "RECREATE")
    for one in facts:
        root().TNamed("na64root", json.dumps(one)).Write("na64root")
    file.Close()
    return str(path)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            [{"skim_cut": "ecal", "events": 1}, {"skim_cut": "veto", "events": 1}],
            "after different cuts .veto, ecal.: give the skims one by one",
        ),
        ([{"skim_cut": "ecal", "events": 1}, {"events": 1}], "merged of skims and other files"),
        ([{"events": 1}, {}], "one does not say how many events it had"),
    ],
)
def test_merged_files_that_cannot_be_counted_together(tmp_path, facts, message):
    with pytest.raises(DataError, match=message):
        ntuple.about(with_facts(tmp_path / "merged.root", *facts))


def test_what_a_file_says_that_is_not_understood_is_nothing(tmp_path):
    assert ntuple.about(with_facts(tmp_path / "file.root", ["no", "facts"])) is None


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"is a folder \(files are needed\): give '.*/\*.root'$"):
        ntuple.expand([str(tmp_path)])
    with pytest.raises(DataError, match=r"^cannot read .*/none.root \(no such file\): check the path$"):
        ntuple.expand([str(tmp_path / "none.root")])
    with pytest.raises(DataError, match=r"^cannot read /dev/null \(no regular file\): check the path$"):
        ntuple.expand(["/dev/null"])
    # A file of which nothing can be read, for root too.
    with pytest.raises(DataError, match=r"^cannot read /proc/self/mem \(.*error\): check the file$"):
        ntuple.open_ntuple(["/proc/self/mem"])


def test_a_truncated_file_is_damaged(tmp_path):
    path = Path(write_tree(tmp_path / "file.root", [event()] * 20))
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError) as caught:
        ntuple.open_ntuple([str(path)])
    assert str(caught.value) == (
        f"{path} is damaged (truncated or not closed by its writer): make or copy it again"
    )


def test_a_branch_of_another_type_has_a_way_out(tmp_path):
    path = write_tree(tmp_path / "file.root", [event()], types={"ecalTotal": "I"})
    with pytest.raises(DataError, match=r"Double_t or Float_t is expected\): correct the ntuple$"):
        ntuple.open_ntuple([path])


def card_with(tmp_path: Path, text: str) -> object:
    path = tmp_path / "card.toml"
    path.write_text(f'extends = "paper2021"\n{text}', "utf-8")
    return load_card(path)


def test_what_a_card_computes_can_throw_without_damage(tmp_path):
    """An exception of an expression is no damage of the file."""
    path = write_tree(tmp_path / "file.root", [event()] * 3)
    cut = '[[selection.declared]]\nname = "own"\nafter = "trigger"\nexpression = "SRD_ene.at(9) > 0"\n'
    with pytest.raises(DataError, match="^cannot read all events of ") as caught:
        selection.select([path], card_with(tmp_path, cut))
    assert str(caught.value).endswith(": correct what the card computes of them (cuts, columns, mapping)")
    assert "damaged" not in str(caught.value)
    # An array of another length than the mapping says.
    mapped = table("tree", {"SRD_ene": '{ expression = "ROOT::RVecD{1.0}" }'}).replace(
        "[layout]", '[layout]\nbase = "A"'
    )
    with pytest.raises(
        DataError, match=r"^cannot read all events of .*1 numbers in an event.*: correct the mapping$"
    ):
        selection.select([path], card_with(tmp_path, mapped))


def test_cuts_have_a_bit_each():
    cuts = [SimpleNamespace(condition=True)] * 65
    with pytest.raises(ConfigError, match=r"S1 has 65 cuts \(at most 64 are possible\): declare fewer"):
        FailedCuts(None, {"S1": cuts})  # type: ignore[arg-type, list-item]
