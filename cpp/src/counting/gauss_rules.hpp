// Rules of Gauss of any number of nodes for means under probability distributions; Boost.Math has those of
// Legendre with numbers fixed at compile time.
#ifndef NA64ROOT_SRC_COUNTING_GAUSS_RULES_HPP
#define NA64ROOT_SRC_COUNTING_GAUSS_RULES_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

namespace na64root::counting {

// A rule of Gauss: sum of weights * f(nodes) is the mean of f under a probability distribution.
struct Rule {
    std::vector<double> nodes, weights;
};

// Golub and Welsch, Math. Comp. 23, 221 (1969): nodes and weights from the recurrence of the orthogonal
// polynomials, as eigenvalues and first components of the eigenvectors of a symmetric tridiagonal matrix
// (implicit QL). Weights below 1e-25 are noise.
inline Rule gauss_rule(std::vector<double> diagonal, std::vector<double> off_diagonal_squared) {
    const std::size_t n = diagonal.size();
    std::vector<double> e(n, 0.0), first(n, 0.0);
    for (std::size_t i = 0; i + 1 < n; ++i)
        e[i] = std::sqrt(off_diagonal_squared[i]);
    first[0] = 1.0;
    for (std::size_t l = 0; l < n; ++l) {
        for (int step = 0;; ++step) {
            std::size_t m = l;
            while (m + 1 < n && std::abs(e[m]) > 1e-16 * (std::abs(diagonal[m]) + std::abs(diagonal[m + 1])))
                ++m;
            if (m == l)
                break;
            if (step == 100)
                throw std::runtime_error("a quadrature rule did not converge");
            double g = (diagonal[l + 1] - diagonal[l]) / (2.0 * e[l]), r = std::hypot(g, 1.0);
            g = diagonal[m] - diagonal[l] + e[l] / (g + std::copysign(r, g));
            double s = 1.0, c = 1.0, p = 0.0;
            for (std::size_t i = m; i-- > l;) {
                const double f = s * e[i], b = c * e[i];
                r = std::hypot(f, g);
                e[i + 1] = r;
                s = f / r;
                c = g / r;
                g = diagonal[i + 1] - p;
                r = (diagonal[i] - g) * s + 2.0 * c * b;
                p = s * r;
                diagonal[i + 1] = g + p;
                g = c * r - b;
                const double swap = first[i + 1];
                first[i + 1] = s * first[i] + c * swap;
                first[i] = c * first[i] - s * swap;
            }
            diagonal[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
    Rule rule{diagonal, std::vector<double>(n)};
    for (std::size_t i = 0; i < n; ++i)
        rule.weights[i] = first[i] * first[i];
    return rule;
}

// Mean under a standard normal distribution (Hermite polynomials).
inline Rule normal_rule(std::size_t n) {
    std::vector<double> off_diagonal(n);
    for (std::size_t i = 0; i < n; ++i)
        off_diagonal[i] = static_cast<double>(i + 1);
    return gauss_rule(std::vector<double>(n, 0.0), off_diagonal);
}

// Mean of a smooth function under a Poisson distribution (Charlier polynomials).
inline Rule poisson_rule(std::size_t n, double mean) {
    std::vector<double> diagonal(n), off_diagonal(n);
    for (std::size_t i = 0; i < n; ++i) {
        diagonal[i] = mean + static_cast<double>(i);
        off_diagonal[i] = mean * static_cast<double>(i + 1);
    }
    return gauss_rule(diagonal, off_diagonal);
}

// Mean over [-1, 1] (Legendre polynomials).
inline Rule uniform_rule(std::size_t n) {
    std::vector<double> off_diagonal(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double k = static_cast<double>(i + 1);
        off_diagonal[i] = k * k / (4.0 * k * k - 1.0);
    }
    return gauss_rule(std::vector<double>(n, 0.0), off_diagonal);
}

// Mean under a standard normal distribution truncated to x >= low: a uniform rule over its 8 standard
// deviations.
inline Rule truncated_normal_rule(double low, Rule rule) {
    const double a = std::max(low, -8.0), b = std::max(a, 0.0) + 8.0;
    double total = 0.0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
        const double x = 0.5 * (a + b) + 0.5 * (b - a) * rule.nodes[i];
        rule.nodes[i] = x;
        rule.weights[i] *= std::exp(-0.5 * x * x);
        total += rule.weights[i];
    }
    for (double &weight : rule.weights)
        weight /= total;
    return rule;
}

// Mean over [low, high] under a density given by its logarithm, which has one maximum, of a function that
// needs nodes at distances of about `width(x)`: panels of eight nodes of Gauss and Legendre, each `panel`
// widths long and at most `longest`. Where the density hardly matters and only falls, panels are not as
// short.
template <class LogDensity, class Width>
Rule graded_rule(double low, double high, const LogDensity &log_density, const Width &width, double panel,
                 double longest) {
    constexpr std::size_t nodes = 8;
    constexpr double hardly = 4.5;
    const Rule legendre = uniform_rule(nodes);
    Rule rule;
    double largest = -std::numeric_limits<double>::infinity();
    for (double begin = low, next; begin < high; begin = next) {
        double length = std::min(longest, panel * width(begin));
        if (log_density(begin) < largest - hardly)
            length = std::max(length, 0.25 * longest);
        next = begin + length;
        for (std::size_t i = 0; i < nodes; ++i) {
            const double x = begin + 0.5 * length * (1.0 + legendre.nodes[i]);
            largest = std::max(largest, log_density(x));
            rule.nodes.push_back(x);
            rule.weights.push_back(length * legendre.weights[i]);
        }
    }
    double total = 0.0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i)
        total += rule.weights[i] *= std::exp(log_density(rule.nodes[i]) - largest);
    for (double &weight : rule.weights)
        weight /= total;
    return rule;
}

// Mean under a gamma distribution of unit scale (generalised Laguerre polynomials).
inline Rule gamma_rule(double shape, std::size_t n) {
    std::vector<double> diagonal(n), off_diagonal(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double k = static_cast<double>(i);
        diagonal[i] = 2.0 * k + shape;
        off_diagonal[i] = (k + 1.0) * (k + shape);
    }
    return gauss_rule(diagonal, off_diagonal);
}

} // namespace na64root::counting

#endif
