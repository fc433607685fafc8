"""Cling takes the public headers of the core: all together, and each without the others before it.

For g++ the same is a test of ctest, which also links them (CMakeLists.txt).
"""

import subprocess
import sys

from na64root import cling

# ROOT starts once; each argument, headers joined by commas, is read by a fork of that process.
CHILD = """
import os, sys
from na64root import cling
root = cling.root()
for headers in sys.argv[1:]:
    code = "".join(f'#include "na64root/{header}"\\n' for header in headers.split(","))
    child = os.fork()
    if child == 0:
        os._exit(0 if root.gInterpreter.Declare(code) else 1)
    if os.waitpid(child, 0)[1] != 0:
        print(headers)
"""


def test_the_public_headers_parse_together_and_alone():
    headers = sorted(path.name for path in (cling.INCLUDE_PATH / "na64root").glob("*.hpp"))
    assert len(headers) > 20
    missing = "no_such_header.hpp"  # that what does not parse is told
    command = [sys.executable, "-c", CHILD, *headers, ",".join(headers), missing]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, [missing]), done.stderr
