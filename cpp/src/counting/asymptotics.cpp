#include "counting/asymptotics.hpp"

#include <array>

#include "counting/fits.hpp"
#include "counting/limits.hpp"
#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

constexpr double tolerance = 1e-8;

// The experiment that finds what is expected without signal.
Fitter asimov(const Model &model) {
    const Truth background_only = conditional_truth(model, 0.0);
    Fitter experiment(model);
    experiment.outcome.counts = background_only.rates;
    for (std::size_t g = 0; g < model.groups.size(); ++g)
        experiment.outcome.background_auxiliaries[g] =
            model.auxiliary_mean(background_only, {Coordinate::Kind::background, g});
    return experiment;
}

} // namespace

// Eqs. 65 and 66.
ConfidenceLevels asymptotic_confidence_levels(const Model &model, double mu) {
    check_signal(mu);
    if (mu == 0.0)
        return {1.0, 1.0, 1.0};
    const double q = Fitter(model).statistic(mu), q_asimov = asimov(model).statistic(mu);
    const double root = std::sqrt(q), root_asimov = std::sqrt(q_asimov);
    double with, without;
    if (q <= q_asimov) {
        with = standard_normal_cdf(-root);
        without = standard_normal_cdf(root_asimov - root);
    } else {
        with = standard_normal_cdf(-(q + q_asimov) / (2.0 * root_asimov));
        without = standard_normal_cdf(-(q - q_asimov) / (2.0 * root_asimov));
    }
    return {with, without, with / without};
}

Estimate asymptotic_upper_limit(const Model &model, double cl, Criterion criterion) {
    check_level(cl);
    const double target = std::log1p(-cl);
    const double limit = falling_root(
        [&](double mu) { return log_level(asymptotic_confidence_levels(model, mu), criterion) - target; },
        Fitter(model).best_signal() - target, tolerance);
    return {limit, tolerance * limit};
}

ExpectedLimits asymptotic_expected_limits(const Model &model, double cl, Criterion criterion) {
    check_level(cl);
    Fitter expected = asimov(model);
    std::array<double, 5> limits{};
    for (int sigma = -2; sigma <= 2; ++sigma)
        limits[static_cast<std::size_t>(sigma + 2)] = falling_root(
            [&](double mu) {
                const double root = std::sqrt(expected.statistic(mu));
                const double background = criterion == Criterion::cls ? standard_normal_cdf(sigma) : 1.0;
                return std::log(standard_normal_cdf(sigma - root) / background) - std::log1p(-cl);
            },
            -std::log1p(-cl), tolerance);
    return {limits[0], limits[1], limits[2], limits[3], limits[4]};
}

} // namespace na64root::counting
