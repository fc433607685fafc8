"""What files that na64root wrote say of themselves, merged ones too, and that it fits what they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DataError
from .files import key_is_sound, opened_file, text_of

Facts = dict[str, Any]


def about(path: str) -> Facts | None:
    """What a file that na64root wrote says of how it was made; None of any other file.

    Raises:
        DataError: it was merged of files that cannot be counted together.
    """
    with opened_file(path) as file:
        return facts_in(file, path)


def facts_in(file: Any, path: str) -> Facts | None:
    """As :func:`about`, of a file that is open."""
    texts = []
    # hadd keeps what each file said, as cycles of one key: all of them count.
    for key in file.GetListOfKeys():
        if text_of(key.GetName) != "na64root":
            continue
        if not key_is_sound(file, key):
            raise DataError(f"'na64root' in {path} cannot be read (the file is damaged): copy it again")
        try:
            texts.append(str(key.ReadObj().GetTitle()))
        except (TypeError, ValueError, ReferenceError, AttributeError):
            return None
    return facts_of(texts, path)


def facts_of(texts: Sequence[str], path: str) -> Facts | None:
    """What the texts say together that a file holds; None where one is no JSON.

    Raises:
        DataError: as :func:`about`; or na64root does not write such.
    """
    said = []
    for text in texts:
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if isinstance(facts, dict):
            if not _is_ours(facts):
                raise DataError(
                    f"{path} says of itself what na64root does not write ('na64root' in it was edited): give "
                    "the file as it was written"
                )
            said.append(facts)
    return _merged(said, path) if len(said) > 1 else said[0] if said else None


def _is_ours(facts: Facts) -> bool:
    """Whether what other modules look at has the form in which it is written."""
    simulated = facts.get("simulation", [])
    if not isinstance(simulated, list) or not all(isinstance(one, dict) for one in simulated):
        return False
    exposures = [one["eot"] for one in (facts, *simulated) if isinstance(one.get("eot"), dict)]
    return isinstance(facts.get("skim_cut"), str | None) and all(
        isinstance(electrons, int | float) for eot in exposures for electrons in eot.values()
    )


def _merged(said: Sequence[Facts], path: str) -> Facts:
    """The sum of what the parts of a merged file say.

    Entries add up, one blinded part makes the whole blinded. Exposures stay apart in `exposures`: how they
    add up depends on the run periods. The cuts of all parts are those of the whole.
    """
    skims = [one for one in said if "skim_cut" in one]
    if skims and len(skims) < len(said):
        raise DataError(
            f"{path} was merged of skims and other files (what they hold together is not known): give the "
            "files as na64root wrote them, not merged"
        )
    counted = [one.get("events") for one in said]
    if any(not isinstance(number, int) for number in counted):
        raise DataError(
            f"{path} was merged of {len(said)} files of na64root, and one does not say how many events it "
            "had (an older version wrote it): give them one by one"
        )
    merged: Facts = {"events": sum(counted), "simulation": simulations(said), "merged": len(said)}
    if skims:
        cuts = list(dict.fromkeys(one["skim_cut"] for one in said))
        if len(cuts) > 1:
            raise DataError(
                f"{path} was merged of skims after different cuts ({', '.join(map(str, cuts))}): give the "
                "skims one by one, or make them after one cut"
            )
        merged |= {
            "skim_cut": cuts[0],
            "layout": said[0].get("layout", "A"),
            "blind": any(one.get("blind") for one in said),
            "exposures": [one.get("exposure") for one in said],
            "cuts": [cuts for one in said for cuts in one.get("cuts", [])],
            "provenance": said[0].get("provenance"),
        }
    return merged


def simulations(said: Sequence[Facts]) -> list[Facts]:
    """What simulated files say, also through skims and merged files that were made of them."""
    return [simulated for one in said for simulated in one.get("simulation", [one])]


def require_entries(facts: Mapping[str, Any] | None, entries: int, path: str) -> None:
    """Raise DataError where a file holds another number of events than it says."""
    events = facts.get("events") if facts is not None else None
    if isinstance(events, int) and events != entries:
        raise DataError(
            f"{path} has {entries} events, {events} by what it says of itself (it was merged, cut or edited, "
            "and has no exposure or normalisation): give the files as na64root wrote them"
        )


def says_simulation(said: Sequence[Facts]) -> bool:
    """Whether some file says that it is a simulated signal, whose events are expected and not observed."""
    return any("epsilon" in one and "electrons" in one for one in simulations(said))


def electrons_of_simulation(said: Sequence[Facts | None]) -> dict[str, float] | None:
    """Electrons on target by run period for which simulated background was made; None where some file does
    not say.

    A sample that two skims were made of counts once.
    """
    if not said or any(one is None for one in said):
        return None
    total: dict[str, float] = {}
    seen: list[Facts] = []
    for simulated in simulations([one for one in said if one is not None]):
        eot = simulated.get("eot")
        if not isinstance(eot, dict):
            return None
        if simulated in seen:
            continue
        seen.append(simulated)
        for period, electrons in eot.items():
            total[period] = total.get(period, 0.0) + float(electrons)
    return total if seen else None
