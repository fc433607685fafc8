"""Figures that are not rendered, where the bytes of their files are not the subject of a test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from matplotlib.figure import Figure

FIRST_BYTES = {".pdf": b"%PDF-", ".png": b"\x89PNG\r\n\x1a\n"}


def shown(figure: Figure) -> Iterator[Any]:
    """What a figure shows: titles, limits, texts, and the numbers behind lines, areas, points and images."""
    for axes in figure.axes:
        yield axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), axes.get_xlim(), axes.get_ylim()
        yield from ((text.get_text(), text.get_position()) for text in axes.texts)
        yield from (line.get_xydata() for line in axes.lines)
        yield from (p.get_patch_transform().transform(p.get_path().vertices) for p in axes.patches)
        for collection in axes.collections:
            yield collection.get_offsets()
            yield collection.get_array()
            yield from (path.vertices for path in collection.get_paths())
        yield from (image.get_array() for image in axes.images)


_rendered = Figure.savefig


def _describe(figure: Figure, path: Any, **options: Any) -> None:
    if not isinstance(path, str | Path):  # drawn into a page, which is the subject where it is made
        return _rendered(figure, path, **options)
    digest = hashlib.sha256()
    for part in shown(figure):
        digest.update(
            np.ma.filled(part, np.nan).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        )
    Path(path).write_bytes(FIRST_BYTES[Path(path).suffix] + digest.digest())
    return None


@contextmanager
def not_rendered() -> Iterator[None]:
    """A figure's files hold a digest of what it shows, which takes a thousandth of the time."""
    with mock.patch.object(Figure, "savefig", _describe):
        yield
