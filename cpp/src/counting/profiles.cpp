// -ln L minimised over the nuisance parameters of backgrounds and of single bins.
#include "counting/effort.hpp"
#include "counting/fits.hpp"

#include <stdexcept>
#include <utility>

namespace na64root::counting {

// The minimum over the bin's own theta; its slope there is s kappa'(theta) (1 - n/rate) + theta - t = 0.
BinProfile Fitter::bin_profile(std::size_t index, double signal, double background) const {
    const PooledBin &bin = model_.bins[index];
    const double n = outcome.counts[index], t = outcome.own_auxiliaries[index];
    const double uncertainty = bin.own_uncertainty, lowest = model_.lowest_theta(uncertainty);
    const double bend = model_.lognormal_signal() ? std::log1p(uncertainty) : 0.0; // kappa''/kappa'
    double kappa = 1.0, slope = 0.0, rate = 0.0, excess = 0.0, curvature = 0.0;    // of kappa; 1 - n/rate
    const auto derivatives = [&](double theta) {
        kappa = model_.scale(uncertainty, theta);
        slope = model_.scale_slope(uncertainty, theta);
        rate = signal * kappa + background;
        excess = n > 0.0 ? 1.0 - n / rate : 1.0;
        const double ratio = n > 0.0 ? signal * slope / rate : 0.0;
        curvature = signal * slope * bend * excess + n * ratio * ratio + 1.0;
        return std::make_pair(signal * slope * excess + theta - t, curvature);
    };
    const double start = std::max(t, lowest);
    double theta = start;
    if (signal > 0.0) {
        const double at_start = derivatives(start).first;
        if (at_start < 0.0) { // at most where the signal alone makes up what is missing
            const double wanted = (n - background) / signal;
            const double high = model_.lognormal_signal() ? std::log(wanted) / std::log1p(uncertainty)
                                                          : (wanted - 1.0) / uncertainty;
            theta = newton_root(derivatives, start, std::max(high, start), start);
        } else if (at_start > 0.0) {
            const double low = std::max(start - at_start, lowest);
            theta = low == lowest && derivatives(low).first >= 0.0
                        ? low
                        : newton_root(derivatives, low, start, start);
        }
    }
    derivatives(theta);
    const double per_rate = n > 0.0 ? n / (rate * rate) : 0.0;
    BinProfile result{theta,
                      signal * kappa + 0.5 * (theta - t) * (theta - t),
                      kappa * excess,
                      excess,
                      kappa * kappa * per_rate,
                      kappa * per_rate,
                      per_rate};
    if (n > 0.0)
        result.value -= n * std::log(rate);
    if (theta > lowest) {
        const double s_theta = slope * excess + signal * slope * kappa * per_rate;
        const double b_theta = signal * slope * per_rate;
        result.ss -= s_theta * s_theta / curvature;
        result.sb -= s_theta * b_theta / curvature;
        result.bb -= b_theta * b_theta / curvature;
    }
    return result;
}

double Fitter::best_own_theta(std::size_t index, double signal) {
    const PooledBin &bin = model_.bins[index];
    if (bin.own_uncertainty == 0.0)
        return 0.0;
    // Without a count the background does not matter.
    const double eta = bin.group < 0 || outcome.counts[index] == 0.0
                           ? 0.0
                           : best_eta(static_cast<std::size_t>(bin.group), signal);
    return bin_profile(index, signal * bin.signal, model_.background(bin, eta)).theta;
}

// --------------------------------------------------------------------------------- the background of a group

double Fitter::best_eta(std::size_t index, double signal) {
    const Group &group = model_.groups[index];
    if (model_.lognormal_backgrounds() || group.own_sources)
        return best_eta_in_bracket(index, signal);
    if (model_.gaussian_backgrounds() && group.bins.size() == 1)
        return best_eta_of_one_bin(index, signal);
    return best_eta_from_below(index, signal);
}

// A quadratic equation for the rate y = signal + background: y^2 + p y - n sigma^2 = 0.
double Fitter::best_eta_of_one_bin(std::size_t index, double signal) const {
    const Group &group = model_.groups[index];
    const PooledBin &bin = model_.bins[group.bins[0]];
    const double n = outcome.counts[group.bins[0]], auxiliary = outcome.background_auxiliaries[index];
    const double variance = bin.uncertainty * bin.uncertainty;
    const double p = variance - (bin.background + bin.uncertainty * auxiliary) - signal * bin.signal;
    const double root = std::sqrt(p * p + 4.0 * n * variance);
    const double rate = p > 0.0 ? 2.0 * n * variance / (p + root) : 0.5 * (root - p);
    return std::max(group.lowest, (rate - signal * bin.signal - bin.background) / bin.uncertainty);
}

// The derivatives of -ln L in eta at given signal events.
Fitter::SlopeAndCurvature Fitter::slope_in_eta(std::size_t index, double eta, double signal) const {
    const Group &group = model_.groups[index];
    const double auxiliary = outcome.background_auxiliaries[index];
    double slope = model_.constraint_slope(group, eta, auxiliary);
    double curvature = model_.constraint_curvature(eta, auxiliary);
    for (const std::size_t i : group.bins) {
        const PooledBin &bin = model_.bins[i];
        const double n = outcome.counts[i], derivative = model_.background_slope(bin, eta);
        double excess; // of the rate over the count, relative
        if (bin.own_uncertainty > 0.0) {
            const BinProfile at = bin_profile(i, signal * bin.signal, model_.background(bin, eta));
            excess = at.b;
            curvature += derivative * derivative * at.bb;
        } else {
            const double rate = signal * bin.signal + model_.background(bin, eta);
            const double ratio = n > 0.0 ? n / rate : 0.0;
            excess = 1.0 - ratio;
            curvature += n > 0.0 ? derivative * derivative * ratio / rate : 0.0;
        }
        slope += derivative * excess;
        if (model_.lognormal_backgrounds())
            curvature += std::log1p(bin.uncertainty / bin.background) * derivative * excess;
    }
    return {slope, curvature};
}

double Fitter::total_count(const Group &group) const {
    double total = 0.0;
    for (const std::size_t i : group.bins)
        total += outcome.counts[i];
    return total;
}

// An eta that the best one does not exceed, of lognormal backgrounds or with own sources of the signal.
double Fitter::highest_eta(const Group &group, double auxiliary, double count) const {
    double high = auxiliary;
    if (model_.lognormal_backgrounds()) {
        double largest_log = 0.0;
        for (const std::size_t i : group.bins)
            largest_log =
                std::max(largest_log, std::log1p(model_.bins[i].uncertainty / model_.bins[i].background));
        high += largest_log * count;
    } else { // there the backgrounds alone make up the counts
        for (const std::size_t i : group.bins)
            high =
                std::max(high, (outcome.counts[i] - model_.bins[i].background) / model_.bins[i].uncertainty);
    }
    return high;
}

double Fitter::best_eta_in_bracket(std::size_t index, double signal) const {
    const Group &group = model_.groups[index];
    const double auxiliary = outcome.background_auxiliaries[index], count = total_count(group);
    double high = highest_eta(group, auxiliary, count), total_slope = 0.0;
    // Below the auxiliary measurement the backgrounds fall by no more than their slopes there.
    for (const std::size_t i : group.bins)
        total_slope += model_.background_slope(model_.bins[i], auxiliary);
    double low = std::max(auxiliary - total_slope, group.lowest);
    // At the end of the range there may be a pole: a background of zero with a count.
    if (low == group.lowest && count == 0.0)
        return low;
    double eta = std::clamp(auxiliary, low, high);
    for (int step = 0; step < 200; ++step) {
        const auto [slope, curvature] = slope_in_eta(index, eta, signal);
        // At the root itself the bracket says nothing, and half of it may lead to where no rate is left.
        if (slope == 0.0)
            return eta;
        (slope < 0.0 ? low : high) = eta;
        double next = eta - slope / curvature;
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        if (std::abs(next - eta) < 1e-12 * (1.0 + std::abs(eta)))
            return next;
        eta = next;
    }
    throw std::runtime_error("profiling a background did not converge in 200 steps");
}

// Gaussian and gamma backgrounds without own sources of the signal: the slope is concave and rising, so
// Newton steps from its negative side never overshoot, and one from the other side leads there. Where the
// last fit of this group ended is close.
double Fitter::best_eta_from_below(std::size_t index, double signal) {
    const Group &group = model_.groups[index];
    const double auxiliary = outcome.background_auxiliaries[index], count = total_count(group);
    double bound, total_slope = 0.0;
    if (model_.gaussian_backgrounds()) {
        for (const std::size_t i : group.bins)
            total_slope += model_.bins[i].uncertainty;
        if (count == 0.0)
            return std::max(group.lowest, auxiliary - total_slope);
        bound = std::max(group.lowest + 1e-9 * (1.0 + std::abs(group.lowest)), auxiliary - total_slope);
    } else {
        for (const std::size_t i : group.bins)
            total_slope += model_.bins[i].background;
        bound = auxiliary / (group.auxiliary_count + total_slope);
        if (count == 0.0)
            return bound;
        bound = std::max(bound, 1e-9);
    }
    double &last = last_eta_[index];
    double eta = std::max(bound, last);
    for (int step = 0; step < 200; ++step) {
        const auto [slope, curvature] = slope_in_eta(index, eta, signal);
        if (slope >= 0.0 && eta <= bound) // within rounding of the end of the range it rests there
            return eta <= group.lowest + 1e-8 * (1.0 + std::abs(group.lowest)) ? group.lowest : eta;
        const double next = std::max(bound, eta - slope / curvature);
        // Near the pole at the end of the range steps are as small as the distance from it.
        if (std::abs(next - eta) <= 1e-5 * std::min(1.0 + std::abs(eta), eta - group.lowest))
            return last = next;
        eta = next;
    }
    throw std::runtime_error("profiling a background did not converge in 200 steps");
}

// ------------------------------------------------------------------------- over the backgrounds of all
// groups

Profile Fitter::profile(double signal, bool with_value) {
    Effort::spend();
    Profile result{0.0, 0.0, 0.0};
    for (std::size_t i = 0; i < model_.bins.size() && model_.bins[i].group == -1; ++i)
        add_known_background(result, i, signal, with_value);
    for (std::size_t g = 0; g < model_.groups.size(); ++g) {
        const Group &group = model_.groups[g];
        const bool empty = std::all_of(group.bins.begin(), group.bins.end(),
                                       [&](std::size_t i) { return outcome.counts[i] == 0.0; });
        if (empty)
            add_group_without_counts(result, group, signal);
        else
            add_group(result, g, signal, with_value);
    }
    return result;
}

void Fitter::add_known_background(Profile &profile, std::size_t i, double signal, bool with_value) const {
    const PooledBin &bin = model_.bins[i];
    if (bin.own_uncertainty > 0.0) {
        const BinProfile at = bin_profile(i, signal * bin.signal, bin.background);
        profile.value += at.value;
        profile.slope += bin.signal * at.s;
        profile.curvature += bin.signal * bin.signal * at.ss;
        return;
    }
    const double n = outcome.counts[i], rate = signal * bin.signal + bin.background;
    profile.value += rate;
    profile.slope += bin.signal;
    if (n > 0.0) {
        const double ratio = n / rate, share = bin.signal / rate;
        profile.slope -= bin.signal > 0.0 ? bin.signal * ratio : 0.0;
        profile.curvature += bin.signal > 0.0 ? n * share * share : 0.0;
        if (with_value)
            profile.value -= n * std::log(rate);
    }
}

void Fitter::add_group_without_counts(Profile &profile, const Group &group, double signal) const {
    for (const std::size_t i : group.bins) {
        const PooledBin &bin = model_.bins[i];
        if (bin.own_uncertainty > 0.0) {
            const BinProfile at = bin_profile(i, signal * bin.signal, 0.0);
            profile.value += at.value;
            profile.slope += bin.signal * at.s;
            profile.curvature += bin.signal * bin.signal * at.ss;
        } else {
            profile.value += signal * bin.signal;
            profile.slope += bin.signal;
        }
    }
}

void Fitter::add_group(Profile &profile, std::size_t index, double signal, bool with_value) {
    const Group &group = model_.groups[index];
    const double eta = best_eta(index, signal), auxiliary = outcome.background_auxiliaries[index];
    double mixed = 0.0, second = model_.constraint_curvature(eta, auxiliary); // in eta and signal; in eta
    for (const std::size_t i : group.bins) {
        const PooledBin &bin = model_.bins[i];
        const double n = outcome.counts[i], derivative = model_.background_slope(bin, eta);
        double excess; // of the rate over the count, relative
        if (bin.own_uncertainty > 0.0) {
            const double background = model_.background(bin, eta);
            const BinProfile at = bin_profile(i, signal * bin.signal, background);
            profile.value += at.value + background;
            profile.slope += bin.signal * at.s;
            profile.curvature += bin.signal * bin.signal * at.ss;
            mixed += bin.signal * derivative * at.sb;
            second += derivative * derivative * at.bb;
            excess = at.b;
        } else {
            const double rate = signal * bin.signal + model_.background(bin, eta);
            profile.value += rate;
            profile.slope += bin.signal;
            double ratio = 0.0;
            if (n > 0.0) {
                ratio = n / rate;
                profile.slope -= bin.signal > 0.0 ? bin.signal * ratio : 0.0;
                profile.curvature += bin.signal * bin.signal * ratio / rate;
                mixed += bin.signal * derivative * ratio / rate;
                second += derivative * derivative * ratio / rate;
                if (with_value)
                    profile.value -= n * std::log(rate);
            }
            excess = 1.0 - ratio;
        }
        if (model_.lognormal_backgrounds())
            second += std::log1p(bin.uncertainty / bin.background) * derivative * excess;
    }
    if (eta > group.lowest)
        profile.curvature -= mixed * mixed / second;
    if (with_value)
        profile.value += model_.constraint(group, eta, auxiliary);
}

} // namespace na64root::counting
