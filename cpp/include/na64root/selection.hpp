// The cuts of the selection: derived quantities and one predicate per cut, for any range (RVec, std::array, C
// array).
//
// A quantity that is NaN or infinite in the data fails every cut that uses it. Derived quantities keep such a
// value: they are NaN when an input is not finite, so that the event is rejected and not repaired.
#ifndef NA64ROOT_SELECTION_HPP
#define NA64ROOT_SELECTION_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace na64root {

// Calorimeter cells in the order of the arrays ECAL_ene[2][6][6] and HCAL_ene[4][3][3]: part, x, y.
inline constexpr int ecal_cells_per_side = 6;
inline constexpr int hcal_cells_per_side = 3;
inline constexpr int hcal_modules_behind_ecal =
    3; // HCAL1, HCAL2, HCAL3; the fourth is the zero-degree module

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

namespace detail {

template <class Range> void require_size(const Range &range, std::size_t size, const char *what) {
    if (std::size(range) != size)
        throw std::invalid_argument(std::string(what) + " needs " + std::to_string(size) + " values, given " +
                                    std::to_string(std::size(range)));
}

} // namespace detail

// Runs first to last, both included.
struct RunRange {
    std::uint32_t first, last;
};

// Index of the first range that holds the run; the number of ranges when none does.
template <class Ranges> int range_index(const Ranges &ranges, std::uint32_t run) {
    int index = 0;
    for (const auto &range : ranges) {
        if (range.first <= run && run <= range.last)
            return index;
        ++index;
    }
    return index;
}

// The same as a column of an event. Cuts by run period count the ranges of the periods, which come first.
template <class Ranges> double run_period(std::uint32_t run, const Ranges &ranges) {
    return range_index(ranges, run);
}

inline bool in_run_period(double period, int periods) {
    return period < periods;
}

// Good spills, from one of a run to one of the same or a later run, both included.
struct GoodSpills {
    std::uint32_t first_run, first_spill, last_run, last_spill;
};

// As run_period for the spills of a list of good ones, whose ranges rise and are apart, and for runs of none
// of the `periods` ranges that come first; for other spills the number after those of run_period.
template <class Ranges, class Good>
double good_run_period(std::uint32_t run, std::uint32_t spill, const Ranges &ranges, const Good &good,
                       int periods) {
    const int index = range_index(ranges, run);
    if (index >= periods)
        return index;
    const auto key = [](std::uint32_t of_run, std::uint32_t of_spill) {
        return static_cast<std::uint64_t>(of_run) << 32 | of_spill;
    };
    const auto next = std::upper_bound(std::begin(good), std::end(good), key(run, spill),
                                       [&](std::uint64_t wanted, const GoodSpills &range) {
                                           return wanted < key(range.first_run, range.first_spill);
                                       });
    const bool is_good = next != std::begin(good) &&
                         key(run, spill) <= key(std::prev(next)->last_run, std::prev(next)->last_spill);
    return is_good ? index : static_cast<double>(std::size(ranges)) + 1.0;
}

// Whether a value is no NaN, which stands for a value that is not there; arrays are not looked into.
template <class Value> bool is_number(const Value &value) {
    if constexpr (std::is_floating_point_v<Value>)
        return !std::isnan(value);
    else
        return true;
}

inline bool passes_trigger(bool is_physics, bool is_trigger_physics, bool is_on_spill, bool is_calibration) {
    return is_physics && is_trigger_physics && is_on_spill && !is_calibration;
}

// ECAL energy outside the time window of the trigger (GeV).
inline double out_of_time_energy(double total_without_time_cut, double total) {
    return total_without_time_cut - total;
}

inline bool passes_pile_up(double out_of_time, double out_of_time_max) {
    return std::isfinite(out_of_time) && out_of_time < out_of_time_max;
}

// Hits in the two straw chambers behind the magnet, each between min and max, both included.
inline bool passes_straw(double hits_x, double hits_y, double hits_min, double hits_max) {
    return hits_min <= hits_x && hits_x <= hits_max && hits_min <= hits_y && hits_y <= hits_max;
}

// Cell x * 6 + y with the largest energy, preshower and main part together; -1 when an energy is not finite
// or when no cell is larger than all others (an empty calorimeter).
template <class Range> int leading_ecal_cell(const Range &ecal_energies) {
    constexpr int cells = ecal_cells_per_side * ecal_cells_per_side;
    detail::require_size(ecal_energies, 2 * cells, "ECAL_ene");
    int leading = -1;
    double largest = -std::numeric_limits<double>::infinity();
    for (int cell = 0; cell < cells; ++cell) {
        const double energy =
            static_cast<double>(ecal_energies[cell]) + static_cast<double>(ecal_energies[cells + cell]);
        if (!std::isfinite(energy))
            return -1;
        if (energy > largest) {
            largest = energy;
            leading = cell;
        } else if (energy == largest) {
            leading = -1;
        }
    }
    return leading;
}

inline bool passes_beam_cell(int leading_cell, int x, int y) {
    return leading_cell == x * ecal_cells_per_side + y;
}

// Synchrotron radiation seen by the three modules in use: each above a minimum, enough of them below the
// maximum (a hadron that showers in the detector exceeds it).
inline bool passes_srd(double module0, double module1, double module2, double module_min, double module_max,
                       double modules_below_max) {
    int below = 0;
    for (const double energy : {module0, module1, module2}) {
        if (!std::isfinite(energy) || !(energy > module_min))
            return false;
        below += energy < module_max;
    }
    return below >= modules_below_max;
}

inline bool passes_momentum(double momentum, double nominal, double window) {
    return std::isfinite(momentum) && std::abs(momentum - nominal) < window;
}

inline bool passes_preshower(double energy, double energy_min) {
    return std::isfinite(energy) && energy > energy_min;
}

inline bool passes_ecal(double energy, double energy_max) {
    return std::isfinite(energy) && energy < energy_max;
}

// Energy of one VETO counter from its two photomultipliers: the geometric mean, which does not depend on the
// place of the hit; the larger one alone where the other is below `balance` of it, since then one
// photomultiplier failed.
inline double veto_counter_energy(double photomultiplier0, double photomultiplier1, double balance) {
    if (!std::isfinite(photomultiplier0) || !std::isfinite(photomultiplier1))
        return undefined;
    const double smaller = std::min(photomultiplier0, photomultiplier1);
    const double larger = std::max(photomultiplier0, photomultiplier1);
    // Where both are pedestals below zero there is no mean.
    if (smaller < balance * larger || larger < 0.0)
        return larger;
    return std::sqrt(smaller * larger);
}

// Sum of the three VETO counters (GeV) from six photomultipliers, two after two.
template <class Range> double veto_energy(const Range &photomultipliers, double balance) {
    detail::require_size(photomultipliers, 6, "VETO_ene");
    double sum = 0.0;
    for (int counter = 0; counter < 3; ++counter)
        sum += veto_counter_energy(photomultipliers[2 * counter], photomultipliers[2 * counter + 1], balance);
    return sum;
}

inline bool passes_veto(double energy, double energy_max) {
    return std::isfinite(energy) && energy < energy_max;
}

// S1: HCAL1 quiet, a signal in HCAL2 + HCAL3.
inline bool passes_hcal_s1(double hcal1, double hcal2, double hcal3, double hcal1_max, double signal_min) {
    return std::isfinite(hcal1) && std::isfinite(hcal2) && std::isfinite(hcal3) && hcal1 < hcal1_max &&
           hcal2 + hcal3 > signal_min;
}

// S2: all three modules quiet together.
inline bool passes_hcal_s2(double hcal1, double hcal2, double hcal3, double total_max) {
    return std::isfinite(hcal1) && std::isfinite(hcal2) && std::isfinite(hcal3) &&
           hcal1 + hcal2 + hcal3 < total_max;
}

// Core cells of HCAL1, HCAL2, HCAL3: bit x * 3 + y of each module.
using HcalCore = std::array<std::uint16_t, hcal_modules_behind_ecal>;

// R = (E - E_core)/E over HCAL2 and HCAL3, the share of the energy outside the core cells (the paper, section
// on the signature S1); NaN where E <= 0 or a cell is not finite. Not between 0 and 1 where noise is below
// zero.
template <class Range> double hcal_r(const Range &hcal_energies, const HcalCore &core) {
    constexpr int cells = hcal_cells_per_side * hcal_cells_per_side;
    detail::require_size(hcal_energies, 4 * cells, "HCAL_ene");
    double total = 0.0, in_core = 0.0;
    for (int module = 1; module < hcal_modules_behind_ecal; ++module)
        for (int cell = 0; cell < cells; ++cell) {
            const double energy = hcal_energies[module * cells + cell];
            total += energy;
            if (core[module] >> cell & 1)
                in_core += energy;
        }
    if (!std::isfinite(total) || !(total > 0.0))
        return undefined;
    return 1.0 - in_core / total;
}

// R with the core cells of the event's run period, as run_period() counts.
template <class Range, class Cores>
double hcal_r_in_period(const Range &hcal_energies, double period, const Cores &cores) {
    // Runs outside all periods get the first core; no histogram or count sees them.
    const auto index = static_cast<std::size_t>(period);
    return hcal_r(hcal_energies, cores[index < std::size(cores) ? index : 0]);
}

// R over HCAL1 and HCAL2, of a shower one module further up than in S1; likewise with their core cells.
template <class Range, class Cores>
double hcal_r12_in_period(const Range &hcal_energies, double period, const Cores &cores) {
    constexpr int cells = hcal_cells_per_side * hcal_cells_per_side;
    detail::require_size(hcal_energies, 4 * cells, "HCAL_ene");
    std::array<double, 4 * cells> further_down{};
    for (int cell = 0; cell < 3 * cells; ++cell)
        further_down[cell + cells] = hcal_energies[cell];
    const auto index = static_cast<std::size_t>(period);
    const HcalCore &core = cores[index < std::size(cores) ? index : 0];
    return hcal_r(further_down, HcalCore{0, core[0], core[1]});
}

inline bool passes_r(double r, double r_max) {
    return std::isfinite(r) && r < r_max;
}

inline bool passes_shower_chi2(double chi2, double chi2_max) {
    return std::isfinite(chi2) && chi2 < chi2_max;
}

// Control region of S1, its HCAL energies one module further up: a signal in HCAL1 + HCAL2, HCAL1 not quiet.
inline bool showers_in_hcal1(double hcal1, double hcal2, double hcal1_max, double signal_min) {
    return std::isfinite(hcal1) && std::isfinite(hcal2) && hcal1 >= hcal1_max && hcal1 + hcal2 > signal_min;
}

// Control sample gamma -> mu+ mu-: HCAL3 above one threshold; or above a lower one, with the centres of HCAL1
// and HCAL2, which the muons cross, above another.
inline bool passes_dimuon(double hcal3, double centre1, double centre2, double hcal3_min,
                          double hcal3_with_centres_min, double centre_min) {
    if (!std::isfinite(hcal3))
        return false;
    const bool centres =
        std::isfinite(centre1) && std::isfinite(centre2) && centre1 > centre_min && centre2 > centre_min;
    return hcal3 > hcal3_min || (centres && hcal3 > hcal3_with_centres_min);
}

} // namespace na64root

#endif
