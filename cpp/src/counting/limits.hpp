// CLs and upper limits, observed and expected.
#ifndef NA64ROOT_SRC_COUNTING_LIMITS_HPP
#define NA64ROOT_SRC_COUNTING_LIMITS_HPP

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "counting/ensembles.hpp"
#include "counting/model.hpp"
#include "na64root/counting.hpp"

namespace na64root::counting {

// Throw std::domain_error for a signal that cannot be tested, and for a level outside (0, 1).
inline void check_signal(double mu) {
    if (!(mu >= 0.0) || !std::isfinite(mu))
        throw std::domain_error("the signal to test must be finite and not negative");
}
inline void check_level(double cl) {
    if (!(cl > 0.0 && cl < 1.0))
        throw std::domain_error("the confidence level must lie between 0 and 1");
}

inline double log_level(const ConfidenceLevels &levels, Criterion criterion) {
    return std::log(
        std::max(criterion == Criterion::cls ? levels.cls : levels.signal_plus_background, 1e-300));
}

// A limit beyond this is none. With a truncated Gaussian constraint of the signal q(mu) stays below (t +
// 1/delta)^2 however large mu is, t being the auxiliary measurement: a fit without signal costs no more. Data
// with a small t then exclude no signal at all.
double largest_limit(const Model &model);

ConfidenceLevels confidence_levels(const Model &model, double mu, Accuracy accuracy = Accuracy::standard);

// `known` is the model with nuisance parameters fixed, where auxiliary measurements fluctuate.
Estimate upper_limit(const Model &model, const Model *known, double cl, Criterion criterion);

ExpectedLimits expected_limits(const Model &model, double cl, Criterion criterion);

} // namespace na64root::counting

#endif
