"""What is wanted of an analysis, and how the events of files are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..config import Card
from ..errors import ConfigError
from ..selection import blinding
from ..signal import Mode, require_mode


@dataclass(frozen=True)
class DataOptions:
    """How the events of files are used, by everything that starts from files.

    Attributes:
        eot: electrons on target of some periods, taken as they are.
        exclude_outlier_spills: leave out the spills that :func:`na64root.selection.quality.assess` flags.
        systematics: vary the card's systematic sources.
        blind: hide the events in the signal boxes; limits are expected ones.
    """

    eot: Mapping[str, float] | None = None
    exclude_outlier_spills: bool = False
    systematics: bool = False
    blind: bool = False

    def require_hidden(self, card: Card) -> None:
        """Raise ConfigError where something asked for depends on events that blinding hides."""
        if self.blind:
            blinding.require_hidden(card, exclude_outlier_spills=self.exclude_outlier_spills)


@dataclass(frozen=True)
class SignalFiles:
    """A simulated sample in place of the chain's signal; mass and epsilon where the files do not say them."""

    files: Sequence[str]
    mass_GeV: float | None = None
    epsilon: float | None = None


@dataclass(frozen=True)
class AnalysisOptions:
    """What an analysis takes in place of the data, and of the chain's signal.

    Attributes:
        data: how the events are used; `data.systematics` is also for the events of `signal`.
        pseudodata: first write pseudodata.root beside the results and analyse it in place of files.
        signal: a simulated sample; it takes the place of the chain's signal in the limit. It is also varied
            where the card has `systematics.in_limit = "varied"`.
        mode: ``invisible`` for A' -> invisible: limit and plane are those of S2 alone.
    """

    data: DataOptions = field(default_factory=DataOptions)
    pseudodata: bool = False
    signal: SignalFiles | None = None
    mode: Mode = "semivisible"

    def require_possible(self, card: Card) -> None:
        """Raise ConfigError where the card and what is wanted do not go together."""
        require_mode(card, self.mode)
        in_limit = card.systematics.in_limit == "varied"
        if in_limit and self.signal is None and card.signal.acceptance == "chain":
            raise ConfigError(
                "systematics.in_limit = varied with the signal of the chain (which has no events to vary): "
                "give --signal, set signal.acceptance to simulation, or systematics.in_limit to published"
            )
        if self.pseudodata and card.input.good_runs:
            raise ConfigError(
                "a list of good runs with --pseudodata (its run numbers only stand for their period): leave "
                "out --good-runs"
            )
        self.data.require_hidden(card)
