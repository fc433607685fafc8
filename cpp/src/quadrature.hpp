// Gauss-Kronrod rules (nodes from Boost.Math) for nested integrals: each integral carries the errors of the
// integrals inside it, and bisects only for its own.
#ifndef NA64ROOT_SRC_QUADRATURE_HPP
#define NA64ROOT_SRC_QUADRATURE_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <boost/math/quadrature/gauss_kronrod.hpp>

#include "na64root/estimate.hpp"

namespace na64root::quadrature {

struct Segment {
    double low = 0.0, high = 0.0;
    double value = 0.0;
    double error = 0.0;      // of this rule
    double propagated = 0.0; // of the integrands' own errors
};

inline double value_of(double f) {
    return f;
}
inline double error_of(double) {
    return 0.0;
}
inline double value_of(const Estimate &f) {
    return f.value;
}
inline double error_of(const Estimate &f) {
    return f.error;
}

// One N-point Kronrod rule. The error estimate is QUADPACK's form, deviation * (c |K - G|/deviation)^1.5,
// which holds since the Kronrod rule's degree is 1.5 times that of the embedded Gauss rule; c = 10 instead of
// QUADPACK's 200, which is made for 1e-10 and asks for four digits too many here. Tests compare estimates
// with true errors.
template <unsigned N, class Function> Segment apply_rule(Function &&function, double low, double high) {
    using Kronrod = boost::math::quadrature::gauss_kronrod<double, N>;
    using Gauss = boost::math::quadrature::gauss<double, (N - 1) / 2>;
    constexpr bool center_is_gauss = ((N - 1) / 2) % 2 == 1;
    const auto &nodes = Kronrod::abscissa();
    const auto &weights = Kronrod::weights();
    const auto &gauss_weights = Gauss::weights();
    const double center = 0.5 * (low + high), half = 0.5 * (high - low);

    std::array<double, N> points, values, rule_weights, gauss_rule{};
    std::array<double, N> errors{};
    for (unsigned i = 0, used = 0; i < nodes.size(); ++i) {
        const bool in_gauss = (i % 2 == 0) == center_is_gauss;
        for (int side = (i == 0 ? 1 : 0); side < 2; ++side) {
            points[used] = center + (side ? half : -half) * nodes[i];
            rule_weights[used] = weights[i];
            if (in_gauss)
                gauss_rule[used] = gauss_weights[center_is_gauss ? i / 2 : (i - 1) / 2];
            ++used;
        }
    }
    if constexpr (std::is_invocable_v<Function, const std::array<double, N> &, std::array<double, N> &>) {
        function(points, values);
    } else {
        for (unsigned i = 0; i < N; ++i) {
            const auto f = function(points[i]);
            values[i] = value_of(f);
            errors[i] = error_of(f);
        }
    }
    double kronrod = 0.0, gauss = 0.0, propagated = 0.0;
    for (unsigned i = 0; i < N; ++i) {
        kronrod += rule_weights[i] * values[i];
        gauss += gauss_rule[i] * values[i];
        propagated += rule_weights[i] * errors[i];
    }
    double deviation = 0.0;
    for (unsigned i = 0; i < N; ++i)
        deviation += rule_weights[i] * std::abs(values[i] - 0.5 * kronrod);
    double error = std::abs(kronrod - gauss);
    if (deviation > 0.0 && error > 0.0) {
        const double ratio = 10.0 * error / deviation;
        error = deviation * std::min(1.0, ratio * std::sqrt(ratio));
    }
    error = std::max(error, std::numeric_limits<double>::epsilon() * std::abs(kronrod));
    return {low, high, half * kronrod, half * error, half * propagated};
}

// Integral over the pieces between `edges` (rising), bisecting the worst piece until the rule's error is
// below relative_tolerance times the value. Throws std::runtime_error naming `what` when it does not get
// there in max_segments.
template <unsigned N, unsigned max_segments = 32, class Function>
Estimate integrate(Function &&function, std::initializer_list<double> edges, double relative_tolerance,
                   const char *what) {
    std::array<Segment, max_segments> segments;
    unsigned count = 0;
    for (const double *edge = edges.begin(); edge + 1 < edges.end(); ++edge)
        if (edge[1] > edge[0])
            segments[count++] = apply_rule<N>(function, edge[0], edge[1]);
    if (count == 0)
        return {};
    for (;;) {
        Segment total;
        unsigned worst = 0;
        for (unsigned i = 0; i < count; ++i) {
            total.value += segments[i].value;
            total.error += segments[i].error;
            total.propagated += segments[i].propagated;
            if (segments[i].error > segments[worst].error)
                worst = i;
        }
        if (!std::isfinite(total.value))
            throw std::runtime_error(std::string(what) + " is not finite");
        if (total.error <= relative_tolerance * std::abs(total.value))
            return {total.value, total.error + total.propagated};
        if (count == max_segments)
            throw std::runtime_error(std::string(what) + " did not converge");
        const Segment split = segments[worst];
        const double middle = 0.5 * (split.low + split.high);
        segments[worst] = apply_rule<N>(function, split.low, middle);
        segments[count++] = apply_rule<N>(function, middle, split.high);
    }
}

} // namespace na64root::quadrature

#endif
