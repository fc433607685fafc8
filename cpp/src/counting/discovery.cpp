#include "counting/intervals.hpp"

#include <stdexcept>

#include "counting/counts.hpp"
#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

double discovery_statistic(Fitter &experiment) {
    const double signal = experiment.best_signal();
    if (signal == 0.0)
        return 0.0;
    const double without = experiment.profile(0.0).value, with = experiment.profile(signal).value;
    return std::max(0.0, 2.0 * (without - with));
}

// P(q0 >= threshold) over the auxiliary measurements of the backgrounds. q0 falls with each: the first is
// solved for, the others are integrated.
class PassProbability0 {
  public:
    PassProbability0(const Model &model, const Truth &truth, double threshold)
        : model_(model), truth_(truth), threshold_(threshold) {}

    double operator()(Fitter &experiment) {
        model_.find_background_coordinates(experiment.outcome.counts, coordinates_);
        if (coordinates_.empty())
            return discovery_statistic(experiment) >= threshold_ ? 1.0 : 0.0;
        return integrate(experiment, 1);
    }

  private:
    double integrate(Fitter &experiment, std::size_t next) const;
    double beyond_crossing(Fitter &experiment, const Coordinate &coordinate) const;

    const Model &model_;
    const Truth &truth_;
    double threshold_;
    std::vector<Coordinate> coordinates_;
};

double PassProbability0::integrate(Fitter &experiment, std::size_t next) const {
    if (next == coordinates_.size())
        return beyond_crossing(experiment, coordinates_[0]);
    const Coordinate &coordinate = coordinates_[next];
    const double mean = model_.auxiliary_mean(truth_, coordinate);
    const bool count = model_.is_count(coordinate);
    const Rule rule = count ? poisson_rule(7, mean) : normal_rule(7);
    double sum = 0.0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
        experiment.auxiliary(coordinate) = count ? rule.nodes[i] : mean + rule.nodes[i];
        sum += rule.weights[i] * integrate(experiment, next + 1);
    }
    return sum;
}

double PassProbability0::beyond_crossing(Fitter &experiment, const Coordinate &coordinate) const {
    const double mean = model_.auxiliary_mean(truth_, coordinate);
    const double width = model_.auxiliary_deviation(truth_, coordinate);
    const bool count = model_.is_count(coordinate);
    const auto excess = [&](double value) {
        experiment.auxiliary(coordinate) = value;
        return discovery_statistic(experiment) - threshold_;
    };
    const double low = count ? std::max(0.0, mean - 8.0 * width) : mean - 8.0 * width,
                 high = mean + 12.0 * width;
    const double at_low = excess(low), at_high = excess(high);
    if (at_low < 0.0)
        return 0.0;
    if (at_high >= 0.0)
        return 1.0;
    const double crossing = bracketed_root(excess, low, at_low, high, at_high, 1e-7 * width);
    if (!count)
        return standard_normal_cdf(crossing - mean);
    const double last = std::floor(crossing + 1e-6);
    return boost::math::gamma_q(last + 1.0, mean);
}

} // namespace

Discovery discovery(const Model &model) {
    if (model.treatment == Treatment::frequentist && model.own_sources)
        throw std::invalid_argument(
            "the p-value with signal uncertainties of single bins is made with treatment "
            "none or hybrid");
    Fitter data(model);
    const double observed = discovery_statistic(data);
    if (observed == 0.0)
        return {0.0, 1.0};
    const Truth truth = conditional_truth(model, 0.0);
    return {observed, std::min(1.0, mean_over_counts(model, 0.0,
                                                     PassProbability0(model, truth, below_ties(observed))))};
}

} // namespace na64root::counting
