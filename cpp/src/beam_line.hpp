// What the detectors in front of the calorimeters see of a beam electron, and the steps of the converters:
// shared by pseudo-data and simulated signal. Not a public header.
#ifndef NA64ROOT_BEAM_LINE_HPP
#define NA64ROOT_BEAM_LINE_HPP

#include <algorithm>
#include <cmath>

#include "na64root/random.hpp"
#include "na64root/tree_a.hpp"

namespace na64root::beam_line {

// Steps of the digitised energies (GeV) and times (ns): powers of two near what 12-bit converters give.
constexpr double ecal_step = 1.0 / 64, hcal_step = 1.0 / 32, srd_step = 1.0 / 8192, veto_step = 1.0 / 8192;
constexpr double time_step = 1.0 / 8;
constexpr double time_resolution = 1.5; // ns
// Delays of the calorimeters against the trigger (ns).
constexpr double ecal_delay = 60.0, hcal_delay = 80.0, srd_delay = 40.0, veto_delay = 70.0;

constexpr double track_resolution = 0.006;    // relative, of the momentum
constexpr double accidental_straw_hits = 0.4; // of a chamber, beside that of the track
constexpr double electron_chi2_median = 2.5, electron_chi2_sigma = 0.6;       // of showerChi2, log-normal
constexpr double out_of_time_energy = 0.5;                                    // GeV, mean beside pile-up
constexpr double preshower_trigger = 0.3, preshower_trigger_resolution = 0.1; // GeV

inline double digitised(double value, double step) {
    return step * std::round(value / step);
}

inline double lognormal(Random &random, double median, double sigma) {
    return median * std::exp(sigma * random.normal());
}

// Energy loss with the long upper tail of a thin layer (Gumbel, a stand-in for the Landau distribution).
inline double ionisation(Random &random, double most_probable, double width) {
    return std::max(0.0, most_probable - width * std::log(-std::log(random.uniform())));
}

// A few photons of some MeV in a module of the SRD.
inline double synchrotron(Random &random) {
    double energy = 0.0;
    for (std::uint64_t photons = random.poisson(6.0); photons > 0; --photons)
        energy += 0.003 * random.exponential();
    return energy;
}

// The hodoscope strip at `x` (cm).
inline void hodoscope(double x, TreeAEvent &event, Random &random) {
    for (double &energy : event.HOD2_x_ene)
        energy = 0.0;
    const int strip = std::clamp(static_cast<int>(std::floor(8.0 + x / 0.3)), 0, 15);
    event.HOD2_x_ene[strip] = digitised(ionisation(random, 0.0005, 0.0001), srd_step);
    event.HOD2_x_hit[strip] = true;
    event.hod2_xhits_reco.push_back(strip);
}

inline void beam_counters(TreeAEvent &event, Random &random) {
    event.S0_amp = ionisation(random, 1000.0, 80.0);
    event.S1_amp = ionisation(random, 1000.0, 80.0);
    event.S2_amp = ionisation(random, 1000.0, 80.0);
    event.S0_t0 = event.S1_t0 = event.S2_t0 = event.masterTime;
}

inline double time_of(double energy, double delay, double master_time, Random &random) {
    return energy > 0.0 ? digitised(master_time + delay + time_resolution * random.normal(), time_step) : 0.0;
}

// The physics trigger: coarse sums of the ECAL below a maximum, with a signal in the preshower. The trigger
// sees coarser sums than the reconstruction.
inline void physics_trigger(double ecal_max, double ecal_resolution, TreeAEvent &event, Random &random) {
    event.isTriggerECAL = event.ecalTotal + ecal_resolution * random.normal() < ecal_max;
    event.isTriggerPhysics = event.isTriggerECAL &&
                             event.ecal0 + preshower_trigger_resolution * random.normal() > preshower_trigger;
}

} // namespace na64root::beam_line

#endif
