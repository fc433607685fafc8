// Systematic variations of measured quantities, for numbers and for arrays (RVec, std::array).
//
// A value that is NaN or infinite stays so, and the event is rejected as without the variation.
#ifndef NA64ROOT_SYSTEMATICS_HPP
#define NA64ROOT_SYSTEMATICS_HPP

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "na64root/random.hpp"
#include "na64root/units.hpp"

namespace na64root {

// Standard normal of one event and one source of smearing, whatever thread or order the event comes in. The
// event's numbers are the counter itself, so that no two events of a source share one; `source` is any number
// that is its own. The key is not that of Random: a sample simulated with the same seed is independent.
inline double event_normal(std::uint64_t seed, std::uint32_t run, std::uint32_t spill,
                           std::uint32_t spillevent, std::uint32_t source) {
    constexpr std::uint32_t smearing = 0x534D4552u; // "SMER"
    const auto block =
        philox4x32({run, spill, spillevent, source},
                   {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32) ^ smearing});
    const double radius = std::sqrt(-2.0 * std::log(unit_interval(block[0], block[1])));
    return radius * std::cos(2.0 * units::pi * unit_interval(block[2], block[3]));
}

// x (1 + relative): another scale of the measurement.
inline double scaled(double value, double relative) {
    return value * (1.0 + relative);
}

// x / (1 + relative): what passes is what passes with every threshold on x moved by `relative` of itself.
inline double against_threshold(double value, double relative) {
    return value / (1.0 + relative);
}

// x (1 + sigma z), z standard normal: a further relative resolution.
inline double smeared(double value, double sigma, double normal) {
    return value * (1.0 + sigma * normal);
}

// x + term sqrt|x| z: a further stochastic term of a calorimeter, sigma/E = term/sqrt(E/GeV); x in GeV.
inline double smeared_stochastic(double value, double term, double normal) {
    return value + term * std::sqrt(std::abs(value)) * normal;
}

// A number, or every element of an array, changed; its type remains.
template <class Column, class Change> Column changed(const Column &column, Change &&change) {
    if constexpr (std::is_arithmetic_v<Column>) {
        return static_cast<Column>(change(static_cast<double>(column)));
    } else {
        Column result(column);
        for (auto &value : result)
            value = static_cast<std::decay_t<decltype(value)>>(change(static_cast<double>(value)));
        return result;
    }
}

} // namespace na64root

#endif
