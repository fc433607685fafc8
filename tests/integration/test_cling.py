"""Cling at the start and later: what is compiled for the loop over events is optimised."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# CPU seconds of the same loop, compiled before and after optimisation is asked for.
MEASURE = """
import json, os, time
from na64root import cling
ROOT = cling.root()

def seconds(name):
    getattr(ROOT, name)(1)  # compiled, with the call from Python
    started = time.process_time()
    getattr(ROOT, name)(60_000_000)
    return time.process_time() - started

code = "int %s(int n) { int s = 0; for (int i = 0; i < n; ++i) s += (i ^ 5) * (i & 7); return s; }"
cling.declare(code % "before", optimised=False)
before = seconds("before")
cling.declare(code % "after")
print(json.dumps([before, seconds("after"), os.environ.get("EXTRA_CLING_ARGS")]))
"""


@pytest.mark.parametrize("chosen", [None, "-O0"])
def test_code_is_optimised_when_it_is_asked_for_and_the_user_can_choose(chosen):
    environment = {name: value for name, value in os.environ.items() if name != "EXTRA_CLING_ARGS"}
    if chosen:
        environment["EXTRA_CLING_ARGS"] = chosen
    printed = subprocess.run(
        [sys.executable, "-c", MEASURE], env=environment, check=True, capture_output=True, text=True
    ).stdout
    before, after, left = json.loads(printed)
    assert left == chosen  # processes that are started from here see what the user set
    assert (before / after > 2.0) == (chosen is None), (before, after)
