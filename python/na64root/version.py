"""The version of the code that runs, which names its commit."""

from __future__ import annotations

import functools
import sys
import warnings
from importlib import metadata
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]


@functools.cache
def version() -> str:
    """The version by PEP 440, for instance `0.2.0.dev12+gabc1234`.

    `.d` and the date follow where files differ from the commit. An installed package says what setuptools-scm
    made of git when it was built. Of an editable install that is the commit of the day it was installed; so a
    checkout asks again. Without setuptools-scm (the extra `dev`) the commit is `unknown`, not an old one.
    """
    installed = metadata.version("na64root")
    if CHECKOUT / "python" / "na64root" / HERE.name != HERE or not (CHECKOUT / ".git").exists():
        return installed
    try:
        from setuptools_scm import get_version
    except ImportError:
        return f"{installed.partition('+')[0]}+unknown"
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools_scm"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a shallow clone, whose N counts fewer commits
        return str(get_version(root=CHECKOUT, **settings))
