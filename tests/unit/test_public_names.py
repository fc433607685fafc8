"""The public names exist, each one where it is promised, and none loads ROOT by being looked up."""

import subprocess
import sys

import pytest

import na64root


@pytest.mark.parametrize("name", na64root.__all__)
def test_every_public_name_is_there(name):
    assert getattr(na64root, name) is not None
    assert name in dir(na64root)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        na64root.no_such_name  # noqa: B018


def test_looking_up_every_name_does_not_import_root():
    code = """
import sys, na64root
for name in na64root.__all__:
    getattr(na64root, name)
sys.exit('ROOT' in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
