#include "counting/fits.hpp"

#include <stdexcept>
#include <utility>

namespace na64root::counting {

double &Fitter::auxiliary(const Coordinate &coordinate) {
    switch (coordinate.kind) {
    case Coordinate::Kind::own_signal:
        return outcome.own_auxiliaries[coordinate.index];
    case Coordinate::Kind::signal:
        return outcome.signal_auxiliary;
    case Coordinate::Kind::background:
        break;
    }
    return outcome.background_auxiliaries[coordinate.index];
}

double Fitter::best_signal() {
    double total = 0.0, background_rate = 0.0;
    for (std::size_t i = 0; i < model_.bins.size(); ++i) {
        total += model_.bins[i].signal > 0.0 ? outcome.counts[i] : 0.0;
        background_rate += model_.bins[i].background;
    }
    if (total == 0.0)
        return 0.0;
    // The slope may be a pole at zero; there and below it is negative, at the total count it is not.
    const bool none = profile(0.0, false).slope >= 0.0;
    if (none && model_.one_minimum)
        return 0.0;
    double highest = total;
    // Auxiliary measurements of single bins may ask for more.
    while (model_.own_sources && profile(highest, false).slope < 0.0)
        highest *= 2.0;
    const double guess = std::max(total - background_rate, 0.3 * total);
    // Where the background is zero there is a pole, near which steps are too small to tell the end.
    const double start =
        last_signal_ > 0.0 ? std::clamp(last_signal_, std::min(1e-2, highest), highest) : guess;
    const auto slope = [&](double signal) {
        const Profile at = profile(signal, false);
        return std::make_pair(at.slope, at.curvature);
    };
    const double found = none ? 0.0 : newton_root(slope, 0.0, highest, start);
    return last_signal_ = model_.one_minimum ? found : best_of_two_signals(slope, found, highest);
}

// The one found of two minima lies above a maximum, below one, or there is no other.
template <class Slope> double Fitter::best_of_two_signals(const Slope &slope, double found, double highest) {
    double other = found, below = 0.0;
    for (const double part : {0.05, 0.3, 0.7}) {
        if (found > 0.0 && slope(part * found).first > 0.0) {
            other = newton_root(slope, below, part * found, 0.5 * (below + part * found));
            break;
        }
        below = part * found;
    }
    for (const double part : {0.15, 0.5})
        if (const double above = found + part * (highest - found); other == found && slope(above).first < 0.0)
            other = newton_root(slope, above, highest, 0.5 * (above + highest));
    return other != found && profile(other).value < profile(found).value ? other : found;
}

double Fitter::conditional_theta_inside(double mu, double free_signal) {
    if (!model_.signal_varies())
        return 0.0;
    const double t = outcome.signal_auxiliary, start = std::max(t, model_.lowest_theta());
    if (mu == 0.0)
        return start;
    const auto slope = [&](double theta) {
        const Profile at = profile(mu * model_.signal_scale(theta), false);
        const double step = mu * model_.signal_scale_slope(theta);
        const double bend = model_.signal_bend * step;
        return std::make_pair(at.slope * step + theta - t,
                              at.curvature * step * step + at.slope * bend + 1.0);
    };
    const double at_start = slope(start).first;
    if (at_start == 0.0)
        return start;
    if (at_start < 0.0)
        return newton_root(slope, start, model_.theta_of_scale(free_signal / mu), start);
    double low = std::max(start - at_start, model_.lowest_theta());
    // The slope of the profile over signals of single bins may fall with the signal.
    while (model_.own_sources && low > model_.lowest_theta() && slope(low).first > 0.0)
        low = std::max(start - 2.0 * (start - low), model_.lowest_theta());
    if (free_signal > 0.0)
        low = std::max(low, model_.theta_of_scale(free_signal / mu));
    if (low == model_.lowest_theta() && slope(low).first >= 0.0)
        return low;
    return newton_root(slope, low, start, start);
}

double Fitter::conditional_theta(double mu, double free_signal) {
    const double inside = conditional_theta_inside(mu, free_signal), lowest = model_.lowest_theta();
    if (!model_.own_sources || !model_.signal_varies() || model_.lognormal_signal() || mu == 0.0)
        return inside;
    // With signals of single bins there may be a second minimum where no signal is left.
    const double t = outcome.signal_auxiliary;
    const auto value = [&](double theta) {
        return profile(mu * model_.signal_scale(theta)).value + 0.5 * (theta - t) * (theta - t);
    };
    return value(lowest) < value(inside) ? lowest : inside;
}

namespace {

// The maximum with zero would make a tie of what is no number.
double not_negative(double statistic) {
    if (std::isnan(statistic))
        throw std::runtime_error("a fit has no likelihood");
    return std::max(0.0, statistic);
}

} // namespace

double Fitter::statistic(double mu) {
    const double t = outcome.signal_auxiliary;
    // Auxiliary measurements to be compared need all digits of q.
    if (joint_.fit(mu, outcome, 1e-7))
        return mu * model_.signal_scale(t) <= joint_.free().signal ? 0.0 : joint_.difference(outcome);
    const double free_signal = best_signal();
    if (mu * model_.signal_scale(t) <= free_signal)
        return 0.0;
    const double theta = conditional_theta(mu, free_signal);
    const bool varies = model_.signal_varies();
    const double pull = varies ? theta - std::max(t, model_.lowest_theta()) : 0.0;
    // Below its lowest value the pull of theta is the same in both fits, up to what is beyond it.
    const double beyond = varies ? std::max(model_.lowest_theta() - t, 0.0) : 0.0;
    const double change = profile(mu * model_.signal_scale(theta)).value - profile(free_signal).value;
    return not_negative(2.0 * change + pull * pull + 2.0 * pull * beyond);
}

double Fitter::two_sided_statistic(double mu) {
    const double free_signal = best_signal();
    const double theta = conditional_theta(mu, free_signal);
    const double pull =
        model_.signal_varies() ? theta - std::max(outcome.signal_auxiliary, model_.lowest_theta()) : 0.0;
    return not_negative(2.0 * (profile(mu * model_.signal_scale(theta)).value - profile(free_signal).value) +
                        pull * pull);
}

namespace {

// The derivative of a root of q from the difference of the two pulls.
double root_slope(double difference, double root) {
    return std::max(0.0, root < 0.0 ? -difference : difference) / std::max(std::abs(root), 1e-12);
}

} // namespace

double Fitter::root_of_statistic(double mu, const std::vector<Coordinate> &coordinates,
                                 std::vector<double> &gradient, double least) {
    // Integrals over the auxiliary measurements need no more than four digits of the root.
    if (joint_.fit(mu, outcome, 1e-4))
        return joint_root(mu, coordinates, gradient, least);
    const double t = outcome.signal_auxiliary, free_signal = best_signal();
    const double above = mu * model_.signal_scale(t) - free_signal;
    if (above <= 0.0 && least == 0.0)
        return 0.0;
    const double theta = conditional_theta(mu, free_signal), signal = mu * model_.signal_scale(theta);
    const double free_theta = model_.signal_varies() ? std::max(t, model_.lowest_theta()) : 0.0;
    const double pull = theta - free_theta;
    const double change = profile(signal).value - profile(free_signal).value;
    const double root =
        std::copysign(std::sqrt(std::max(0.0, 2.0 * change + pull * (pull + 2.0 * (free_theta - t)))), above);
    for (std::size_t i = 0; i < coordinates.size(); ++i) {
        const auto [kind, index] = coordinates[i];
        double difference = -pull;
        if (kind == Coordinate::Kind::background) {
            const double free_eta = best_eta(index, free_signal), eta = best_eta(index, signal);
            difference = model_.gamma_backgrounds() ? std::log(free_eta / eta) : free_eta - eta;
        } else if (kind == Coordinate::Kind::own_signal) {
            difference = best_own_theta(index, free_signal) - best_own_theta(index, signal);
        }
        gradient[i] = root_slope(difference, root);
    }
    return root;
}

double Fitter::joint_root(double mu, const std::vector<Coordinate> &coordinates,
                          std::vector<double> &gradient, double least) const {
    const JointFit &fit = joint_.conditional(), &free = joint_.free();
    const double above = mu * model_.signal_scale(outcome.signal_auxiliary) - free.signal;
    if (above <= 0.0 && least == 0.0)
        return 0.0;
    const double root = std::copysign(std::sqrt(joint_.difference(outcome)), above);
    for (std::size_t i = 0; i < coordinates.size(); ++i) {
        const auto [kind, index] = coordinates[i];
        gradient[i] = root_slope(kind == Coordinate::Kind::background ? free.eta[index] - fit.eta[index]
                                                                      : outcome.signal_auxiliary - fit.theta,
                                 root);
    }
    return root;
}

// Every fit starts afresh: the point does not depend on the order of the fits.
Truth conditional_truth(const Model &model, double mu) {
    Truth truth{};
    const double free_signal = Fitter(model).best_signal();
    truth.theta = Fitter(model).conditional_theta(mu, free_signal);
    truth.signal = mu * model.signal_scale(truth.theta);
    for (std::size_t g = 0; g < model.groups.size(); ++g)
        truth.eta.push_back(Fitter(model).best_eta(g, truth.signal));
    for (std::size_t i = 0; i < model.bins.size(); ++i) {
        const PooledBin &bin = model.bins[i];
        truth.own_theta.push_back(Fitter(model).best_own_theta(i, truth.signal));
        truth.rates.push_back(
            truth.signal * bin.signal * model.scale(bin.own_uncertainty, truth.own_theta.back()) +
            model.background(bin, bin.group < 0 ? 0.0 : truth.eta[static_cast<std::size_t>(bin.group)]));
    }
    return truth;
}

} // namespace na64root::counting
