// Counter-based random numbers: a value depends on (seed, entry, index) only, never on threads or order.
#ifndef NA64ROOT_RANDOM_HPP
#define NA64ROOT_RANDOM_HPP

#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "na64root/units.hpp"

namespace na64root {

// Philox4x32-10 (Salmon et al., SC'11, doi:10.1145/2063384.2063405): a bijection of a 128-bit counter under a
// 64-bit key. Its known-answer vectors are tested.
inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                               std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return counter;
}

// Uniform in the open interval (0, 1), 52 bits.
inline double unit_interval(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = (std::uint64_t{high} << 32 | std::uint64_t{low}) >> 12;
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// What a stream is for. Stages that run apart, each from (seed, entry), take different streams: with the same
// one their numbers would be the same. A generator that hands one Random through all stages needs only
// `event`.
enum class Stream : std::uint32_t {
    event = 0,
    pseudodata_event = 1,
    pseudodata_count = 2,
    pseudodata_order = 3,
    dark_bremsstrahlung = 4,
    aprime_decay = 5,
    chi2_decay = 6,
    cascade = 7,
    gun = 8,
    detector = 9, // what follows the truth of a signal event
    injection_count = 10,
    injection = 11,
    toy = 12,
    s2_selection = 13,
};

// The stream of one entry (an event, a toy): `Random(seed, entry)` gives the same numbers wherever it is
// made. Other entries, seeds or streams never overlap (2^33 doubles in each).
class Random {
  public:
    Random(std::uint64_t seed, std::uint64_t entry, Stream stream = Stream::event)
        : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
          counter_{0, static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(entry),
                   static_cast<std::uint32_t>(entry >> 32)} {}

    // Uniform in the open interval (0, 1), 52 bits.
    double uniform() {
        if (used_ == 2) {
            block_ = philox4x32(counter_, key_);
            ++counter_[0];
            used_ = 0;
        }
        const double value = unit_interval(block_[2 * used_], block_[2 * used_ + 1]);
        ++used_;
        return value;
    }

    double uniform(double low, double high) { return low + (high - low) * uniform(); }

    // Standard normal by Box-Muller: the count of uniforms used does not depend on their values.
    double normal() {
        if (has_spare_) {
            has_spare_ = false;
            return spare_;
        }
        const double radius = std::sqrt(-2.0 * std::log(uniform()));
        const double angle = 2.0 * units::pi * uniform();
        spare_ = radius * std::sin(angle);
        has_spare_ = true;
        return radius * std::cos(angle);
    }

    double exponential() { return -std::log(uniform()); }

    // Poisson by inversion, in parts of mean 30 at most (a sum of Poisson numbers is Poisson); 0 for a mean
    // that is not positive. Throws std::domain_error for NaN or infinity.
    std::uint64_t poisson(double mean) {
        if (!std::isfinite(mean))
            throw std::domain_error("a Poisson mean must be finite");
        std::uint64_t total = 0;
        while (mean > 30.0) {
            total += poisson_by_inversion(30.0);
            mean -= 30.0;
        }
        return total + poisson_by_inversion(mean);
    }

  private:
    std::uint64_t poisson_by_inversion(double mean) {
        if (!(mean > 0.0))
            return 0;
        const double u = uniform();
        if (u <= 1.0 - mean) // below exp(-mean): most calls have a small mean and need no exponential
            return 0;
        double probability = std::exp(-mean), cumulative = probability;
        std::uint64_t n = 0;
        while (u > cumulative) {
            ++n;
            probability *= mean / static_cast<double>(n);
            if (cumulative + probability == cumulative) // the rest is below the last digit
                break;
            cumulative += probability;
        }
        return n;
    }

    std::array<std::uint32_t, 2> key_;
    std::array<std::uint32_t, 4> counter_;
    std::array<std::uint32_t, 4> block_{};
    unsigned used_ = 2;
    bool has_spare_ = false;
    double spare_ = 0.0;
};

} // namespace na64root

#endif
