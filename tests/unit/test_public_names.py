"""The public names exist, each one where it is promised, and none loads ROOT by being looked up."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def without_docstring(node: ast.Module | ast.ClassDef, place: str) -> Iterator[str]:
    """Public functions and classes, and public methods of these, that do not say what they are."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and not inner.name.startswith("_"):
            if ast.get_docstring(inner) is None:
                yield f"{place}.{inner.name}"
            if isinstance(inner, ast.ClassDef):
                yield from without_docstring(inner, f"{place}.{inner.name}")


def test_everything_public_says_what_it_is():
    package = Path(na64root.__file__).parent
    found = [
        name
        for path in sorted(package.rglob("*.py"))
        for name in without_docstring(ast.parse(path.read_text("utf-8")), path.relative_to(package).stem)
    ]
    assert found == []
