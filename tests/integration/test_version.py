"""The version names the commit that runs: in a checkout at once, in a package since it was built."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.version import Version

import na64root
from na64root import load_card
from na64root.records import provenance

REPOSITORY = Path(__file__).parents[2]
in_checkout = pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a checkout of git")


def git(folder: Path, *arguments: str) -> str:
    """Git, with nothing of the user's configuration."""
    someone = [
        "-c",
        "user.name=Someone",
        "-c",
        "user.email=someone@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    command = ["git", "-C", str(folder), *someone, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def version_in(checkout: Path) -> str:
    """What `version()` says where the package lies in `checkout`."""
    path = checkout / "python" / "na64root" / "version.py"
    spec = importlib.util.spec_from_file_location("version_elsewhere", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.version()


def commit(checkout: Path) -> str:
    """Commit all, and return the hash."""
    git(checkout, "add", "--all")
    git(checkout, "commit", "--allow-empty", "-m", "something")
    return git(checkout, "rev-parse", "HEAD")


def assert_names(version: str, release: str, sha: str) -> None:
    """A version by PEP 440 whose local part is g and the first digits of a commit, and nothing else."""
    parsed = Version(version)
    assert parsed.public == release
    assert parsed.local.startswith("g")
    assert len(parsed.local) > 7
    assert sha.startswith(parsed.local[1:])


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A young repository without a tag."""
    folder = tmp_path / "checkout"
    (folder / "python" / "na64root").mkdir(parents=True)
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    shutil.copy(Path(na64root.__file__).parent / "version.py", folder / "python" / "na64root")
    (folder / ".gitignore").write_text("__pycache__/\n", "utf-8")
    git(folder.parent, "init", "--quiet", str(folder))
    return folder


def test_a_checkout_without_tags_counts_commits_on_the_way_to_the_release(checkout):
    first = commit(checkout)
    assert_names(version_in(checkout), "0.2.0.dev1", first)
    second = commit(checkout)  # nothing is installed anew in between
    assert_names(version_in(checkout), "0.2.0.dev2", second)


def test_uncommitted_changes_are_marked(checkout):
    commit(checkout)
    clean = version_in(checkout)
    with (checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    changed = version_in(checkout)
    assert changed.startswith(f"{clean}.d20")
    Version(changed)


def test_a_tag_decides(checkout):
    commit(checkout)
    git(checkout, "tag", "v0.2.0")
    assert version_in(checkout) == "0.2.0"
    after = commit(checkout)
    assert_names(version_in(checkout), "0.2.1.dev1", after)


def test_a_shallow_clone_names_its_commit(checkout, tmp_path):
    commit(checkout)
    last = commit(checkout)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", checkout.as_uri(), str(shallow))
    assert_names(version_in(shallow), "0.2.0.dev1", last)


def test_what_cannot_be_asked_is_unknown_and_not_an_old_commit(checkout, monkeypatch):
    commit(checkout)
    monkeypatch.setitem(sys.modules, "setuptools_scm", None)
    assert Version(version_in(checkout)).local == "unknown"


def test_without_git_it_is_that_of_the_installed_package(checkout, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"na64root": "7.6.5"}.__getitem__)
    shutil.rmtree(checkout / ".git")
    assert version_in(checkout) == "7.6.5"


@in_checkout
def test_every_result_names_the_commit():
    made = provenance(load_card())
    assert made.version == made.na64root == na64root.__version__
    assert Version(made.version).local.startswith("g")
    sha = git(REPOSITORY, "rev-parse", "HEAD")
    assert sha.startswith(Version(made.version).local[1:].partition(".")[0])


HOOK = "import sys; from scikit_build_core import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def build_hook(folder: Path, hook: str, into: Path) -> Path:
    """What pip has the build backend make in `folder`."""
    command = [sys.executable, "-c", HOOK, hook, str(into)]
    made = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return into / made.stdout.split()[-1]


@in_checkout
def test_an_sdist_keeps_the_version_of_its_commit(tmp_path):
    """Without compiling: the metadata are what pip asks for before it builds the wheel."""
    sdist = build_hook(REPOSITORY, "build_sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (unpacked / ".git").exists()
    metadata = build_hook(unpacked, "prepare_metadata_for_build_wheel", tmp_path) / "METADATA"
    assert HeaderParser().parsestr(metadata.read_text("utf-8"))["Version"] == na64root.__version__
