// Probabilities of the normal and the Poisson distribution.
#ifndef NA64ROOT_SRC_COUNTING_PROBABILITIES_HPP
#define NA64ROOT_SRC_COUNTING_PROBABILITIES_HPP

#include <algorithm>
#include <cmath>

#include <boost/math/special_functions/gamma.hpp>

namespace na64root::counting {

inline double standard_normal_cdf(double x) {
    return 0.5 * std::erfc(-x * 0.70710678118654752440);
}

// P(counts <= n), not below 1e-300, so that one can divide by it.
inline double poisson_cdf(double mean, double n) {
    return mean > 0.0 ? std::max(boost::math::gamma_q(n + 1.0, mean), 1e-300) : 1.0;
}

inline double poisson_probability(double mean, double n) {
    if (mean <= 0.0)
        return n == 0.0 ? 1.0 : 0.0;
    return std::exp(n * std::log(mean) - mean - std::lgamma(n + 1.0));
}

} // namespace na64root::counting

#endif
