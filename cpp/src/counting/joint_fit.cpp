#include "counting/joint_fit.hpp"

#include "counting/effort.hpp"

#include <numeric>

namespace na64root::counting {

bool JointFits::fit(double mu, const Outcome &outcome, double tolerance) {
    if (!model_.linear || !(mu > 0.0) ||
        (model_.signal_varies() && outcome.signal_auxiliary < model_.lowest_theta()))
        return false;
    if (!fit_one(free_, 0.0, outcome, tolerance) || !fit_one(conditional_, mu, outcome, tolerance))
        return false;
    // Beyond the free fit -ln L is convex in theta too: there is one minimum.
    return mu * model_.signal_scale(outcome.signal_auxiliary) <= free_.signal ||
           conditional_.signal >= free_.signal * (1.0 - 1e-6);
}

double JointFits::difference(const Outcome &outcome) const {
    const JointFit &fit = conditional_;
    double change = model_.total_signal * (fit.signal - free_.signal);
    for (std::size_t g = 0; g < model_.groups.size(); ++g)
        change += (fit.eta[g] - free_.eta[g]) *
                  (model_.groups[g].uncertainty +
                   0.5 * (fit.eta[g] + free_.eta[g] - 2.0 * outcome.background_auxiliaries[g]));
    for (std::size_t i = 0; i < model_.bins.size(); ++i)
        if (const double n = outcome.counts[i]; n > 0.0)
            change += n * std::log(rate(model_.bins[i], free_) / rate(model_.bins[i], fit));
    const double pull = model_.signal_varies() ? fit.theta - outcome.signal_auxiliary : 0.0;
    return std::max(0.0, 2.0 * change + pull * pull);
}

// From where the last fit ended, or from the auxiliary measurements.
bool JointFits::fit_one(JointFit &fit, double mu, const Outcome &outcome, double tolerance) const {
    Effort::spend();
    if (!fit.eta.empty() && newton(fit, mu, outcome, tolerance))
        return true;
    const std::size_t n = model_.groups.size();
    fit.eta.resize(n);
    for (std::size_t g = 0; g < n; ++g)
        fit.eta[g] = std::max(outcome.background_auxiliaries[g], model_.groups[g].lowest);
    fit.slope.resize(n);
    fit.curvature.resize(n);
    fit.mixed.resize(n);
    fit.step.resize(n);
    fit.theta = outcome.signal_auxiliary;
    fit.signal = std::accumulate(outcome.counts.begin(), outcome.counts.end(), 0.0);
    return newton(fit, mu, outcome, tolerance);
}

// Newton's method in the first parameter and the etas together. The first parameter is the signal S >= 0
// itself (mu = 0) or theta, S = mu kappa(theta), if kappa varies; otherwise S is fixed at mu.
bool JointFits::newton(JointFit &fit, double mu, const Outcome &outcome, double tolerance) const {
    const bool free = mu == 0.0, fixed = !free && !model_.signal_varies();
    const double lowest = free ? 0.0 : fixed ? -infinity : model_.lowest_theta();
    double &parameter = free ? fit.signal : fit.theta;
    for (int attempt = 0; attempt < 12; ++attempt) {
        if (!free)
            fit.signal = mu * model_.signal_scale(fit.theta);
        auto in_parameter = derivatives(fit, outcome);
        if (!in_parameter)
            return false;
        double scale = free ? 1.0 : 0.0; // dS by the first parameter
        if (!free && !fixed) {
            scale =
                model_.signal_bend > 0.0 ? model_.signal_bend * fit.signal : mu * model_.signal_uncertainty;
            auto &[slope, curvature] = *in_parameter;
            curvature = scale * scale * curvature + model_.signal_bend * scale * slope + 1.0;
            slope = scale * slope + fit.theta - outcome.signal_auxiliary;
        }
        const auto next = step(fit, *in_parameter, scale, parameter, lowest);
        if (!next)
            return false;
        const double part = length(fit, outcome, *next, scale);
        parameter += part * next->change;
        for (std::size_t g = 0; g < model_.groups.size(); ++g) {
            fit.eta[g] += part * fit.step[g];
            // A group without counts separates: its eta is the same in both fits.
            if (fit.eta[g] < model_.groups[g].lowest && fit.curvature[g] > 1.0)
                return false;
        }
        // The next step would gain about the square of this one's gain.
        if (next->decrement < tolerance && part == 1.0) {
            if (!free)
                fit.signal = mu * model_.signal_scale(fit.theta);
            return true;
        }
    }
    return false;
}

// The derivatives of -ln L where the fit stands: in the etas, left in the fit, and in the signal S, returned.
// None where a bin with counts has no rate.
std::optional<JointFits::SignalDerivatives> JointFits::derivatives(JointFit &fit,
                                                                   const Outcome &outcome) const {
    SignalDerivatives in_signal{model_.total_signal, 0.0};
    for (std::size_t g = 0; g < model_.groups.size(); ++g) {
        fit.slope[g] = model_.groups[g].uncertainty + fit.eta[g] - outcome.background_auxiliaries[g];
        fit.curvature[g] = 1.0;
        fit.mixed[g] = 0.0;
    }
    for (std::size_t i = 0; i < model_.bins.size(); ++i) {
        const double n = outcome.counts[i];
        if (n == 0.0)
            continue;
        const PooledBin &bin = model_.bins[i];
        const double expected = rate(bin, fit);
        if (!(expected > 0.0))
            return std::nullopt;
        const double inverse = 1.0 / expected, ratio = n * inverse, second = ratio * inverse;
        in_signal.slope -= bin.signal * ratio;
        in_signal.curvature += bin.signal * bin.signal * second;
        if (bin.group >= 0) {
            const auto g = static_cast<std::size_t>(bin.group);
            fit.slope[g] -= bin.uncertainty * ratio;
            fit.curvature[g] += bin.uncertainty * bin.uncertainty * second;
            fit.mixed[g] += bin.uncertainty * bin.signal * second;
        }
    }
    return in_signal;
}

// The Newton step of a parameter with dS = `scale` times its change, and of the etas with it, left in the
// fit. The parameter stays at least at `lowest`, and where it is if `scale` is zero. None where -ln L bends
// down.
std::optional<JointFits::Step> JointFits::step(JointFit &fit, SignalDerivatives in_parameter, double scale,
                                               double parameter, double lowest) const {
    auto [slope, curvature] = in_parameter;
    Step step{0.0, 0.0};
    // The etas follow the parameter: each would step by `step` - `mixed` * (change of the parameter).
    for (std::size_t g = 0; g < model_.groups.size(); ++g) {
        const double tie = scale * fit.mixed[g];
        fit.step[g] = -fit.slope[g] / fit.curvature[g];
        fit.mixed[g] = tie / fit.curvature[g];
        slope += tie * fit.step[g];
        curvature -= tie * fit.mixed[g];
        step.decrement -= fit.slope[g] * fit.step[g];
    }
    if (scale != 0.0) {
        if (curvature > 0.0)
            step.change = std::max(-slope / curvature, lowest - parameter);
        else if (lowest == 0.0 && slope >= 0.0) // the signal itself, without counts
            step.change = -parameter;
        else
            return std::nullopt;
        step.decrement += step.change * step.change * curvature;
    }
    for (std::size_t g = 0; g < model_.groups.size(); ++g)
        fit.step[g] -= fit.mixed[g] * step.change;
    return step;
}

// The part of a step after which each bin with counts keeps a fifth of its rate, 1 at most. The relative
// change of a rate is at most the root of the step's decrement.
double JointFits::length(const JointFit &fit, const Outcome &outcome, const Step &step, double scale) const {
    double length = 1.0;
    for (std::size_t i = 0; i < model_.bins.size() && step.decrement > 0.6; ++i) {
        if (outcome.counts[i] == 0.0)
            continue;
        const PooledBin &bin = model_.bins[i];
        const double fall =
            -scale * step.change * bin.signal -
            (bin.group >= 0 ? bin.uncertainty * fit.step[static_cast<std::size_t>(bin.group)] : 0.0);
        const double most = 0.8 * rate(bin, fit);
        if (length * fall > most)
            length = most / fall;
    }
    return length;
}

} // namespace na64root::counting
