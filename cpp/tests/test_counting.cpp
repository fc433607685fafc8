#include "check.hpp"
#include "na64root/counting.hpp"
#include "na64root/profile_likelihood.hpp"
#include "na64root/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <vector>

using na64root::Constraint;
using na64root::CountingBin;
using na64root::CountingExperiment;
using na64root::CountingModel;
using na64root::ProfileLikelihood;
using na64root::Random;
using na64root::Stream;
using na64root::Treatment;

namespace {

double limit(const CountingModel &model, Treatment treatment, double cl = 0.9) {
    return CountingExperiment(model, treatment).upper_limit(cl).value;
}

// The number of expected events at which n or fewer have probability alpha, without background (bisection).
double poisson_limit(int n, double alpha) {
    double low = 0.0, high = 50.0;
    for (int i = 0; i < 100; ++i) {
        const double mu = 0.5 * (low + high);
        double term = std::exp(-mu), sum = term;
        for (int k = 1; k <= n; ++k)
            sum += term *= mu / k;
        (sum > alpha ? low : high) = mu;
    }
    return low;
}

// The likelihood of a model whose bins alone have no signal uncertainty, all parameters together.
ProfileLikelihood together(const CountingModel &model, std::vector<double> &measured) {
    ProfileLikelihood all;
    double shares = 0.0;
    for (const auto &bin : model.bins)
        shares += bin.signal_fraction;
    const bool lognormal = model.signal_constraint == Constraint::lognormal;
    const double delta = model.signal_uncertainty;
    if (delta > 0.0)
        all.add_parameter(lognormal ? -60.0 : -1.0 / delta, 60.0);
    std::map<int, std::size_t> places; // of groups
    for (const auto &bin : model.bins) {
        if (bin.background_uncertainty == 0.0 || places.count(bin.group))
            continue;
        double lowest = -60.0;
        for (const auto &other : model.bins)
            if (other.group == bin.group && other.background_uncertainty > 0.0)
                lowest = std::max(lowest, -other.background / other.background_uncertainty + 1e-10);
        const double relative = bin.background_uncertainty / bin.background;
        places[bin.group] = all.parameters();
        if (model.background_constraint == Constraint::gamma)
            all.add_parameter(0.0, 60.0, 1.0 / (relative * relative));
        else
            all.add_parameter(model.background_constraint == Constraint::gaussian ? lowest : -60.0, 60.0);
    }
    for (const auto &bin : model.bins) {
        const bool varies = bin.background_uncertainty > 0.0;
        const bool gaussian = varies && model.background_constraint == Constraint::gaussian;
        all.add_bin(bin.signal_fraction / shares, gaussian ? 1.0 : bin.background);
        if (delta > 0.0 && lognormal)
            all.add_power(true, 0, std::log1p(delta));
        else if (delta > 0.0)
            all.add_linear(true, 0, delta, 1.0);
        if (gaussian)
            all.add_linear(false, places[bin.group], bin.background_uncertainty, bin.background);
        else if (varies && model.background_constraint == Constraint::lognormal)
            all.add_power(false, places[bin.group], std::log1p(bin.background_uncertainty / bin.background));
        else if (varies)
            all.add_linear(false, places[bin.group], 1.0, 0.0);
    }
    measured.clear();
    for (std::size_t k = 0; k < all.parameters(); ++k)
        measured.push_back(all.parameter(k).count);
    return all;
}

// One to five bins of a hundredth to a thousand events, uncertain by up to 100 % in any shape, shared or not.
CountingModel random_model(Random &random) {
    const std::array shapes{Constraint::gaussian, Constraint::lognormal, Constraint::gamma};
    CountingModel model;
    model.background_constraint = shapes[static_cast<std::size_t>(3.0 * random.uniform())];
    model.signal_constraint = random.uniform() < 0.5 ? Constraint::lognormal : Constraint::gaussian;
    model.signal_uncertainty = random.uniform() < 0.5 ? 0.0 : 0.6 * random.uniform();
    const double common = random.uniform();
    const int bins = 1 + static_cast<int>(5.0 * random.uniform());
    for (int i = 0; i < bins; ++i) {
        const double background = std::pow(10.0, -2.0 + 5.0 * random.uniform());
        const double relative = model.background_constraint == Constraint::gamma ? common : random.uniform();
        const bool known = random.uniform() < 0.25, shared = random.uniform() < 0.5;
        const double expected = background * (0.3 + 1.4 * random.uniform()) + 3.0 * random.uniform();
        const double seen = expected + 2.0 * std::sqrt(expected) * (random.uniform() - 0.5);
        model.bins.push_back({std::floor(std::max(0.0, seen)), background,
                              known ? 0.0 : relative * background, 0.05 + random.uniform(),
                              shared ? 0 : i + 1});
    }
    return model;
}

} // namespace

int main() {
    const std::vector<CountingBin> two = {{0, 0.19, 0.07, 0.4, 0}, {0, 0.53, 0.17, 0.6, 1}};

    // Nothing seen, signal known: -ln(1 - cl) whatever the backgrounds (analytic).
    for (auto treatment : {Treatment::none, Treatment::frequentist, Treatment::hybrid})
        for (double cl : {0.9, 0.95})
            CHECK_CLOSE(limit({two}, treatment, cl), -std::log1p(-cl), 1e-4);

    // One bin without background: the classical Poisson limit (analytic).
    for (int n : {0, 1, 2, 5, 10})
        CHECK_CLOSE(limit({{{double(n), 0.0, 0.0, 1.0, 0}}}, Treatment::none), poisson_limit(n, 0.1), 1e-4);

    // Proportional bins of one group are one bin: splitting a bin changes nothing.
    CountingModel whole{{{2, 0.6, 0.2, 1.0, 0}}, 0.2, Constraint::lognormal, Constraint::gaussian};
    CountingModel split{{{1, 0.2, 0.2 / 3, 1.0, 0}, {1, 0.4, 0.4 / 3, 2.0, 0}}, 0.2};
    for (auto treatment : {Treatment::none, Treatment::frequentist, Treatment::hybrid})
        CHECK_CLOSE(limit(split, treatment), limit(whole, treatment), 1e-9);

    // A difference in the shares far below the tolerance of ties breaks the pooling and must not change the
    // limit: the general code agrees with the pooled one.
    for (auto constraint : {Constraint::gaussian, Constraint::lognormal}) {
        CountingModel nearly = split;
        nearly.background_constraint = constraint;
        CountingModel pooled = nearly;
        nearly.bins[0].signal_fraction *= 1.0 + 1e-10;
        for (auto treatment : {Treatment::none, Treatment::frequentist, Treatment::hybrid})
            CHECK_CLOSE(limit(nearly, treatment), limit(pooled, treatment), 1e-4);
    }

    // A vanishing uncertainty is none.
    CountingModel known{{{3, 0.5, 0.0, 0.7, 0}, {1, 1.5, 0.0, 0.3, 1}}};
    for (auto constraint : {Constraint::gaussian, Constraint::lognormal, Constraint::gamma}) {
        CountingModel almost = known;
        almost.background_constraint = constraint;
        for (auto &bin : almost.bins)
            bin.background_uncertainty = 1e-3 * bin.background;
        CHECK_CLOSE(limit(almost, Treatment::hybrid), limit(known, Treatment::none), 1e-3);
    }

    // Signal uncertainties of single bins beside a background measured by many counts, which is as good as
    // gaussian; both are frequentist, one with a rule for counts and one with the surface of q.
    for (double common : {0.0, 0.1, 0.3}) {
        CountingModel gaussian{{{2, 1.0, 0.05, 0.4, 0}, {1, 0.5, 0.0, 0.6, 1, 0.3}}, common};
        CountingModel gamma = gaussian;
        gamma.background_constraint = Constraint::gamma;
        CHECK_CLOSE(limit(gamma, Treatment::frequentist), limit(gaussian, Treatment::frequentist), 3e-3);
    }

    // Far from few events the asymptotic formulae hold.
    CountingModel many{{{1030, 1000, 20, 0.5, 0}, {510, 500, 10, 0.5, 1}}};
    CHECK_CLOSE(CountingExperiment(many, Treatment::none).upper_limit(0.9).value,
                CountingExperiment(many, Treatment::none).asymptotic_upper_limit(0.9).value, 0.02);

    // Without uncertainties all treatments are one, also between the bulks of the two ensembles.
    for (const CountingModel &certain : {CountingModel{{{14, 0.0, 0.0, 1.0, 0}}},
                                         CountingModel{{{3, 0.5, 0.0, 0.4, 0}, {1, 2.0, 0.0, 0.6, 1}}}})
        for (auto treatment : {Treatment::frequentist, Treatment::hybrid})
            CHECK(limit(certain, treatment, 0.95) == limit(certain, Treatment::none, 0.95));
    CHECK_CLOSE(limit({{{14, 0.0, 0.0, 1.0, 0}}}, Treatment::hybrid, 0.95), poisson_limit(14, 0.05), 1e-4);

    // Fits that went astray, beside that of all parameters together (independent of the nested ones): as many
    // events as a log-normal background, where the slope is exactly zero;
    CountingModel balanced{{{100, 100.0, 30.0, 1.0, 0}}};
    balanced.background_constraint = Constraint::lognormal;
    ProfileLikelihood all;
    all.add_parameter(-20.0, 20.0);
    all.add_bin(1.0, 100.0);
    all.add_power(false, 0, std::log(1.3));
    for (double mu : {20.0, 39.8, 100.0})
        CHECK_CLOSE(CountingExperiment(balanced, Treatment::frequentist).statistic(mu),
                    2.0 * all.ratio(mu, {100.0}, {0.0}), 1e-6);
    // a background that two bins share, whose fit without signal begins beside a pole: at eta = 0.4945 their
    // slope vanishes, and both rates are near the counts (analytic), so that CLb is no certainty;
    CountingModel shared{{{2, 1.0, 0.5, 0.6, 0}, {3, 2.0, 1.5, 0.4, 0}}};
    CHECK(CountingExperiment(shared, Treatment::frequentist).confidence_levels(6.0).background < 0.85);
    // and two minima of the signal, where that of single bins is uncertain.
    CountingModel two_minima{
        {{223, 159.121, 78.9465, 1.00309, 0, 0.205518}, {1, 0.0277, 0.02436, 0.538, 0, 0.22}}};
    two_minima.background_constraint = Constraint::lognormal;
    ProfileLikelihood single;
    for (int i = 0; i < 3; ++i)
        single.add_parameter(-20.0, 20.0);
    const double whole_share = 1.00309 + 0.538;
    single.add_bin(1.00309 / whole_share, 159.121);
    single.add_power(true, 0, std::log1p(0.205518));
    single.add_power(false, 2, std::log1p(78.9465 / 159.121));
    single.add_bin(0.538 / whole_share, 0.0277);
    single.add_power(true, 1, std::log1p(0.22));
    single.add_power(false, 2, std::log1p(0.02436 / 0.0277));
    for (double mu : {10.0, 25.0, 60.0, 100.0})
        CHECK_CLOSE(CountingExperiment(two_minima, Treatment::frequentist).statistic(mu),
                    2.0 * single.ratio(mu, {223.0, 1.0}, {0.0, 0.0, 0.0}), 1e-6);

    // Any model: the nested fits of the engine and the one of all parameters, which share nothing.
    for (std::uint64_t entry = 0; entry < 4000; ++entry) {
        Random random(14, entry, Stream::toy);
        const CountingModel model = random_model(random);
        std::vector<double> counts, measured;
        double events = 0.0;
        for (const auto &bin : model.bins) {
            counts.push_back(bin.observed);
            events += bin.observed + bin.background;
        }
        const double mu = (0.3 + 3.0 * random.uniform()) * (1.0 + std::sqrt(events));
        const ProfileLikelihood likelihood = together(model, measured);
        const double expected = 2.0 * likelihood.ratio(mu, counts, measured);
        CHECK(std::abs(CountingExperiment(model, Treatment::frequentist).statistic(mu) - expected) <=
              1e-5 * (1.0 + expected));
    }

    // Misuse.
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS(std::domain_error, CountingExperiment({{}}, Treatment::none));
    CHECK_THROWS(std::domain_error, CountingExperiment({{{0, -1, 0, 1, 0}}}, Treatment::none));
    CHECK_THROWS(std::domain_error, CountingExperiment({{{0, nan, 0, 1, 0}}}, Treatment::none));
    CHECK_THROWS(std::domain_error, CountingExperiment({{{0, 1, 0, 0, 0}}}, Treatment::none));
    CHECK_THROWS(std::domain_error, CountingExperiment({{{0, 1, 0.1, 1, -1}}}, Treatment::none));
    CHECK_THROWS(std::domain_error, CountingExperiment({two, -0.1}, Treatment::none));
    CHECK_THROWS(std::domain_error, limit({two}, Treatment::none, 1.0));
    CHECK_THROWS(std::domain_error, CountingExperiment({two}, Treatment::none).confidence_levels(-1.0));
    CHECK(CountingExperiment({two}, Treatment::none).cls(0.0).value == 1.0);
    CHECK_CLOSE(CountingExperiment({two}, Treatment::none).cls(2.0).value, std::exp(-2.0), 1e-6);
    return check::failures;
}
