"""Cling at the start and later: what is compiled for the loop over events is optimised."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# What optimisation does to the code itself, whatever the machine: a call in the last place becomes a jump, so
# that ten calls deep the stack is where it was.
STACK = """
import json, os
from na64root import cling
ROOT = cling.root()

code = (
    "long %s(int calls, long first) { long here = (long)__builtin_frame_address(0);"
    " return calls ? %s(calls - 1, first ? first : here) : first - here; }"
)
cling.declare(code % ("before", "before"), optimised=False)
before = ROOT.before(10, 0)
cling.declare(code % ("after", "after"))
print(json.dumps([before, ROOT.after(10, 0), os.environ.get("EXTRA_CLING_ARGS")]))
"""


@pytest.mark.parametrize("chosen", [None, "-O0"])
def test_code_is_optimised_when_it_is_asked_for_and_the_user_can_choose(chosen):
    environment = {name: value for name, value in os.environ.items() if name != "EXTRA_CLING_ARGS"}
    if chosen:
        environment["EXTRA_CLING_ARGS"] = chosen
    printed = subprocess.run(
        [sys.executable, "-c", STACK], env=environment, check=True, capture_output=True, text=True
    ).stdout
    before, after, left = json.loads(printed)
    assert left == chosen  # processes that are started from here see what the user set
    assert before > 0  # bytes of stack
    assert after == (0 if chosen is None else before)
