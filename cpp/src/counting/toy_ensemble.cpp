#include "na64root/toy_ensemble.hpp"

#include <algorithm>
#include <atomic>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "na64root/interruption.hpp"
#include "na64root/parallel.hpp"

namespace na64root {

namespace {

// Values of the statistic of the same counts differ by less, those of others by more.
constexpr double tie = 1e-6;

// Of the largest models, a hundredth of a second.
constexpr std::ptrdiff_t toys_between_questions = 64;

// Above this mean a Poisson number is found by rejection, not by adding probabilities.
constexpr double large_mean = 30.0;

// Transformed rejection with squeeze: W. Hoermann, Insurance: Mathematics and Economics 12, 39 (1993), PTRS.
double large_poisson_number(double mean, Random &random) {
    const double b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), accepted = 0.9277 - 3.6224 / (b - 2.0);
    const double log_mean = std::log(mean);
    for (;;) {
        const double u = random.uniform() - 0.5, v = random.uniform(), left = 0.5 - std::abs(u);
        const double k = std::floor((2.0 * a / left + b) * u + mean + 0.43);
        if (left >= 0.07 && v <= accepted)
            return k;
        if (k < 0.0 || (left < 0.013 && v > left))
            continue;
        if (std::log(v * inverse_alpha / (a / (left * left) + b)) <=
            k * log_mean - mean - std::lgamma(k + 1.0))
            return k;
    }
}

double poisson_number(double mean, Random &random) {
    return mean > large_mean ? large_poisson_number(mean, random) : static_cast<double>(random.poisson(mean));
}

} // namespace

ToyEnsemble::ToyEnsemble(ProfileLikelihood likelihood, std::vector<double> counts,
                         std::vector<double> auxiliaries, Treatment treatment)
    : likelihood_(std::move(likelihood)), counts_(std::move(counts)), auxiliaries_(std::move(auxiliaries)),
      treatment_(treatment) {
    if (counts_.size() != likelihood_.bins() || auxiliaries_.size() != likelihood_.parameters())
        throw std::invalid_argument("counts and auxiliary measurements must be as many as the model has");
}

double ToyEnsemble::observed(double mu) const {
    const double value = likelihood_.ratio(mu, counts_, auxiliaries_);
    if (!std::isfinite(value))
        throw std::runtime_error("the fit of the observed counts does not converge");
    return value;
}

ToyStatistics ToyEnsemble::statistics(double mu, double true_mu, std::uint64_t seed, std::uint64_t first,
                                      std::size_t toys, int threads) const {
    const double reference = observed(mu);
    std::vector<double> truth;
    if (treatment_ == Treatment::frequentist) {
        const auto fit = likelihood_.conditional(true_mu, counts_, auxiliaries_);
        if (!fit.converged)
            throw std::runtime_error("the fit of the observed counts does not converge");
        truth = fit.parameters;
    }
    std::vector<double> values(toys);
    std::atomic<bool> wanted{true};
    in_parts(static_cast<std::ptrdiff_t>(toys), threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        Toy toy{std::vector<double>(counts_.size()), auxiliaries_, std::vector<double>(auxiliaries_.size())};
        for (std::ptrdiff_t i = begin; i < end && wanted; ++i) {
            if (i % toys_between_questions == 0) {
                try {
                    Interruptible::ask();
                } catch (const Interrupted &) {
                    wanted = false; // for the other threads
                    throw;
                }
            }
            Random random(seed, first + static_cast<std::uint64_t>(i), Stream::toy);
            draw(toy, true_mu, truth, random);
            const double value = likelihood_.ratio(mu, toy.counts, toy.auxiliaries);
            values[static_cast<std::size_t>(i)] = std::abs(value - reference) < tie ? reference : value;
        }
    });
    const auto converged =
        std::remove_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); });
    const auto failed = static_cast<std::size_t>(values.end() - converged);
    values.erase(converged, values.end());
    return {std::move(values), failed};
}

void ToyEnsemble::draw(Toy &toy, double true_mu, const std::vector<double> &truth, Random &random) const {
    for (std::size_t k = 0; k < toy.parameters.size(); ++k) {
        const auto &[lowest, highest, count] = likelihood_.parameter(k);
        if (treatment_ == Treatment::frequentist) {
            toy.parameters[k] = truth[k];
            toy.auxiliaries[k] =
                count > 0.0 ? poisson_number(count * truth[k], random) : truth[k] + random.normal();
        } else if (count > 0.0) { // its likelihood is that of a gamma distribution
            const double shape = auxiliaries_[k] + 1.0;
            do
                toy.parameters[k] = boost::math::gamma_p_inv(shape, random.uniform()) / count;
            while (toy.parameters[k] > highest);
        } else {
            do
                toy.parameters[k] = auxiliaries_[k] + random.normal();
            while (toy.parameters[k] < lowest || toy.parameters[k] > highest);
        }
    }
    for (std::size_t i = 0; i < toy.counts.size(); ++i)
        toy.counts[i] = poisson_number(likelihood_.rate(i, true_mu, toy.parameters), random);
}

} // namespace na64root
