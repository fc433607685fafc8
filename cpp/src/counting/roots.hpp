// Roots of functions of one variable.
#ifndef NA64ROOT_SRC_COUNTING_ROOTS_HPP
#define NA64ROOT_SRC_COUNTING_ROOTS_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include <boost/math/tools/toms748_solve.hpp>

namespace na64root::counting {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

// A root of f between a < b, with f(a) f(b) <= 0, to an absolute tolerance.
template <class Function>
double bracketed_root(Function &&f, double a, double fa, double b, double fb, double tolerance) {
    if (fa == 0.0)
        return a;
    if (fb == 0.0)
        return b;
    constexpr std::uintmax_t most_steps = 200;
    std::uintmax_t steps = most_steps;
    const auto near = [&](double low, double high) {
        return high - low <= tolerance + 4e-16 * std::max(std::abs(low), std::abs(high));
    };
    const auto [low, high] = boost::math::tools::toms748_solve(f, a, b, fa, fb, near, steps);
    if (steps >= most_steps)
        throw std::runtime_error("root finding did not converge in 200 steps");
    return 0.5 * (low + high);
}

// The same for a function that is nearly straight but for steps: by secants of which no end stays for long
// (the Illinois method, G. Dowell and P. Jarratt, BIT 11, 168 (1971)), until the last one is straight.
template <class Function>
double nearly_straight_root(Function &&f, double a, double fa, double b, double fb, double tolerance) {
    if (fa == 0.0)
        return a;
    if (fb == 0.0)
        return b;
    double weight_a = fa, weight_b = fb;
    int side = 0; // of the last point
    for (int step = 0; step < 200; ++step) {
        const double slope = (fb - fa) / (b - a);
        double x = a - weight_a * (b - a) / (weight_b - weight_a);
        if (!(x > a && x < b) || step % 4 == 3)
            x = 0.5 * (a + b);
        const double value = f(x);
        if (b - a <= tolerance || std::abs(value) <= 0.3 * tolerance * std::abs(slope))
            return x;
        if ((value > 0.0) == (fa > 0.0)) {
            a = x;
            fa = weight_a = value;
            if (side == 1)
                weight_b *= 0.5;
            side = 1;
        } else {
            b = x;
            fb = weight_b = value;
            if (side == -1)
                weight_a *= 0.5;
            side = -1;
        }
    }
    throw std::runtime_error("root finding did not converge in 200 steps");
}

// Newton's method for a function that rises through zero in [low, high], by bisection where a step leaves the
// bracket. `f` gives value and derivative.
template <class Function> double newton_root(Function &&f, double low, double high, double start) {
    double x = start;
    for (int step = 0; step < 200; ++step) {
        const auto [value, derivative] = f(x);
        if (value == 0.0)
            return x;
        (value < 0.0 ? low : high) = x;
        double next = x - value / derivative;
        // A Newton step of 1e-5 leaves an error of its square, and q an error of the square of that.
        if (std::abs(next - x) <= 1e-5 * (1.0 + std::abs(x)) || high - low <= 1e-12 * (1.0 + std::abs(x)))
            return std::clamp(next, low, high);
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        x = next;
    }
    throw std::runtime_error("a fit did not converge in 200 steps");
}

// What is known of a function besides its ends: nothing, or that it is nearly straight but for steps.
enum class Shape { any, nearly_straight };

// The root of a falling function of mu > 0: brackets by steps from `start`, then solves. Infinite where the
// function has not fallen to zero at `most`.
template <class Function>
double falling_root(Function &&f, double start, double tolerance, double most = infinity,
                    Shape shape = Shape::any) {
    double low = start, at_low = f(low), high = low, at_high = at_low, step = 1.3;
    for (int i = 0; at_high > 0.0; ++i) {
        low = high;
        at_low = at_high;
        high *= step;
        step *= 1.2;
        at_high = f(high);
        if (at_high > 0.0 && high > most)
            return infinity;
        if (i == 60)
            throw std::runtime_error("no upper end of the limit found");
    }
    step = 1.3;
    for (int i = 0; at_low <= 0.0; ++i) {
        high = low;
        at_high = at_low;
        low /= step;
        step *= 1.2;
        at_low = f(low);
        if (i == 60 || low < 1e-6) // nearer to zero the statistics of all counts are ties
            throw std::runtime_error("no lower end of the limit found: every signal is excluded");
    }
    return shape == Shape::any ? bracketed_root(f, low, at_low, high, at_high, tolerance * low)
                               : nearly_straight_root(f, low, at_low, high, at_high, tolerance * low);
}

} // namespace na64root::counting

#endif
