#include "counting/limits.hpp"

namespace na64root::counting {

double largest_limit(const Model &model) {
    double events = 1.0;
    for (const PooledBin &bin : model.bins)
        events += bin.background + bin.observed;
    return 1e4 * events;
}

ConfidenceLevels confidence_levels(const Model &model, double mu, Accuracy accuracy) {
    check_signal(mu);
    if (mu == 0.0)
        return {1.0, 1.0, 1.0};
    const Tails found = tails(model, mu, Fitter(model).statistic(mu), accuracy);
    const double with = std::min(1.0, found.with), without = std::min(1.0, found.without);
    if (!(without > 0.0))
        throw std::runtime_error(
            "CLs is undefined: the data are beyond reach of the background-only ensemble");
    return {with, without, std::min(1.0, with / without)};
}

namespace {

// ln CLs falls by steps of the counts, but for nuisance parameters that are averaged over.
Estimate limit_by_steps(const Model &model, double cl, Criterion criterion) {
    constexpr double tolerance = 1e-5;
    const double target = std::log1p(-cl);
    const auto excess = [&](double mu) {
        return log_level(confidence_levels(model, mu), criterion) - target;
    };
    double limit = falling_root(excess, Fitter(model).best_signal() - target, tolerance, infinity,
                                Shape::nearly_straight);
    constexpr double beside = 1.002;
    double excess_beside = 0.0;
    for (bool again = true; again;) {
        again = false;
        excess_beside = excess(beside * limit);
        for (double factor : {beside, 1.01, 1.03, 1.1, 1.2})
            if ((factor == beside ? excess_beside : excess(factor * limit)) > 0.0) {
                limit = falling_root(excess, factor * limit, tolerance, infinity, Shape::nearly_straight);
                again = true;
                break;
            }
    }
    // What was left out, and how finely priors were averaged over, moves ln CLs, and the limit by that over
    // its slope.
    const double finer = log_level(confidence_levels(model, limit, Accuracy::fine), criterion);
    const double slope = excess_beside / ((beside - 1.0) * limit);
    const double moved = std::abs((finer - target) / std::min(slope, -1e-3 / limit));
    return {limit, tolerance * limit + 2.0 * std::min(moved, limit)};
}

// ln CLs is nearly straight where auxiliary measurements fluctuate: secants find the limit.
class Secants {
  public:
    // Relative: where two accuracies agree to the last digit, what both leave out does not vanish.
    static constexpr double least_error = 1e-5;

    Secants(const Model &model, const Model &known, double cl, Criterion criterion)
        : model_(model), criterion_(criterion), target_(std::log1p(-cl)), most_(largest_limit(model)),
          limit_(upper_limit(known, nullptr, cl, criterion).value) {
        const double above = log_level(confidence_levels(known, 1.02 * limit_), criterion);
        slope_ = std::min((above - target_) / (0.02 * limit_), -1e-3);
    }

    // From the limit with known nuisance parameters a few secants find the place coarsely, one or two more
    // the value.
    Estimate limit() {
        approach(Accuracy::coarse, 1e-2);
        const double value = approach(Accuracy::standard, 2e-3);
        // Numerical error: finer rules for the auxiliary measurements and more counts, of which those still
        // left out may matter as much, and what is left of the step.
        const double finer = excess(limit_, Accuracy::fine);
        return {limit_ - finer / slope_, 2.0 * std::abs((finer - value) / slope_) +
                                             0.05 * std::abs(finer / slope_) + least_error * limit_};
    }

  private:
    double excess(double mu, Accuracy accuracy) const {
        return log_level(confidence_levels(model_, mu, accuracy), criterion_) - target_;
    }

    // Moves the limit until the next step would be below the relative tolerance; the excess there.
    double approach(Accuracy accuracy, double tolerance) {
        double value = excess(limit_, accuracy);
        for (int i = 0; std::abs(value / slope_) > tolerance * limit_; ++i) {
            if (i == 60 || limit_ > most_)
                throw std::runtime_error(!model_.lognormal_signal() &&
                                                 (model_.signal_varies() || model_.own_sources)
                                             ? "a gaussian signal uncertainty this large lets the signal "
                                               "vanish, and lognormal not"
                                             : "the limit did not converge in 60 steps");
            const double change = std::clamp(-value / slope_, -0.3 * limit_, 0.3 * limit_);
            const double next = excess(limit_ + change, accuracy);
            if (std::abs(change) > 1e-3 * limit_)
                slope_ = std::min((next - value) / change, -1e-3);
            limit_ += change;
            value = next;
        }
        return value;
    }

    const Model &model_;
    Criterion criterion_;
    double target_, most_;
    double limit_, slope_ = 0.0; // slope of ln CLs
};

} // namespace

Estimate upper_limit(const Model &model, const Model *known, double cl, Criterion criterion) {
    check_level(cl);
    return model.auxiliaries_fluctuate() ? Secants(model, *known, cl, criterion).limit()
                                         : limit_by_steps(model, cl, criterion);
}

} // namespace na64root::counting
