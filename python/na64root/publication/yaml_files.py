"""The format of HEPData, both ways: https://hepdata-submission.readthedocs.io (schema 1.1).

A submission is `submission.yaml`, whose first document is about all of it and each other one about a table,
and one file of data for each table. Numbers are written so that reading gives the same ones.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import DataError, Na64Error
from ..inputs import note, opened, read_bytes
from ..records import Record
from .tables import Cell, Column, Qualifier, Table, Uncertainty

SUBMISSION = "submission.yaml"

# What stands in a cell without a number.
EMPTY = "-"

# A submission is text: more than that in one file of it is none.
LARGEST_BYTES = 100_000_000


class Resource(Record):
    """A file, or an address, that belongs to a submission; `type` as HEPData names formats of likelihoods."""

    description: str
    location: str
    type: str = ""


class ReadSubmission(Record):
    """What a submission holds."""

    comment: str
    tables: list[Table]
    resources: list[Resource]

    def table(self, name: str) -> Table:
        """The table of that name.

        Raises:
            DataError: there is none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        names = ", ".join(table.name for table in self.tables)
        raise DataError(f"no table {name} in the submission (known: {names}): correct it")


def library() -> Any:
    """The module yaml.

    Raises:
        Na64Error: it is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise Na64Error(f"HEPData needs YAML ({error}): pip install 'na64root[hepdata]'") from None
    return yaml


def file_names(tables: Sequence[Table]) -> list[str]:
    """The file of each table: its number and its name in plain letters."""
    names = []
    for number, table in enumerate(tables, 1):
        signed = table.name.replace(" -", " minus ").replace(" +", " plus ")
        words = "".join(c if c.isascii() and c.isalnum() else " " for c in signed).lower().split()
        names.append(f"table{number:02d}_{'_'.join(words)}.yaml")
    return names


def texts(tables: Sequence[Table], comment: str, resources: Sequence[Resource]) -> dict[str, str]:
    """The text of every file of a submission by its name."""
    yaml = library()

    def text(document: Any) -> str:
        return str(
            yaml.dump(
                document,
                Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
                sort_keys=False,
                width=110,
            )
        )

    names = file_names(tables)
    head: dict[str, Any] = {"comment": comment}
    if resources:
        head["additional_resources"] = [
            {key: value for key, value in resource.model_dump().items() if value} for resource in resources
        ]
    documents: list[dict[str, Any]] = [head]
    for table, name in zip(tables, names, strict=True):
        documents.append(
            {
                "name": table.name,
                "description": table.description,
                "keywords": [{"name": key, "values": values} for key, values in table.keywords.items()],
                "data_file": name,
            }
        )
    result = {SUBMISSION: "---\n" + "---\n".join(text(document) for document in documents)}
    for table, name in zip(tables, names, strict=True):
        result[name] = text(
            {
                "independent_variables": [_variable(column) for column in table.independent],
                "dependent_variables": [_variable(column) for column in table.dependent],
            }
        )
    return result


def _variable(column: Column) -> dict[str, Any]:
    header = {"name": column.name} | ({"units": column.units} if column.units else {})
    found: dict[str, Any] = {"header": header}
    if column.qualifiers:
        found["qualifiers"] = [
            {key: value for key, value in qualifier.model_dump().items() if value != ""}
            for qualifier in column.qualifiers
        ]
    found["values"] = []
    for row, value in enumerate(column.values):
        cell: dict[str, Any]
        if isinstance(value, tuple):
            cell = {"low": value[0], "high": value[1]}
        else:
            cell = {"value": EMPTY if value is None else value}
        errors: list[dict[str, Any]] = []
        for uncertainty in column.uncertainties:
            size = uncertainty.values[row]
            if isinstance(size, tuple):
                asymmetric = {"minus": size[0], "plus": size[1]}
                errors.append({"asymerror": asymmetric, "label": uncertainty.label})
            elif size is not None:
                errors.append({"symerror": size, "label": uncertainty.label})
        if errors:
            cell["errors"] = errors
        found["values"].append(cell)
    return found


def read(path: str | Path) -> ReadSubmission:
    """A submission: its folder, its archive (.tar.gz), or its submission.yaml.

    Raises:
        DataError: no such file, or no submission.
        Na64Error: PyYAML is not installed.
    """
    path = Path(path)
    try:
        if path.is_dir() or path.name == SUBMISSION:
            folder = path if path.is_dir() else path.parent
            note(folder / SUBMISSION)
            return _read(lambda name: read_bytes(folder / name))
        note(path)
        # All of it, since only the end has the checksum.
        with opened(path) as packed, gzip.open(packed) as stream:
            content = stream.read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:

            def of_archive(name: str) -> bytes:
                member = archive.getmember(name)
                stream = archive.extractfile(member) if member.size <= LARGEST_BYTES else None
                if stream is None:
                    raise KeyError(name)
                return stream.read()

            return _read(of_archive)
    except OSError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror or error}): give a HEPData submission"
        ) from None
    except KeyError as error:
        raise DataError(f"{path} is no HEPData submission (it lacks {error}): make it again") from None
    except (
        tarfile.TarError,
        zlib.error,
        EOFError,
        ValueError,
        TypeError,
        RecursionError,
        AttributeError,
    ) as error:
        first = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{path} is no HEPData submission ({first}): make it again") from None


def _read(content: Callable[[str], bytes]) -> ReadSubmission:
    head, *documents = _documents(content(SUBMISSION))
    return ReadSubmission(
        comment=head["comment"],
        tables=[_table(document, content) for document in documents],
        resources=[Resource(**_known(Resource, entry)) for entry in head.get("additional_resources", [])],
    )


def _documents(text: bytes) -> list[Any]:
    yaml = library()
    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not documents or not all(isinstance(document, dict) for document in documents):
        raise ValueError("a document of it is no table of YAML")
    return documents


def _known(kind: type[Record], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name in kind.model_fields}


def _table(document: Mapping[str, Any], content: Callable[[str], bytes]) -> Table:
    name = document["data_file"]
    _require_beside(name)
    (data,) = _documents(content(name))
    return Table(
        name=document["name"],
        description=document["description"],
        keywords={entry["name"]: entry["values"] for entry in document.get("keywords", [])},
        independent=[_column(variable) for variable in data["independent_variables"]],
        dependent=[_column(variable) for variable in data["dependent_variables"]],
    )


def _require_beside(name: str) -> None:
    if not is_beside(name):
        raise ValueError(f"{name} is no file beside {SUBMISSION}")


def is_beside(name: object) -> bool:
    """Whether a name is that of a file in the same folder, and not of one elsewhere."""
    return isinstance(name, str) and name not in ("", ".", "..") and PurePosixPath(name).name == name


def _column(variable: Mapping[str, Any]) -> Column:
    cells = variable["values"]
    labels = list(dict.fromkeys(error.get("label", "") for cell in cells for error in cell.get("errors", [])))
    return Column(
        name=variable["header"]["name"],
        units=variable["header"].get("units", ""),
        values=[_cell(cell) for cell in cells],
        qualifiers=[Qualifier(**_known(Qualifier, entry)) for entry in variable.get("qualifiers", [])],
        uncertainties=[
            Uncertainty(label=label, values=[_size(cell, label) for cell in cells]) for label in labels
        ],
    )


def _cell(cell: Mapping[str, Any]) -> Cell:
    if "low" in cell:
        return cell["low"], cell["high"]
    value: Cell = cell["value"]
    return None if value == EMPTY else value


def _size(cell: Mapping[str, Any], label: str) -> float | tuple[float, float] | None:
    for error in cell.get("errors", []):
        if error.get("label", "") == label:
            both = error.get("asymerror")
            return error["symerror"] if both is None else (both["minus"], both["plus"])
    return None


def named_files(text: bytes) -> Iterator[str]:
    """The files beside it that a submission.yaml names, itself among them; none of one that is damaged."""
    try:
        documents = _documents(text)
    except (ValueError, RecursionError):
        return
    yield SUBMISSION
    for document in documents:
        resources = document.get("additional_resources")
        places = [entry.get("location") for entry in resources or () if isinstance(entry, dict)]
        for name in (document.get("data_file"), *places):
            if is_beside(name):
                yield str(name)
