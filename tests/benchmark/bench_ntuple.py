"""The file of the benchmarks of the event loop: tree A, all its branches, made once into `build/bench`.

Energies are whole ADC counts times a calibration constant of the channel, with empty cells at 0, so that they
compress as recorded ones do. Every cut passes a stated fraction, by one random number each: the cuts are
independent, which real ones are not.
"""

from __future__ import annotations

from pathlib import Path

from na64root.cling import declare
from na64root.simulation import writer

FOLDER = Path(__file__).parents[2] / "build" / "bench"

# Of the events that come to a cut. The two signatures share what comes before `ecal`.
PASS_FRACTIONS = {
    "trigger": 0.7,
    "pile_up": 0.9,
    "straw": 0.8,
    "beam_cell": 0.6,
    "srd": 0.5,
    "momentum": 0.8,
    "preshower": 0.9,
    # ECAL energies are flat from 0 to 100 GeV: 0.85 pass in S1, 0.5 in S2.
    "veto": 0.2,
    "hcal_s1": 0.02,
    "hcal_s2": 0.02,
    "r": 0.5,
    "shower_chi2": 0.9,
}

_GENERATOR = """
#include <algorithm>
#include <memory>
#include "na64root/random.hpp"
#include "na64root/tree_a.hpp"
namespace na64root_bench {
struct Generator {
    void operator()(std::uint64_t entry, na64root::TreeAEvent &event) const {
        using na64root::Random;
        Random random(7, entry);
        const auto pass = [&](double fraction) { return random.uniform() < fraction; };
        // An energy as a whole number of counts of one channel.
        const auto adc = [](double energy, double count, int channel) {
            const double calibration = count * (1.0 + 0.01 * (channel % 7) + 0.003 * (channel % 5));
            return calibration * std::round(energy / calibration);
        };
        event = na64root::TreeAEvent{};
        static const std::uint32_t first_runs[] = {2300, 2600, 3900};
        event.run = first_runs[entry * 3 / @EVENTS@] + entry / 10000 % 150;
        event.spill = entry / 2000 % 100;
        event.spillevent = entry % 2000 + 1;
        event.runevent = entry % 10000;
        event.isPhysics = event.isOnSpill = true;
        event.isTriggerPhysics = pass(@trigger@);
        event.isTriggerBeam = !event.isTriggerPhysics;
        event.masterTime = adc(random.uniform(100.0, 200.0), 0.1, 0);
        event.S0_amp = event.S1_amp = event.S2_amp = adc(random.uniform(200.0, 400.0), 1.0, 0);
        const double ecal = random.uniform(0.0, 100.0);
        const bool in_beam_cell = pass(@beam_cell@);
        const int x0 = in_beam_cell ? 3 : 2;
        for (int x = x0 - 1; x <= x0 + 1; ++x)
            for (int y = 2; y <= 4; ++y) {
                const double share = x == x0 && y == 3 ? 0.7 : 0.02 + 0.03 * random.uniform();
                const int cell = 6 * x + y;
                event.ECAL_ene[0][x][y] = adc(0.1 * share * ecal, 0.005, cell);
                event.ECAL_ene[1][x][y] = adc(0.9 * share * ecal + 0.02, 0.02, cell + 36);
                event.ecal1 += event.ECAL_ene[1][x][y];
                event.ECAL_t0[1][x][y] = adc(event.masterTime + random.uniform(-2.0, 2.0), 0.1, 0);
            }
        event.ecal0 = pass(@preshower@) ? adc(random.uniform(0.5, 8.0), 0.005, 1) : 0.1;
        event.ecalTotal = ecal;
        event.ecalTotalNoTimecut = ecal + (pass(@pile_up@) ? 5.0 * random.uniform() : 60.0);
        const int track = pass(@straw@) ? 1 + static_cast<int>(5.0 * random.uniform()) : 9;
        event.straw3X = track;
        event.straw3Y = std::min(track, 3);
        const bool srd = pass(@srd@);
        for (int i = 0; i < 3; ++i) {
            event.SRD_ene[i] = adc(srd ? random.uniform(0.005, 0.07) : 0.0002 * random.uniform(), 1e-5, i);
            event.SRD_t0[i] = adc(event.masterTime + random.uniform(-2.0, 2.0), 0.1, 0);
            event.srdTotal += event.SRD_ene[i];
        }
        event.trackMomentum = pass(@momentum@) ? random.uniform(97.5, 102.5) : random.uniform(60.0, 95.0);
        event.trackChi2 = random.uniform(0.0, 10.0);
        event.nTracks = 1;
        const bool quiet = pass(@veto@);
        for (int i = 0; i < 6; ++i)
            event.VETO_ene[i] = adc((quiet ? 0.001 : 0.02) * random.uniform(0.9, 1.1), 5e-5, i);
        const double kind = random.uniform();
        const bool s1 = kind < @hcal_s1@, s2 = !s1 && kind < @hcal_s1@ + @hcal_s2@;
        const bool core = pass(@r@);
        const double deposit[] = {s1 ? 0.2 : s2 ? 0.1 : random.uniform(2.0, 30.0),
                                  s1 ? random.uniform(10.0, 40.0) : s2 ? 0.1 : random.uniform(2.0, 30.0),
                                  s1 ? 5.0 : s2 ? 0.1 : random.uniform(2.0, 10.0), 0.0};
        double *totals[] = {&event.hcal0, &event.hcal1, &event.hcal2, &event.hcal3};
        for (int module = 0; module < 4; ++module)
            for (int cell = 0; cell < 9; ++cell) {
                const double share = cell == 4 ? (core ? 0.98 : 0.7) : (core ? 0.02 : 0.3) / 8.0;
                event.HCAL_ene[module][cell / 3][cell % 3] =
                    adc(share * deposit[module] * random.uniform(0.95, 1.05), 0.005, cell);
                *totals[module] += event.HCAL_ene[module][cell / 3][cell % 3];
            }
        event.showerChi2 = pass(@shower_chi2@) ? random.uniform(0.5, 4.0) : random.uniform(20.0, 50.0);
        event.mcWeight = 1.0;
    }
};
using File = na64root_writer::Writer<na64root::TreeAEvent, Generator>;
}
"""


def ntuple(events: int, *, rntuple: bool = False) -> Path:
    """The file with that many events, made where it is not there."""
    path = FOLDER / f"{'rntuple' if rntuple else 'tree'}_a_{events}.root"
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    code = _GENERATOR.replace("@EVENTS@", f"{events}ull")
    for name, fraction in PASS_FRACTIONS.items():
        code = code.replace(f"@{name}@", repr(fraction))
    writer.writers()
    # One process may make several files.
    space = f"na64root_bench_{path.stem}"
    declare(code.replace("namespace na64root_bench", f"namespace {space}"))
    from na64root.cling import root

    bench = getattr(root(), space)
    temporary = path.with_suffix(".part")
    file = bench.File(bench.Generator(), str(temporary), "benchmark, layout A", rntuple, 1)
    file.fill(0, events)
    file.close("{}")
    temporary.rename(path)
    return path


if __name__ == "__main__":
    import sys

    print(ntuple(int(sys.argv[1])))
