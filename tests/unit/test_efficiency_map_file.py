"""The JSON of an efficiency map: its schema, and what the reader takes and refuses.

Reference: jsonschema, an independent reader of the schema that is shipped.
"""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest

from na64root import EfficiencyMap
from na64root.config import load_card
from na64root.errors import DataError
from na64root.records import provenance, to_json
from na64root.simulation.efficiency_map import MapOfSignature


def cells() -> MapOfSignature:
    return MapOfSignature(
        efficiency=[[0.1, 0.25], [None, 0.0]],
        error=[[0.01, 0.02], [None, 0.003]],
        effective_events=[[100.0, 30.0], [0.0, 0.0]],
    )


@pytest.fixture(scope="module")
def data() -> dict[str, object]:
    """A map as :meth:`EfficiencyMap.save` writes it."""
    return json.loads(
        to_json(
            EfficiencyMap(
                definition="as made by make_map",
                mass_GeV=0.39,
                mass_ratio=3.0,
                relative_splitting=0.4,
                chi2_energy_edges_GeV=[40.0, 60.0, 90.0],
                ctau_cm=[1.0, 100.0],
                signatures={"S1": cells(), "S2": cells()},
                events_per_sample=1000,
                provenance=provenance(load_card(), seed=1),
            )
        )
    )


def changed(data, key, value):
    """The map with one entry replaced: a path of keys, joined by dots."""
    result = copy.deepcopy(data)
    *parents, last = key.split(".")
    node = result
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[int(last) if isinstance(node, list) else last] = value
    return result


def load(tmp_path, data):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(data))
    return EfficiencyMap.load(path)


def test_a_map_keeps_to_its_schema(tmp_path, data):
    jsonschema.Draft202012Validator.check_schema(EfficiencyMap.json_schema())
    jsonschema.validate(data, EfficiencyMap.json_schema())
    found = load(tmp_path, data)
    assert json.loads(to_json(found)) == data
    found.save(tmp_path / "again.json")
    assert EfficiencyMap.load(tmp_path / "again.json") == found


def test_every_key_is_described(data):
    schema = EfficiencyMap.json_schema()
    assert set(schema["properties"]) == set(data) == set(schema["required"])
    assert set(schema["$defs"]["signature"]["properties"]) == set(data["signatures"]["S1"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("note", "of others"), ("signatures.S1.colour", 3), ("provenance.machine", "of others")],
)
def test_keys_of_others_are_taken_and_not_read(tmp_path, data, key, value):
    more = changed(data, key, value)
    jsonschema.validate(more, EfficiencyMap.json_schema())
    assert json.loads(to_json(load(tmp_path, more))) == data


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("signatures.S1.efficiency.0.0", 1.5, "efficiency 1.5 is not possible, .* not above 1"),
        ("signatures.S1.efficiency.0.0", -0.1, "efficiency -0.1 is not possible"),
        ("signatures.S1.error.0.0", -0.1, "error -0.1 is not possible"),
        ("signatures", {}, "it has no signatures"),
        ("signatures", {"S3": {}}, "signatures.S3"),
        ("format", "na64root efficiency map 2", "is an efficiency map 2 .this na64root reads version 1.: "),
        ("format", "colours", "format: "),
        ("chi2_energy_edges_GeV", [40.0, 60.0], "two bins of energy"),
        ("ctau_cm", [0.0, 1.0], "two positive c tau"),
        ("mass_GeV", "heavy", "mass_GeV: "),
    ],
)
def test_what_the_schema_forbids_is_refused(tmp_path, data, key, value, message):
    broken = changed(data, key, value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, EfficiencyMap.json_schema())
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ctau_cm", [100.0, 1.0], "ctau_cm does not rise"),
        ("ctau_cm", [1.0, 2.0, 3.0], r"efficiency of S1 is not \[2 energies\]\[3 c tau\]"),
        ("signatures.S1.error.0.0", None, "an efficiency without its error"),
        ("signatures.S1.efficiency.0.0", float("nan"), "efficiency nan is not possible"),
    ],
)
def test_what_a_schema_cannot_say_is_refused_too(tmp_path, data, key, value, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, changed(data, key, value))


@pytest.mark.parametrize("text", ["", "[1]", '{"format": 3}', "[" * 100_000, "\udcff"])
def test_other_text_is_no_map(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match="is no efficiency map"):
        EfficiencyMap.load(path)
