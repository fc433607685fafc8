"""The base of all records, and their JSON."""

# Annotations are objects in this package, not text: pydantic compiles text, which takes a while.
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from ..errors import DataError
from ..inputs import note, read_text
from ..notebook import short, to_html


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields; NaN and infinity become null in JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, short(value)) for name, value in super().__repr_args__()]

    def _repr_html_(self) -> str:
        return to_html(self)


def to_json(record: BaseModel | dict[str, Any]) -> str:
    """A record as JSON text, one object, keys in the order of the record."""
    if isinstance(record, BaseModel):
        return record.model_dump_json(indent=1)
    return json.dumps(record, indent=1, allow_nan=False)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(path: Path, kind: type[AnyRecord], what: str) -> AnyRecord:
    """A record from its JSON.

    Raises:
        DataError: no such file, or not `what`.
    """
    note(path)
    try:
        return kind.model_validate_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): give {what}") from None
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path} is not readable ({first}): give {what}") from None
