"""A curve of somebody else's from a file, put over a plane.

The file has rows of two numbers, separated by commas or spaces. Its first line names them, or an option does:
a mass that rises, and a coupling or whatever the plane's other axis is.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

from ..config import Card
from ..errors import ConfigError, DataError
from ..inputs import read_text
from ..records import Overlay, PlaneResult
from ..signal import Parameters
from ..signal.parameters import ELECTRIC_CHARGE
from .grids import COUPLINGS, MASSES, QUANTITIES, epsilon_of_y, y_of_epsilon

# Other names of the quantities of a plane, in small letters.
ALSO_CALLED = {
    "mass_gev": "mass",
    "m_a'": "mass",
    "m_a": "mass",
    "mass1_gev": "mass1",
    "m_chi": "mass1",
    "m_chi1": "mass1",
    "m_chi_gev": "mass1",
    "m_chi1_gev": "mass1",
    "eps": "epsilon",
    "alpha_d": "alpha",
}


@dataclasses.dataclass(frozen=True)
class UserCurve:
    """A file with a curve, the name that it is drawn with, and its columns where it does not name them."""

    path: Path
    name: str
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str, columns: str | None = None) -> UserCurve:
        """From FILE[:NAME]; the name of the file stands for it where it has none.

        Args:
            columns: two names, separated by a comma.

        Raises:
            ConfigError: an empty name, columns that are not two known ones.
        """
        path, colon, name = text, "", ""
        if not Path(text).exists() and ":" in text:
            path, colon, name = text.rpartition(":")
        if colon and not name.strip():
            raise ConfigError(f"--overlay {text} (no name after the colon): give FILE:NAME, or FILE")
        known = _columns(columns.split(","), f"--overlay-columns {columns}") if columns else ()
        return cls(Path(path), name.strip() or Path(path).stem, known)

    def overlay(self, plane: PlaneResult, card: Card) -> Overlay:
        """The curve in the axes of `plane`, converted at the dark sector of its card where they are others.

        Raises:
            DataError: a file that cannot be read or holds no curve.
            ConfigError: columns that cannot be put into this plane, another card than the plane's.
        """
        columns, rows = self._read()
        axes = tuple(plane.plane.split("-"))
        if set(columns) != set(axes):
            self._require_convertible(columns, axes, plane, card)
        parameters = Parameters.of(card)
        contour = [_place(dict(zip(columns, row, strict=True)), axes, parameters) for row in rows]
        return Overlay(
            kind="user",
            source=f"{self.path.name}, given by --overlay",
            caveat=f"as in the file, {' against '.join(reversed(columns))}",
            contour=contour,
        )

    def _require_convertible(
        self, columns: tuple[str, ...], axes: tuple[str, ...], plane: PlaneResult, card: Card
    ) -> None:
        def of_curves(names: tuple[str, ...]) -> bool:
            return bool(set(names) & set(MASSES) and set(names) & set(COUPLINGS))

        if not of_curves(columns) or not of_curves(axes):
            raise ConfigError(
                f"overlay {self.path} has columns {', '.join(columns)} (the plane is {plane.plane}, and "
                "only a mass with epsilon, g or y is put into another such plane): give a file in its axes"
            )
        if plane.provenance.card_sha256 != card.sha256:
            raise ConfigError(
                f"overlay {self.path} in {', '.join(columns)} is converted at the parameters of the plane's "
                f"card ({plane.provenance.card}, which is not {card.card.name} as it is here): give it by "
                "--config and --set"
            )

    def _read(self) -> tuple[tuple[str, ...], list[tuple[float, float]]]:
        """The columns, and the rows."""
        try:
            text = read_text(self.path)
        except OSError as error:
            raise DataError(f"cannot read overlay {self.path} ({error.strerror}): check the path") from None
        except UnicodeDecodeError:
            raise DataError(f"cannot read overlay {self.path} (no UTF-8 text): save it as such") from None
        lines = [
            (number, [part for part in re.split(r"[,;\s]+", line.strip()) if part])
            for number, line in enumerate(text.splitlines(), start=1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        columns = self.columns
        if lines and not _number(lines[0][1][0]):
            header = lines.pop(0)[1]
            columns = columns or _columns(header, f"overlay {self.path}")
        elif not columns:
            if not lines:
                raise DataError(f"overlay {self.path} is empty (no curve): give two rows or more")
            raise DataError(
                f"overlay {self.path} does not name its columns (first line: numbers): begin it with a line "
                "such as mass,epsilon or give --overlay-columns"
            )
        rows = [self._row(number, parts) for number, parts in lines]
        if len(rows) < 2:
            raise DataError(f"overlay {self.path} has {len(rows)} rows (no curve): give two rows or more")
        along = next((i for i, name in enumerate(columns) if name in MASSES), 0)
        for (number, _), row, after in zip(lines[1:], rows, rows[1:], strict=False):
            if not after[along] > row[along]:
                raise DataError(
                    f"overlay {self.path}, line {number}: {columns[along]} {after[along]:g} after "
                    f"{row[along]:g} (must rise): sort the rows"
                )
        return columns, rows

    def _row(self, number: int, parts: list[str]) -> tuple[float, float]:
        where = f"overlay {self.path}, line {number}"
        if len(parts) != 2:
            raise DataError(f"{where}: {len(parts)} values (a curve has two columns): leave out the others")
        try:
            first, second = (float(part) for part in parts)
        except ValueError:
            raise DataError(f"{where}: {' '.join(parts)[:40]} (no numbers): correct it") from None
        for value in (first, second):
            if not (math.isfinite(value) and value > 0.0):
                raise DataError(f"{where}: {value:g} (must be finite and above zero): leave the row out")
        return first, second


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(names: list[str], where: str) -> tuple[str, ...]:
    columns = tuple(ALSO_CALLED.get(name.strip().lower(), name.strip().lower()) for name in names)
    unknown = [name for name, column in zip(names, columns, strict=True) if column not in QUANTITIES]
    if unknown or len(set(columns)) != 2:
        what = f"column {unknown[0].strip()[:40]}" if unknown else f"{len(set(columns))} columns"
        raise ConfigError(f"{where}: {what} (a curve has two of {', '.join(QUANTITIES)}): name them so")
    return columns


def _place(values: dict[str, float], axes: tuple[str, ...], parameters: Parameters) -> list[float]:
    """A row in the axes of the plane."""
    if set(values) == set(axes):
        return [values[axis] for axis in axes]
    ratio = parameters.mass_ratio
    mass = values["mass"] if "mass" in values else values["mass1"] * ratio
    if "epsilon" in values:
        epsilon = values["epsilon"]
    else:
        epsilon = values["g"] / ELECTRIC_CHARGE if "g" in values else epsilon_of_y(values["y"], parameters)
    known = {
        "mass": mass,
        "mass1": mass / ratio,
        "epsilon": epsilon,
        "g": epsilon * ELECTRIC_CHARGE,
        "y": y_of_epsilon(epsilon, parameters),
    }
    return [known[axis] for axis in axes]
