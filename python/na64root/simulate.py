"""Simulated ntuples in the layout of tree A: pseudo-data, the backgrounds with the rates of the card."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import cling
from .cling import root
from .config import Card
from .errors import ConfigError, Na64Error
from .results import Provenance, Record, provenance, write_atomically
from .selection import implicit_threads

# Between two pieces of this many events Ctrl-C is seen.
_PIECE = 10_000

_TRUTH = {
    "mc_class": "number of the class of events, in the order of `classes`",
    "mc_beam_momentum_GeV": "momentum of the beam particle, GeV",
    "mc_missing_energy_GeV": "energy not left in the ECAL by an electromagnetic shower, GeV",
    "mc_x_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
    "mc_y_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
}

# The one place where the generator meets ROOT: branches from the list in tree_a.hpp, filled by number.
_WRITER = """
#include <type_traits>
#include "TTree.h"
#include "na64root/pseudodata.hpp"

namespace na64root_simulate {

struct BranchMaker {
    TTree &tree;
    template <class Member> void operator()(const char *name, Member &member, const char *dimensions) const {
        using Element = std::remove_all_extents_t<Member>;
        if constexpr (std::is_arithmetic_v<Element>) {
            const char *code = std::is_same_v<Element, double>          ? "/D"
                               : std::is_same_v<Element, bool>          ? "/O"
                               : std::is_same_v<Element, std::uint32_t> ? "/i"
                                                                        : "/I";
            tree.Branch(name, &member, (std::string(name) + dimensions + code).c_str());
        } else {
            tree.Branch(name, &member);
        }
    }
};

class Writer {
  public:
    Writer(const na64root::PseudodataConfig &config, TTree &tree) : generator_(config), tree_(tree) {
        na64root::for_each_branch(event_, BranchMaker{tree_});
    }
    unsigned long size() const { return generator_.size(); }
    unsigned long drawn(int class_number) const { return generator_.drawn(class_number); }
    // Returns the sum of weights; throws when the disk is full.
    double fill(unsigned long first, unsigned long last) {
        double sum = 0.0;
        for (; first < last; ++first) {
            generator_.generate(first, event_);
            sum += event_.mcWeight;
            if (tree_.Fill() < 0)
                throw std::runtime_error("TTree::Fill failed");
        }
        return sum;
    }

  private:
    na64root::PseudodataGenerator generator_;
    na64root::TreeAEvent event_{};
    TTree &tree_;
};

} // namespace na64root_simulate
"""


class ClassFacts(Record):
    """A class of pseudo-data: expected and drawn number of events; one in `prescale` is written."""

    rate_per_eot: float
    prescale: float
    expected: float
    events: int


class SimulationResult(Record):
    """A simulated ntuple; `truth` describes its columns of the generator with their units."""

    file: str
    events: int
    weights_sum: float
    seed: int
    eot: dict[str, float]
    classes: dict[str, ClassFacts]
    truth: dict[str, str]
    provenance: Provenance


def pseudodata(
    card: Card,
    path: str | Path,
    *,
    seed: int = 1,
    eot: Mapping[str, float] | None = None,
    scale: float = 1.0,
    threads: int = 1,
    force: bool = False,
) -> SimulationResult:
    """Write a background sample with every branch of tree A: unweighted, each class Poisson-drawn.

    The classes, their rates and prescales are those of the card's section `pseudodata`. The backgrounds of
    the signal boxes have prescale 1, so that their expected counts are the card's backgrounds.

    Args:
        eot: exposure of some periods, in place of the card's.
        scale: size of the sample: divides the prescale of every class that has one, never below 1.
        threads: threads that compress the file; its events do not depend on them.

    Raises:
        ConfigError: an unknown period, a negative exposure, scale or seed.
        Na64Error: the file exists and `force` is not set, or cannot be written.
    """
    if not (scale > 0.0):
        raise ConfigError(f"cannot scale the sample by {scale:g} (a positive number is needed): correct it")
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed {seed} is not acceptable (0 to 2^64 - 1): correct --seed")
    path = Path(path)
    exposure = card.exposure(eot)
    prescales = {
        name: rate.prescale.value if rate.prescale.value == 1.0 else max(1.0, rate.prescale.value / scale)
        for name, rate in card.pseudodata.classes.items()
    }
    means = {
        name: {
            period: rate.rate_per_eot.value * electrons / prescales[name]
            for period, electrons in exposure.items()
        }
        for name, rate in card.pseudodata.classes.items()
    }
    done: list[SimulationResult] = []

    def write(temporary: Path) -> None:
        ROOT = root()
        _declare_writer()
        file = ROOT.TFile.Open(str(temporary), "RECREATE")
        file.SetCompressionSettings(100 * ROOT.RCompressionSetting.EAlgorithm.kZSTD + 1)
        tree = ROOT.TTree("tree", "na64root pseudo-data, layout A")
        writer = ROOT.na64root_simulate.Writer(_generator_config(ROOT, card, seed, means), tree)
        if _class_names(ROOT) != list(means):
            raise Na64Error("classes of the card and of the core differ (mixed installation): install again")
        events = int(writer.size())
        if events == 0:
            raise ConfigError("no event is expected with these exposures (the sample is empty): raise --eot")
        total = 0.0
        for first in range(0, events, _PIECE):
            total += float(writer.fill(first, min(first + _PIECE, events)))
        result = SimulationResult(
            file=str(path),
            events=events,
            weights_sum=total,
            seed=seed,
            eot=exposure,
            classes={
                name: ClassFacts(
                    rate_per_eot=rate.rate_per_eot.value,
                    prescale=prescales[name],
                    expected=sum(means[name].values()),
                    events=int(writer.drawn(number)),
                )
                for number, (name, rate) in enumerate(card.pseudodata.classes.items())
            },
            truth=_TRUTH,
            provenance=provenance(card, seed=seed),
        )
        about = json.loads(result.model_dump_json(exclude={"file"}))
        text = ROOT.TNamed("na64root", json.dumps(about))
        if tree.Write() <= 0 or file.WriteObject(text, "na64root") <= 0:
            raise OSError("the file system took no more data")
        file.Close()
        done.append(result)

    with implicit_threads(threads):
        write_atomically(path, write, force=force)
    return done[0]


@functools.cache
def _declare_writer() -> None:
    cling.declare(_WRITER)


def _class_names(ROOT: Any) -> list[str]:
    core = ROOT.na64root
    return [str(core.pseudodata_class_name(i)) for i in range(int(core.pseudodata_classes))]


def _generator_config(ROOT: Any, card: Card, seed: int, means: Mapping[str, Mapping[str, float]]) -> Any:
    """The card's numbers as the generator of the core takes them."""
    numbers, geometry = card.pseudodata, card.geometry
    config = ROOT.na64root.PseudodataConfig()
    config.seed = seed
    config.beam_energy = card.beam.energy_GeV.value
    config.beam_momentum_spread = numbers.beam_momentum_spread.value
    config.ecal_stochastic = numbers.ecal_stochastic.value
    config.hcal_stochastic = numbers.hcal_stochastic.value
    config.hcal_interaction_length = numbers.hcal_interaction_length_cm.value
    config.trigger_ecal_max = numbers.trigger_ecal_max_GeV.value
    config.trigger_ecal_resolution = numbers.trigger_ecal_resolution_GeV.value
    config.missing_energy_slope = numbers.missing_energy_slope_GeV.value
    for module in range(3):
        config.hcal_start[module] = getattr(geometry, f"hcal{module + 1}_start_cm").value
        config.hcal_end[module] = getattr(geometry, f"hcal{module + 1}_end_cm").value
    for period in card.periods:
        entry = ROOT.na64root.PseudodataPeriod()
        entry.first_run, entry.last_run = period.first_run, period.last_run
        # The beam crosses the middle of the core cells, so a module with another core stands off the beam.
        core_x = [cell[0] for cell in period.hcal_core[2]]
        entry.hcal3_offset = -19.4 * (sum(core_x) / len(core_x) - 1.0)
        for name in means:
            entry.class_means.push_back(means[name][period.name])
        config.periods.push_back(entry)
    return config
