#include "counting/pass_probability.hpp"

#include <utility>

#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

using Kind = Coordinate::Kind;

// One coordinate is solved for, the others are integrated.
class Integral {
  public:
    Integral(const Model &model, const Test &test, Fitter &experiment, std::vector<Coordinate> coordinates,
             const Truth &truth)
        : model_(model), test_(test), experiment_(experiment), coordinates_(std::move(coordinates)),
          truth_(truth) {}

    double probability();

  private:
    // q - threshold where every auxiliary measurement lies `distance` of its standard deviations from its
    // mean.
    double excess_along(double distance);
    void order_by_sensitivity();
    double sensitivity(const Coordinate &coordinate, double free_signal, double theta);

    // For the mean over an auxiliary measurement.
    Rule rule(const Coordinate &coordinate, std::size_t nodes) const;

    // Over the coordinates from `next` on, the ones between the first and it given.
    double integrate(std::size_t next);
    double beyond_crossing(const Coordinate &coordinate);
    double beyond_crossing_in_theta();
    const Model &model_;
    const Test &test_;
    Fitter &experiment_;
    std::vector<Coordinate> coordinates_; // the first one is solved for
    const Truth &truth_;
    std::vector<Rule> rules_; // by coordinate
    double last_theta_ = 0.0; // where the surface was crossed last
};

double Integral::probability() {
    const double low = excess_along(-auxiliary_range);
    if (low >= 0.0)
        return 1.0;
    const double high = excess_along(auxiliary_range);
    if (high < 0.0)
        return 0.0;
    if (coordinates_.size() > 1) {
        const auto excess = [&](double distance) { return excess_along(distance); };
        excess_along(bracketed_root(excess, -auxiliary_range, low, auxiliary_range, high, 1e-2));
        order_by_sensitivity();
    }
    return integrate(1);
}

double Integral::excess_along(double distance) {
    for (const Coordinate &c : coordinates_)
        experiment_.auxiliary(c) =
            std::max(model_.is_count(c) ? 0.0 : -infinity,
                     model_.auxiliary_mean(truth_, c) + distance * model_.auxiliary_deviation(truth_, c));
    return experiment_.statistic(test_.mu) - test_.threshold;
}

// How much the statistic changes with the auxiliary measurement, in its standard deviations.
double Integral::sensitivity(const Coordinate &coordinate, double free_signal, double theta) {
    const double signal = test_.mu * model_.signal_scale(theta);
    double change = experiment_.outcome.signal_auxiliary - theta;
    if (coordinate.kind == Kind::background) {
        const double free_eta = experiment_.best_eta(coordinate.index, free_signal);
        const double eta = experiment_.best_eta(coordinate.index, signal);
        change = std::log(free_eta / eta);
    } else if (coordinate.kind == Kind::own_signal) {
        const double free_theta = experiment_.best_own_theta(coordinate.index, free_signal);
        change = free_theta - experiment_.best_own_theta(coordinate.index, signal);
    }
    return std::abs(change) * model_.auxiliary_deviation(truth_, coordinate);
}

// The coordinate to which q is most sensitive, where it crosses the threshold, is the one to solve for; those
// to which it is less sensitive are integrated with fewer nodes.
void Integral::order_by_sensitivity() {
    const double free_signal = experiment_.best_signal();
    const double theta = experiment_.conditional_theta(test_.mu, free_signal);
    struct Ranked {
        double sensitivity;
        Coordinate coordinate;
    };
    std::vector<Ranked> ranked;
    for (const Coordinate &c : coordinates_)
        ranked.push_back({sensitivity(c, free_signal, theta), c});
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const Ranked &a, const Ranked &b) { return a.sensitivity > b.sensitivity; });
    const double largest = ranked[0].sensitivity;
    const std::size_t most = ranked.size() <= 3 ? 7 : ranked.size() <= 4 ? 5 : 3;
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        coordinates_[i] = ranked[i].coordinate;
        const double relative = largest > 0.0 ? ranked[i].sensitivity / largest : 1.0;
        const std::size_t nodes = relative < 0.1 ? 3 : relative < 0.4 ? 5 : 7;
        rules_.push_back(
            rule(coordinates_[i], std::min(nodes, most) + (test_.accuracy == Accuracy::fine ? 2 : 0)));
    }
}

Rule Integral::rule(const Coordinate &coordinate, std::size_t nodes) const {
    const double mean = model_.auxiliary_mean(truth_, coordinate);
    if (model_.is_count(coordinate))
        return poisson_rule(nodes, mean);
    Rule rule = normal_rule(nodes);
    for (double &node : rule.nodes)
        node = mean + node;
    return rule;
}

double Integral::integrate(std::size_t next) {
    if (next == coordinates_.size())
        return coordinates_[0].kind == Kind::signal ? beyond_crossing_in_theta()
                                                    : beyond_crossing(coordinates_[0]);
    const Rule &rule = rules_[next];
    double sum = 0.0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
        experiment_.auxiliary(coordinates_[next]) = rule.nodes[i];
        sum += rule.weights[i] * integrate(next + 1);
    }
    return sum;
}

// P(q >= threshold) over one auxiliary measurement of a background or of the signal of one bin, the others
// given.
double Integral::beyond_crossing(const Coordinate &coordinate) {
    const double mean = model_.auxiliary_mean(truth_, coordinate);
    const double width = model_.auxiliary_deviation(truth_, coordinate);
    const bool count = model_.is_count(coordinate);
    const auto excess = [&](double value) {
        experiment_.auxiliary(coordinate) = value;
        return experiment_.statistic(test_.mu) - test_.threshold;
    };
    const double reach = auxiliary_range + 2.0;
    const double low = std::max(count ? 0.0 : -infinity, mean - reach * width);
    const double high = mean + (count ? 1.5 : 1.0) * reach * width;
    const double at_low = excess(low), at_high = excess(high);
    if (at_low >= 0.0)
        return 1.0;
    if (at_high < 0.0)
        return 0.0;
    const double crossing = bracketed_root(excess, low, at_low, high, at_high, 1e-6 * width);
    if (!count)
        return standard_normal_cdf(mean - crossing);
    const double first = std::ceil(crossing - 1e-6);
    return first <= 0.0 ? 1.0 : boost::math::gamma_p(first, mean);
}

// The same over the auxiliary measurement of the signal common to all bins. Solved in the conditional theta:
// there the auxiliary measurement follows, and q with it, without a nested fit.
double Integral::beyond_crossing_in_theta() {
    const double mu = test_.mu, target = std::sqrt(test_.threshold);
    const double free_signal = experiment_.best_signal();
    const double free_value = experiment_.profile(free_signal).value;
    const auto pull = [&](const Profile &at, double theta) {
        return at.slope * mu * model_.signal_scale_slope(theta);
    };
    const auto excess = [&](double theta) {
        const Profile at = experiment_.profile(mu * model_.signal_scale(theta));
        const double from_theta = pull(at, theta);
        return std::sqrt(std::max(0.0, 2.0 * (at.value - free_value)) + from_theta * from_theta) - target;
    };
    double low = -infinity, at_low = -target;
    if (free_signal > 0.0) {
        low = model_.theta_of_scale(free_signal / mu);
    } else if (!model_.lognormal_signal()) {
        low = model_.lowest_theta();
        at_low = excess(low);
        if (at_low >= 0.0)
            return standard_normal_cdf(truth_.theta - (low + target));
    }
    double high = std::max(last_theta_, low), at_high = excess(high);
    double step = 0.5;
    while (at_high < 0.0) {
        low = high;
        at_low = at_high;
        high += step;
        step *= 2.0;
        if (high > truth_.theta + 40.0)
            return 0.0;
        at_high = excess(high);
    }
    step = 0.5;
    double back = std::max(low, high - step);
    while (low < back) {
        const double value = excess(back);
        if (value < 0.0) {
            low = back;
            at_low = value;
            break;
        }
        high = back;
        at_high = value;
        step *= 2.0;
        back = std::max(low, high - step);
        if (high < truth_.theta - 40.0)
            return 1.0;
    }
    const double theta = bracketed_root(excess, low, at_low, high, at_high, 1e-7);
    last_theta_ = theta;
    const double measured = theta + pull(experiment_.profile(mu * model_.signal_scale(theta)), theta);
    return standard_normal_cdf(truth_.theta - measured);
}

} // namespace

double pass_probability_of_counts(const Model &model, const Test &test, Fitter &experiment,
                                  std::vector<Coordinate> coordinates, const Truth &truth) {
    return Integral(model, test, experiment, std::move(coordinates), truth).probability();
}

} // namespace na64root::counting
