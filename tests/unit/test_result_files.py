"""How files of results get into their places: all or none, nothing lost, nothing left, under any name."""

from __future__ import annotations

import os
import shutil
import signal
import stat

import pytest

from na64root.errors import Na64Error
from na64root.inputs import belongs_to_run, note, one_run
from na64root.records import ResultsFolder, files, one_file, renamed_into, together, write_atomically


def text(content: str):
    return lambda path: path.write_text(content)


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    "name",
    [
        "a.root",
        "x" * 250 + ".root",
        "é" * 120,
        "run[1] #?*$~:%\n.root",
        "no suffix",
        ".hidden",
        "-f",
        "a.b" * 80,
    ],
)
def test_any_name_is_written_and_the_writer_sees_a_plain_one(tmp_path, name):
    seen = []

    def write(path):
        seen.append(path.name)
        path.write_text("new")

    write_atomically(tmp_path / name, write)
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "new"
    assert seen[0].isascii()
    assert len(seen[0]) < 20


@pytest.mark.parametrize("mask", [0o002, 0o027, 0o077])
def test_files_have_the_permissions_that_the_user_asks_for(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "one", text("1"))
        with renamed_into(tmp_path, ["two"]) as folder:
            (folder / "two").write_text("2")
            (folder / "two").chmod(0o600)
    finally:
        os.umask(before)
    for name in ("one", "two"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


def test_what_comes_in_the_meantime_is_kept(tmp_path):
    """Two runs into one folder: the second says so, and puts nothing there."""

    def write_both():
        with ResultsFolder(tmp_path).replacing(["a", "b"]) as made:
            (made / "a").write_text("mine")
            (made / "b").write_text("mine")
            (tmp_path / "b").write_text("theirs")

    with pytest.raises(Na64Error, match="b exists"):
        write_both()
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "theirs"

    def write(path):
        path.write_text("mine")
        (tmp_path / "c").write_text("theirs")

    with pytest.raises(Na64Error, match="c exists"):
        write_atomically(tmp_path / "c", write)
    assert (tmp_path / "c").read_text() == "theirs"


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_set_that_cannot_be_placed_leaves_the_old_one(tmp_path, monkeypatch, failure, links):
    for name in ("a", "b", "gone"):
        (tmp_path / name).write_text(f"old {name}")
    put = files._place

    def place(made, where, force):
        if where.name == "new":
            raise failure
        put(made, where, force)

    def no_link(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(files, "_place", place)
    if not links:
        monkeypatch.setattr(files.os, "link", no_link)

    def write():
        with renamed_into(tmp_path, ["a", "gone", "b", "new"]) as made:
            for name in ("a", "b", "new"):
                (made / name).write_text("new")

    with pytest.raises(Na64Error if isinstance(failure, OSError) else KeyboardInterrupt):
        write()
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {
        name: f"old {name}" for name in ("a", "b", "gone")
    }


@pytest.mark.parametrize("force", [True, False])
def test_without_links_a_file_is_moved(tmp_path, monkeypatch, force):
    def no_link(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(files.os, "link", no_link)
    if force:
        (tmp_path / "a").write_text("old")
    write_atomically(tmp_path / "a", text("new"), force=force)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "new"


def test_a_whole_set_takes_the_place_of_the_old_one(tmp_path):
    for name in ("a", "gone", "other"):
        (tmp_path / name).write_text("old")
    with renamed_into(tmp_path, ["a", "gone", "new"]) as made:
        (made / "a").write_text("new")
        (made / "new").write_text("new")
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {
        "a": "new",
        "new": "new",
        "other": "old",
    }


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard", "folder"])
def test_a_file_that_is_read_is_never_replaced(tmp_path, link):
    data = tmp_path / "data" / "data.root"
    data.parent.mkdir()
    data.write_text("data")
    output = data if link == "itself" else tmp_path / "out.root"
    if link == "symbolic":
        output.symlink_to(data)
    elif link == "hard":
        output.hardlink_to(data)
    elif link == "folder":
        (tmp_path / "same").symlink_to(data.parent)
        output = tmp_path / "same" / "data.root"
    with one_run():
        note(data)
        results = ResultsFolder(output.parent, force=True)
        with pytest.raises(Na64Error, match="this run reads"):
            results.require([output.name])
        with pytest.raises(Na64Error, match="this run reads"):
            write_atomically(output, text("new"), force=True)
        with pytest.raises(Na64Error, match="this run reads"), results.replacing([output.name]) as made:
            (made / output.name).write_text("new")
    assert data.read_text() == "data"
    write_atomically(output, text("new"), force=True)  # another run may
    assert output.read_text() == "new"


def test_a_run_does_not_replace_what_it_has_written(tmp_path):
    with one_run():
        write_atomically(tmp_path / "skim", text("skim"))
        with one_run(), pytest.raises(Na64Error, match="has written"):
            write_atomically(tmp_path / "skim", text("table"), force=True)
    assert (tmp_path / "skim").read_text() == "skim"


def test_outside_a_run_nothing_is_remembered(tmp_path):
    (tmp_path / "a").write_text("a")
    note(tmp_path / "a")
    assert not belongs_to_run(tmp_path / "a")


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Na64Error, match="device or a pipe"):
        write_atomically(tmp_path / "pipe", text("new"), force=True)


@pytest.mark.parametrize("name", ["x" * 300, b"donn\xe9es".decode("utf-8", "surrogateescape")])
def test_a_name_that_cannot_be_is_one_line(tmp_path, name):
    for write in (
        lambda: write_atomically(tmp_path / name, text("new")),
        lambda: write_atomically(tmp_path / name / "a", text("new")),
        lambda: ResultsFolder(tmp_path / name).require(["a"]),
        lambda: ResultsFolder(tmp_path).require([name]) or write_atomically(tmp_path / name, text("new")),
    ):
        with pytest.raises(Na64Error) as error:
            write()
        assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fail(error):
        with one_file(tmp_path / "a") as made:
            made.write_text("half")
            raise error

    with pytest.raises(Na64Error, match="took no more"):
        fail(OSError(5, "the file system took no more data"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert names(tmp_path) == []


def killed_at(monkeypatch, number: int, write) -> bool:
    """Run in a fork that SIGKILL ends at the n-th link, rename or removal; whether it came so far."""
    if (child := os.fork()) == 0:
        try:
            left = [number]

            def counted(call):
                def one(*arguments, **options):
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return call(*arguments, **options)

                return one

            for name in ("link", "replace", "unlink", "rmdir"):
                monkeypatch.setattr(files.os, name, counted(getattr(os, name)))
            write()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("several", [False, True])
def test_a_run_that_is_killed_leaves_the_old_set_or_the_new_one(tmp_path, monkeypatch, several):
    old = {"a": "old", "b": "old", "gone": "old", "other": "old"}
    new = {"a": "new", "b": "new", "c": "new", "other": "old"} | ({"d": "new"} if several else {})
    out = tmp_path / "out"

    def write():
        with together(), renamed_into(out, ["a", "b", "c", "gone"]) as made:
            for name in ("a", "b", "c"):
                (made / name).write_text("new")
            if several:
                write_atomically(out / "d", text("new"))

    seen = []
    for number in range(1, 100):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for name, content in old.items():
            (out / name).write_text(content)
        came = killed_at(monkeypatch, number, write)
        write_atomically(out / "next", text(""))  # the next run
        (out / "next").unlink()
        seen.append({name: (out / name).read_text() for name in names(out)})
        assert seen[-1] in (old, new)
        if not came:
            break
    assert seen[0] == old
    assert seen[-1] == new
    assert number > 8


def test_what_another_run_is_writing_is_left_alone(tmp_path):
    with one_file(tmp_path / "a") as made:
        made.write_text("mine")
        write_atomically(tmp_path / "b", text("theirs"))
        assert made.read_text() == "mine"
    assert names(tmp_path) == ["a", "b"]


def test_what_is_written_together_is_there_together(tmp_path):
    (tmp_path / "a").write_text("old")

    def write(fails: bool):
        with together():
            write_atomically(tmp_path / "a", text("new"), force=True)
            with together(), renamed_into(tmp_path / "below", ["b"]) as made:
                (made / "b").write_text("new")
            assert (tmp_path / "a").read_text() == "old"
            if fails:
                raise Na64Error("no")

    with pytest.raises(Na64Error):
        write(fails=True)
    assert names(tmp_path) == ["a", "below"]
    assert names(tmp_path / "below") == []
    assert (tmp_path / "a").read_text() == "old"
    write(fails=False)
    assert (tmp_path / "a").read_text() == (tmp_path / "below" / "b").read_text() == "new"
    assert names(tmp_path / "below") == ["b"]


def test_where_nothing_can_be_renamed_back_what_was_there_is_copied(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    rename, count = os.replace, [0]

    def fails_after_two(source, target):
        count[0] += 1
        if count[0] > 2:
            raise OSError(122, "Disk quota exceeded")
        rename(source, target)

    monkeypatch.setattr(files.os, "replace", fails_after_two)

    def write():
        with renamed_into(tmp_path, ["a", "b"]) as made:
            for name in ("a", "b"):
                (made / name).write_text("new")

    with pytest.raises(Na64Error, match="quota"):
        write()
    assert count[0] > 2
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {"a": "old", "b": "old"}
