"""root:// addresses, read from a real XRootD server on this machine (Debian's xrootd-server).

CI must have the server; elsewhere the tests are skipped without it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from na64root import load_card, selection
from na64root.simulation import simulate
from na64root.simulation.options import SignalOptions
from na64root.simulation.writer import EventFile
from na64root.work import Work
from support.planted import all_events, expected_flow, flow_of
from support.tree_a import write_tree

SERVER = shutil.which("xrootd")
CONFIG = """
all.export /data
oss.localroot {folder}
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrd.port {port}
xrd.network nodnr
"""

pytestmark = pytest.mark.skipif(
    SERVER is None and os.environ.get("CI") != "true",
    reason="no xrootd here (Debian: apt install xrootd-server)",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Path, str]]:
    """A folder and the address that it is served under."""
    assert SERVER, "CI needs the XRootD server (Debian: apt install xrootd-server)"
    # Not below pytest's folder, into which another user cannot look.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        for name in ("data", "admin"):
            (folder / name).mkdir()
        port = free_port()
        (folder / "server.cfg").write_text(CONFIG.format(folder=folder, port=port))
        command = [SERVER, "-c", str(folder / "server.cfg"), "-l", str(folder / "server.log")]
        if os.getuid() == 0:  # the server refuses to run as root
            command += ["-R", "nobody"]
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "nobody")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        try:
            for _ in range(100):
                assert process.poll() is None, (folder / "server.log").read_text()
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield folder / "data", f"root://localhost:{port}//data"
        finally:
            process.terminate()
            process.wait(20)


def test_a_file_read_from_a_server_gives_the_counts_of_the_local_file(served):
    folder, address = served
    events = all_events()
    path = write_tree(folder / "planted.root", events)
    card = load_card()
    local = selection.select([path], card)
    remote = selection.select([f"{address}/planted.root"], card, work=Work(threads=2))
    assert flow_of(remote) == expected_flow()
    assert remote.candidates == local.candidates
    assert remote.files[0].entries == len(events)


def test_an_rntuple_and_a_list_of_addresses(served, tmp_path):
    from na64root.simulation.core_config import Signal

    folder, address = served
    card = load_card()
    paths = [folder / f"{i}.root" for i in range(2)]
    for i, path in enumerate(paths):
        simulate.signal(
            card,
            EventFile(path, format="rntuple"),
            Signal(0.39, 6e-3),
            SignalOptions(events=300, first_event=300 * i),
        )
    listing = tmp_path / "files.txt"
    listing.write_text("".join(f"{address}/{path.name}\n" for path in paths))
    local = selection.select([str(path) for path in paths], card)
    remote = selection.select([str(listing)], card)
    assert remote.cutflow == local.cutflow
    assert np.sum([row.weighted for row in remote.cutflow if row.cut == "initial"]) > 0.0


def inspected(address: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XRD_CONNECTIONWINDOW": "2", "XRD_CONNECTIONRETRY": "1"}
    command = [sys.executable, "-m", "na64root", "inspect", "--json", address, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_a_missing_file_and_no_server_are_one_line(served, tmp_path):
    folder, address = served
    for missing in (f"{address}/nowhere.root", f"root://localhost:{free_port()}//data/planted.root"):
        done = inspected(missing)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith(f"na64root: cannot open {missing}")
        assert "Traceback" not in done.stderr
    path = write_tree(folder / "good.root", all_events())
    done = inspected(f"{address}/nowhere.root", path, "--skip-bad-files")
    assert done.returncode == 0
    record = json.loads(done.stdout)
    assert [file["path"] for file in record["files_skipped"]] == [f"{address}/nowhere.root"]
    assert "cannot open" in record["files_skipped"][0]["cause"]


def test_a_damaged_file_on_a_server_is_one_line(served):
    folder, address = served
    content = Path(write_tree(folder / "whole.root", all_events())).read_bytes()
    (folder / "short.root").write_bytes(content[: len(content) // 2])
    (folder / "notes.root").write_text("these are my notes\n" * 100)
    for name in ("short.root", "notes.root"):
        done = inspected(f"{address}/{name}")
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()
        assert f"{address}/{name}" in line
