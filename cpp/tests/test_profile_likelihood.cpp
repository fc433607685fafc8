#include "check.hpp"
#include "na64root/profile_likelihood.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

using na64root::ProfileLikelihood;

int main() {
    const double infinity = std::numeric_limits<double>::infinity();

    // One bin without nuisance parameters: the best signal is n - b, and the ratio is that of two Poisson
    // probabilities (analytic).
    ProfileLikelihood known;
    known.add_bin(1.0, 1.5);
    for (double n : {0.0, 1.0, 3.0, 700.0}) {
        const double best = std::max(n, 1.5), mu = 2.0 * n + 1.0, rate = mu + 1.5;
        CHECK(std::abs(known.free({n}, {}).mu - (best - 1.5)) <= 1e-6 * (1.0 + n));
        CHECK(std::abs(known.ratio(mu, {n}, {}) -
                       (rate - best - (n > 0.0 ? n * std::log(rate / best) : 0.0))) <= 1e-9);
    }
    CHECK(known.ratio(1.0, {9.0}, {}) == 0.0); // the best signal is larger
    CHECK(known.ratio(1.0, {9.0}, {}, false) > 3.0);

    // A background b + sigma x, x ~ N(a, 1), at signal mu: x solves a quadratic equation (analytic).
    ProfileLikelihood gaussian;
    gaussian.add_parameter(-2.0 + 1e-10, infinity);
    gaussian.add_bin(1.0, 1.0);
    gaussian.add_linear(false, 0, 1.5, 3.0);
    const double mu = 4.0, n = 2.0, a = 0.7;
    const double p = 2.25 - (3.0 + 1.5 * a) - mu, rate = 0.5 * (-p + std::sqrt(p * p + 4.0 * n * 2.25));
    CHECK(std::abs(gaussian.conditional(mu, {n}, {a}).parameters[0] - ((rate - mu - 3.0) / 1.5)) <= 1e-7);
    // Without a count the background goes down by sigma, to zero at most.
    CHECK(std::abs(gaussian.conditional(mu, {0.0}, {a}).parameters[0] - (a - 1.5)) <= 1e-9);
    CHECK(std::abs(gaussian.conditional(mu, {0.0}, {-1.9}).parameters[0] - (-2.0)) <= 1e-9);

    // A background measured by an auxiliary count m of tau c: best mu = n - b m / tau, c = m / tau
    // (analytic).
    ProfileLikelihood gamma;
    gamma.add_parameter(0.0, infinity, 20.0);
    gamma.add_bin(1.0, 5.0);
    gamma.add_linear(false, 0, 1.0, 0.0);
    const auto fit = gamma.free({9.0}, {24.0});
    CHECK(fit.converged);
    CHECK(std::abs(fit.mu - (9.0 - 5.0 * 24.0 / 20.0)) <= 1e-6);
    CHECK(std::abs(fit.parameters[0] - (1.2)) <= 1e-7);

    // A common signal uncertainty is as measured where the signal is free (analytic).
    ProfileLikelihood uncertain;
    uncertain.add_parameter(-8.0, 8.0);
    for (double share : {0.3, 0.7}) {
        uncertain.add_bin(share, 0.5);
        uncertain.add_power(true, 0, std::log(1.2));
    }
    CHECK(std::abs(uncertain.free({3.0, 5.0}, {0.4}).parameters[0] - (0.4)) <= 1e-6);
    CHECK(uncertain.ratio(30.0, {3.0, 5.0}, {0.4}) > 0.0);

    // Without signal: counts in a bin that has hardly any background leave the fit of the others alone
    // (analytic, as above).
    ProfileLikelihood bare;
    bare.add_parameter(-2.0 + 1e-10, 8.0);
    bare.add_bin(0.5, 1.0);
    bare.add_linear(false, 0, 1.5, 3.0);
    bare.add_bin(0.5, 1e-10);
    const auto without = bare.conditional(0.0, {2.0, 11.0}, {0.0});
    CHECK(without.converged);
    CHECK(std::abs(without.parameters[0] - gaussian.conditional(0.0, {2.0}, {0.0}).parameters[0]) <= 1e-7);

    // Forty bins of thousands of events, each background with a parameter of its own: it converges.
    ProfileLikelihood large;
    std::vector<double> counts, auxiliaries;
    for (std::size_t i = 0; i < 40; ++i) {
        large.add_parameter(-8.0, 8.0);
        large.add_bin(0.025, 1000.0 + 100.0 * static_cast<double>(i));
        large.add_power(false, i, std::log(1.5));
        counts.push_back(900.0 + 150.0 * static_cast<double>(i));
        auxiliaries.push_back(0.1 * static_cast<double>(i % 7) - 0.3);
    }
    CHECK(large.free(counts, auxiliaries).converged);
    CHECK(large.ratio(2000.0, counts, auxiliaries) >= 0.0);

    // Two processes expect what one of their sum does (analytic), and are fitted alike.
    ProfileLikelihood sum, parts;
    for (ProfileLikelihood *known : {&sum, &parts})
        known->add_parameter(-8.0, 8.0);
    sum.add_bin(0.8, 3.0);
    sum.add_power(false, 0, 0.3);
    parts.add_bin(0.3, 1.0);
    parts.add_power(false, 0, 0.3);
    parts.add_process(false, 2.0);
    parts.add_power(false, 0, 0.3);
    parts.add_process(true, 0.5);
    CHECK(std::abs(parts.rate(0, 2.0, {0.7}) - (1.6 + 3.0 * std::exp(0.21))) < 1e-12);
    CHECK(std::abs(sum.ratio(4.0, {5.0}, {0.4}) - parts.ratio(4.0, {5.0}, {0.4})) < 1e-10);

    // Joined sides: the sides themselves outside, 1 at zero, and neither value, slope nor curvature jumps at
    // the ends (analytic). Equal sides of a line or a logarithm stay one.
    using Join = ProfileLikelihood::Join;
    for (const Join join : {Join::power, Join::linear, Join::logarithm}) {
        ProfileLikelihood joined;
        joined.add_parameter(-3.0, 3.0);
        joined.add_bin(1.0, 1.0);
        joined.add_joined(false, 0, join, 0.3, 0.1);
        const auto at = [&](double x) { return joined.rate(0, 0.0, {x}); };
        const auto side = [&](double slope, double x) {
            return join == Join::linear ? 1.0 + slope * x : std::exp(slope * x);
        };
        CHECK(at(0.0) == 1.0);
        CHECK(std::abs(at(2.0) - side(0.3, 2.0)) < 1e-14);
        CHECK(std::abs(at(-2.0) - side(0.1, -2.0)) < 1e-14);
        const double end = join == Join::logarithm ? 0.5 : 1.0, h = 1e-3;
        for (const double x : {-end, end}) {
            const double slope = x > 0.0 ? 0.3 : 0.1;
            for (const double beside : {x - h, x, x + h}) // the third derivative may jump, by O(1)
                CHECK(std::abs(at(beside) - side(slope, beside)) < 10.0 * h * h * h);
        }
        ProfileLikelihood equal;
        equal.add_parameter(-3.0, 3.0);
        equal.add_bin(1.0, 1.0);
        equal.add_joined(false, 0, join, 0.2, 0.2);
        for (const double x : {-0.7, 0.3, 0.9})
            CHECK(std::abs(equal.rate(0, 0.0, {x}) - side(0.2, x)) < (join == Join::power ? 1e-6 : 1e-14));
        // The maximum is one: no step to either side is lower.
        const auto fit = joined.conditional(0.0, {3.0}, {0.2});
        CHECK(fit.converged);
        for (const double x : {-1e-3, 1e-3}) {
            const double rate = at(fit.parameters[0] + x), pull = fit.parameters[0] + x - 0.2;
            CHECK(rate - 3.0 * std::log(rate) + 0.5 * pull * pull > fit.value);
        }
    }

    CHECK_THROWS(std::domain_error, ProfileLikelihood{}.add_process(true, 1.0));
    CHECK_THROWS(std::domain_error, large.add_process(true, -1.0));
    CHECK_THROWS(std::domain_error, large.add_joined(true, 0, Join::linear, std::nan(""), 0.1));
    CHECK_THROWS(std::domain_error, large.add_joined(true, 0, Join::linear, 0.1, std::nan("")));
    CHECK_THROWS(std::domain_error, large.add_bin(-1.0, 0.0));
    CHECK_THROWS(std::domain_error, large.add_power(true, 40, 1.0));
    CHECK_THROWS(std::domain_error, large.add_parameter(1.0, 1.0));
    CHECK_THROWS(std::invalid_argument, large.free({1.0}, {}));
    return check::failures;
}
