#include "na64root/counting.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/tools/toms748_solve.hpp>

#include "gauss_rules.hpp"

namespace na64root {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// How finely the ensembles are summed up: `coarse` finds the place of a limit, `fine` tells the error of
// `standard`.
enum class Accuracy { coarse, standard, fine };

// Counts whose probability is below this part of the tail, in both ensembles, are left out: a part of the
// tail that varies smoothly with mu where auxiliary measurements fluctuate, and by steps elsewhere.
constexpr double negligible(Accuracy accuracy) {
    return accuracy == Accuracy::coarse ? 1e-3 : accuracy == Accuracy::standard ? 1e-4 : 3e-5;
}
constexpr double negligible_step = 1e-6;
// Counts below this part of the tail are given a coarser integral over the auxiliary measurements, in error
// by 1 % at most: in all 3e-4 of a limit. Chosen for speed, as large as that allows: halved, limits of 60
// random models of 1 to 3 bins move by 2e-5 at most, doubled by 6e-5.
constexpr double flat_below = 3e-2;
// For expected limits: counts less probable than this have a root of q that is linear in the auxiliary
// measurements. Chosen for speed too: halved or doubled, expected limits of such models move by 2e-3 at most,
// of zero by 1e-3, which is far below the error of the rule; zero takes more than twice the time.
constexpr double straight_below = 1e-3;
// CLs <= alpha needs P(q | signal) <= alpha: no sqrt(q) below this excludes at levels above 70 %.
constexpr double least_root = 0.5;
// Statistics nearer than this (relative) are ties; the solutions below are good to 1e-12.
constexpr double tie_tolerance = 1e-8;
// Auxiliary measurements further than this from their mean are left out (3e-6 per side).
constexpr double auxiliary_range = 4.5;

void check_signal(double mu) {
    if (!(mu >= 0.0) || !std::isfinite(mu))
        throw std::domain_error("the signal to test must be finite and not negative");
}

double standard_normal_cdf(double x) {
    return 0.5 * std::erfc(-x * 0.70710678118654752440);
}

// A root of f between a < b, with f(a) f(b) <= 0, to an absolute tolerance.
template <class Function>
double bracketed_root(Function &&f, double a, double fa, double b, double fb, double tolerance) {
    if (fa == 0.0)
        return a;
    if (fb == 0.0)
        return b;
    constexpr std::uintmax_t most_steps = 200;
    std::uintmax_t steps = most_steps;
    const auto near = [&](double low, double high) {
        return high - low <= tolerance + 4e-16 * std::max(std::abs(low), std::abs(high));
    };
    const auto [low, high] = boost::math::tools::toms748_solve(f, a, b, fa, fb, near, steps);
    if (steps >= most_steps)
        throw std::runtime_error("root finding did not converge in 200 steps");
    return 0.5 * (low + high);
}

// Newton's method for a function that rises through zero in [low, high], by bisection where a step leaves the
// bracket. `f` gives value and derivative.
template <class Function> double newton_root(Function &&f, double low, double high, double start) {
    double x = start;
    for (int step = 0; step < 200; ++step) {
        const auto [value, derivative] = f(x);
        if (value == 0.0)
            return x;
        (value < 0.0 ? low : high) = x;
        double next = x - value / derivative;
        // A Newton step of 1e-5 leaves an error of its square, and q an error of the square of that.
        if (std::abs(next - x) <= 1e-5 * (1.0 + std::abs(x)) || high - low <= 1e-12 * (1.0 + std::abs(x)))
            return std::clamp(next, low, high);
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        x = next;
    }
    throw std::runtime_error("a fit did not converge in 200 steps");
}

struct PooledBin {
    double observed, background, uncertainty, signal;
    double own_uncertainty; // of the signal, with a nuisance parameter of this bin alone
    int group;              // -1: no nuisance parameter of the background
};

struct Group {
    std::vector<int> bins;
    double lowest = -infinity;    // of the nuisance parameter: no negative yield
    double uncertainty = 0.0;     // of all bins
    double auxiliary_count = 0.0; // gamma: the nominal auxiliary measurement, 1/r^2
};

// -ln L as a function of the signal events: the value (if asked for) and its first two derivatives.
struct Profile {
    double value, slope, curvature;
};

// -ln L of one bin, minimised over its own signal nuisance parameter theta: the value and its derivatives
// with respect to the signal s (before that nuisance) and the background b of the bin.
struct BinProfile {
    double theta, value;
    double s, b, ss, sb, bb;
};

// Signal events and nuisance parameters of the backgrounds, fitted together.
struct JointFit {
    double signal = 0.0, theta = 0.0;
    std::vector<double> eta;                     // by group; empty before the first fit
    std::vector<double> slope, curvature, mixed; // of -ln L in eta, and in eta and the signal: workspace
    std::vector<double> step;                    // of eta
};

// Of -ln L in the signal, or in a parameter that it depends on.
struct SignalDerivatives {
    double slope, curvature;
};

// A Newton step: the change of the first parameter, and twice what the step gains in -ln L.
struct JointStep {
    double change, decrement;
};

// The auxiliary measurements and counts of one experiment, real or imagined.
struct Outcome {
    std::vector<double> counts;
    std::vector<double> background_auxiliaries; // by group
    double signal_auxiliary = 0.0;
    std::vector<double> own_auxiliaries; // by bin
    // Where the last fits ended, to start the next ones.
    mutable std::vector<double> last_eta;
    mutable double last_signal = 0.0;
    mutable JointFit free_fit, conditional_fit;
};

// A point in the space of nuisance parameters, from which an ensemble is drawn.
struct Truth {
    double signal; // expected signal events, mu kappa(theta)
    double theta;
    std::vector<double> eta;
    std::vector<double> own_theta; // by bin
    std::vector<double> rates;     // by bin
};

// Standard deviates along the gradient at which the root of q is computed.
constexpr std::array<double, 7> deviates{-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0};

// The root of q at each of the deviates, on one of several lines along the gradient.
struct RootLine {
    double weight;
    std::array<double, deviates.size()> roots;

    // P(root >= threshold): straight between the deviates, and beyond them; flat where a nuisance parameter
    // is at its limit.
    double tail(double threshold) const {
        std::size_t i = 1;
        while (i + 1 < deviates.size() && threshold > roots[i])
            ++i;
        const double rise = roots[i] - roots[i - 1];
        if (!(rise > 0.0))
            return threshold > roots[i] ? 0.0 : 1.0;
        const double part = (threshold - roots[i - 1]) / rise;
        return standard_normal_cdf(-deviates[i - 1] - part * (deviates[i] - deviates[i - 1]));
    }
};

// The square root of q at given counts: where the auxiliary measurements lie on average, its standard
// deviation when it is linear in them, and (if known) the root on lines along its gradient.
struct RootDistribution {
    double mean, width;
    std::vector<RootLine> lines{};

    // P(root >= threshold).
    double tail(double threshold) const {
        const double distance = mean - threshold;
        if (width == 0.0)
            return distance >= 0.0 ? 1.0 : 0.0;
        if (std::abs(distance) > 8.0 * width)
            return distance > 0.0 ? 1.0 : 0.0;
        if (lines.empty())
            return standard_normal_cdf(distance / width);
        double sum = 0.0;
        for (const RootLine &line : lines)
            sum += line.weight * line.tail(threshold);
        return sum;
    }
};

// What counts contribute to the distribution of q: their probability in both ensembles, and their roots.
struct Contribution {
    double with, without;
    RootDistribution root_with, root_without;
};

// P(counts <= n), not below the smallest positive double, so that one can divide by it.
double poisson_cdf(double mean, double n) {
    return mean > 0.0 ? std::max(boost::math::gamma_q(n + 1.0, mean), 1e-300) : 1.0;
}

double poisson_probability(double mean, double n) {
    if (mean <= 0.0)
        return n == 0.0 ? 1.0 : 0.0;
    return std::exp(n * std::log(mean) - mean - std::lgamma(n + 1.0));
}

// An orthonormal basis of what is orthogonal to a unit vector whose first component is not negative
// (Householder): basis[k * n + i] is component i of vector k < n - 1.
void set_basis_across(const std::vector<double> &direction, std::vector<double> &basis) {
    const std::size_t n = direction.size();
    basis.assign(n * n, 0.0);
    std::vector<double> v = direction;
    v[0] += 1.0;
    const double scale = 1.0 / (1.0 + direction[0]);
    for (std::size_t k = 1; k < n; ++k)
        for (std::size_t i = 0; i < n; ++i)
            basis[(k - 1) * n + i] = (i == k ? 1.0 : 0.0) - scale * v[i] * v[k];
}

} // namespace

class CountingExperiment::Implementation {
  public:
    Implementation(const CountingModel &model, Treatment treatment);

    double statistic(double mu) const { return statistic(mu, data()); }
    ConfidenceLevels confidence_levels(double mu, Accuracy accuracy = Accuracy::standard) const;
    Estimate upper_limit(double cl, Criterion criterion) const;
    ExpectedLimits expected_limits(double cl, Criterion criterion) const;
    Discovery discovery() const;
    double two_sided_p_value(double mu) const;
    Interval interval(double cl) const;
    ConfidenceLevels asymptotic_confidence_levels(double mu) const;
    Estimate asymptotic_upper_limit(double cl, Criterion criterion) const;
    ExpectedLimits asymptotic_expected_limits(double cl, Criterion criterion) const;

  private:
    // A copy: fits leave their traces in it, and one experiment may serve several threads.
    Outcome data() const { return observed_; }
    bool signal_varies() const { return signal_uncertainty_ > 0.0; }
    // kappa(theta) for a relative uncertainty, its slope, and the theta below which it would be negative.
    double scale(double uncertainty, double theta) const;
    double scale_slope(double uncertainty, double theta) const;
    double lowest_theta(double uncertainty) const;
    double signal_scale(double theta) const {
        return signal_bend_ > 0.0 ? std::exp(theta * signal_bend_) : scale(signal_uncertainty_, theta);
    }
    double signal_scale_slope(double theta) const {
        return signal_bend_ > 0.0 ? signal_bend_ * signal_scale(theta) : signal_uncertainty_;
    }
    double lowest_theta() const { return lowest_theta(signal_uncertainty_); }
    double theta_of_scale(double scale) const;
    double background(const PooledBin &bin, double eta) const;
    double background_slope(const PooledBin &bin, double eta) const;
    double constraint(const Group &group, double eta, double auxiliary) const;
    double constraint_slope(const Group &group, double eta, double auxiliary) const;

    // Profiling: over the backgrounds at fixed signal events; over the signal events; over theta at fixed mu.
    double best_eta(std::size_t group, double signal, const Outcome &outcome) const;
    BinProfile bin_profile(std::size_t bin, double signal, double background, const Outcome &outcome) const;
    double best_own_theta(std::size_t bin, double signal, const Outcome &outcome) const;
    Profile profile(double signal, const Outcome &outcome, bool with_value = true) const;
    double best_signal(const Outcome &outcome) const;
    double joint_rate(const PooledBin &bin, const JointFit &fit) const;
    std::optional<SignalDerivatives> joint_derivatives(JointFit &fit, const Outcome &outcome) const;
    std::optional<JointStep> joint_step(JointFit &fit, SignalDerivatives in_parameter, double scale,
                                        double parameter, double lowest) const;
    double joint_length(const JointFit &fit, const Outcome &outcome, const JointStep &step,
                        double scale) const;
    bool joint_fit(JointFit &fit, double mu, const Outcome &outcome, double tolerance) const;
    bool joint_fits(double mu, const Outcome &outcome, double tolerance) const;
    double joint_statistic(double mu, const Outcome &outcome) const;
    double joint_difference(const Outcome &outcome) const;
    double conditional_theta(double mu, double free_signal, const Outcome &outcome) const;
    double statistic(double mu, const Outcome &outcome) const;
    double root_of_statistic(double mu, const Outcome &outcome, const std::vector<int> &coordinates,
                             std::vector<double> &gradient, double least) const;
    Truth conditional_truth(double mu) const;

    // The two ensembles of a CLs value, and where the enumeration stands. P(q >= threshold) is summed up.
    struct Ensembles {
        double mu, threshold;
        Accuracy accuracy = Accuracy::standard;
        Truth with_signal, without_signal;
        double least = negligible_step; // part of the tail that is left out
        double tail_with = 0.0, tail_without = 0.0;
        double scale_with = 1.0, scale_without = 1.0; // about what the tails will be, from below
        Outcome outcome;
        std::vector<int> coordinates;
        std::vector<double> basis, point, gradient;
        std::vector<double>
            afar; // where the last counts met q = threshold if q vanishes at the mean, or empty
        std::vector<Contribution> *contributions = nullptr; // collected instead of the tails
    };
    Ensembles tails(double mu, double threshold, Accuracy accuracy) const;
    bool enumerate(Ensembles &ensembles, std::size_t level, double with, double without) const;
    bool enumerate_hybrid(Ensembles &ensembles, std::size_t level, const std::vector<double> &with,
                          const std::vector<double> &without) const;
    double pass_probability(Ensembles &ensembles, const Truth &truth) const;
    RootDistribution root_distribution(Ensembles &ensembles, const Truth &truth, double probability) const;
    void find_coordinates(Ensembles &ensembles) const;
    bool flat_probabilities(Ensembles &ensembles, double &with, double &without) const;
    double pass_probability_of_counts(Ensembles &ensembles, const Truth &truth) const;
    double integrate(Ensembles &ensembles, const Truth &truth, const std::vector<int> &coordinates,
                     const std::vector<std::size_t> &sizes, std::size_t next, double &guess) const;
    double root_probability(Ensembles &ensembles, const Truth &truth, int coordinate, double &guess) const;
    double excluded_fraction(double mu, double alpha, Criterion criterion) const;
    double largest_limit() const;

    // Sums P(counts) over what the predicate accepts, without signal (mu = 0) or with it.
    double discovery_statistic(const Outcome &outcome) const;
    double discovery_pass(const Truth &truth, Outcome &outcome, double threshold,
                          const std::vector<int> &coordinates, std::size_t next) const;
    double two_sided_statistic(double mu, const Outcome &outcome) const;
    template <class Weight> double mean_over_counts(double mu, const Weight &weight) const;

    // A coordinate is an auxiliary measurement: of a background group, (-1) of the signal common to all bins,
    // or (-2 - bin) of the signal of one bin.
    double &auxiliary(Outcome &outcome, int coordinate) const;
    double auxiliary_mean(const Truth &truth, int coordinate) const;
    double auxiliary_deviation(const Truth &truth, int coordinate) const;

    Treatment treatment_;
    Constraint signal_constraint_, background_constraint_;
    double signal_uncertainty_;
    double signal_bend_ = 0.0;  // lognormal: ln kappa = theta times this
    bool own_sources_ = false;  // any bin has an uncertainty of its signal alone
    bool linear_ = false;       // rates are linear in the signal and in the etas
    double total_signal_ = 0.0; // of all bins
    std::vector<PooledBin> bins_;
    std::vector<char> monotone_; // q falls with the count of this bin
    std::vector<Group> groups_;
    std::vector<Rule> normal_rules_;
    Rule signal_prior_;
    std::vector<Rule> own_priors_; // by bin
    std::vector<Rule> background_priors_;
    std::unique_ptr<const Implementation> known_; // frequentist: the same with nuisance parameters fixed
    Outcome observed_;
};

// ---------------------------------------------------------------------------------------------------- the
// model

CountingExperiment::Implementation::Implementation(const CountingModel &model, Treatment treatment)
    : treatment_(treatment), signal_constraint_(model.signal_constraint),
      background_constraint_(model.background_constraint), signal_uncertainty_(model.signal_uncertainty) {
    const auto valid = [](double x) { return std::isfinite(x) && x >= 0.0; };
    if (model.bins.empty())
        throw std::domain_error("a counting model needs at least one bin");
    if (!valid(model.signal_uncertainty))
        throw std::domain_error("the signal uncertainty must be finite and not negative");
    if (model.signal_constraint == Constraint::gamma)
        throw std::domain_error("the signal uncertainty is gaussian or lognormal");
    double total_signal = 0.0;
    for (const auto &bin : model.bins) {
        if (!valid(bin.observed) || !valid(bin.background) || !valid(bin.background_uncertainty) ||
            !valid(bin.signal_fraction) || !valid(bin.signal_uncertainty))
            throw std::domain_error(
                "counts, backgrounds, uncertainties and signal must be finite, not negative");
        if (bin.background_uncertainty > 0.0 && bin.background == 0.0 &&
            model.background_constraint != Constraint::gaussian)
            throw std::domain_error("a background of zero with an uncertainty needs the gaussian constraint");
        if (bin.signal_uncertainty > 0.0 && bin.background_uncertainty > 0.0 &&
            model.background_constraint == Constraint::gamma)
            throw std::domain_error(
                "signal uncertainties of single bins need gaussian or lognormal backgrounds");
        total_signal += bin.signal_fraction;
    }
    if (!(total_signal > 0.0))
        throw std::domain_error("no bin has any signal");

    const bool fixed = treatment == Treatment::none;
    if (fixed)
        signal_uncertainty_ = 0.0;

    // Pool: proportional bins of one group are one bin.
    std::vector<PooledBin> pooled;
    for (const auto &bin : model.bins) {
        PooledBin candidate{bin.observed,
                            bin.background,
                            fixed ? 0.0 : bin.background_uncertainty,
                            bin.signal_fraction / total_signal,
                            fixed ? 0.0 : bin.signal_uncertainty,
                            bin.group};
        if (candidate.signal == 0.0)
            candidate.own_uncertainty = 0.0;
        own_sources_ = own_sources_ || candidate.own_uncertainty > 0.0;
        if (candidate.uncertainty == 0.0)
            candidate.group = -1;
        const auto proportional = [&candidate](const PooledBin &other) {
            const auto equal = [](double x, double y) {
                return std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
            };
            return other.group == candidate.group && other.own_uncertainty == 0.0 &&
                   candidate.own_uncertainty == 0.0 &&
                   equal(other.signal * candidate.background, candidate.signal * other.background) &&
                   equal(other.signal * candidate.uncertainty, candidate.signal * other.uncertainty) &&
                   equal(other.background * candidate.uncertainty, candidate.background * other.uncertainty);
        };
        // Without signal and nuisance parameter a bin tells nothing.
        if (candidate.signal == 0.0 && candidate.group == -1)
            continue;
        const auto match = std::find_if(pooled.begin(), pooled.end(), proportional);
        if (match == pooled.end()) {
            pooled.push_back(candidate);
        } else {
            match->observed += candidate.observed;
            match->background += candidate.background;
            match->uncertainty += candidate.uncertainty;
            match->signal += candidate.signal;
        }
    }
    std::stable_sort(pooled.begin(), pooled.end(),
                     [](const PooledBin &a, const PooledBin &b) { return a.group < b.group; });
    bins_ = pooled;

    for (std::size_t i = 0; i < bins_.size(); ++i) {
        if (bins_[i].group == -1)
            continue;
        const int label = bins_[i].group;
        if (i == 0 || pooled[i - 1].group != label)
            groups_.emplace_back();
        bins_[i].group = static_cast<int>(groups_.size()) - 1;
        groups_.back().bins.push_back(static_cast<int>(i));
    }
    for (auto &group : groups_) {
        const double relative = bins_[group.bins[0]].uncertainty / bins_[group.bins[0]].background;
        for (int i : group.bins) {
            if (background_constraint_ == Constraint::gaussian)
                group.lowest = std::max(group.lowest, -bins_[i].background / bins_[i].uncertainty);
            if (background_constraint_ == Constraint::gamma &&
                std::abs(bins_[i].uncertainty / bins_[i].background - relative) > 1e-9 * relative)
                throw std::domain_error(
                    "bins that share a gamma constraint need the same relative uncertainty");
        }
        if (background_constraint_ == Constraint::gamma) {
            group.auxiliary_count = 1.0 / (relative * relative);
            group.lowest = 0.0;
        }
    }

    // In a group the rate of a bin rises with mu when its ratio of signal to uncertainty is at least a
    // fraction W/(1+W) of the group's largest, W = sum of n (sigma/rate)^2; q then falls with its count. W is
    // largest when the background makes up the rate; two counts in each bin are more than data that matter
    // have there.
    monotone_.assign(bins_.size(), 1);
    for (const auto &group : groups_) {
        double largest = 0.0, weight = 0.0;
        for (int i : group.bins) {
            largest = std::max(largest, bins_[i].signal / bins_[i].uncertainty);
            const double relative =
                bins_[i].uncertainty / std::max(bins_[i].background, bins_[i].uncertainty);
            weight += 2.0 * relative * relative;
        }
        for (int i : group.bins)
            monotone_[i] = bins_[i].signal / bins_[i].uncertainty >= largest * weight / (1.0 + weight) ||
                           group.bins.size() == 1;
    }

    for (const auto &bin : bins_)
        observed_.counts.push_back(bin.observed);
    for (const auto &group : groups_)
        observed_.background_auxiliaries.push_back(group.auxiliary_count);
    observed_.own_auxiliaries.assign(bins_.size(), 0.0);
    observed_.last_eta.assign(groups_.size(), -infinity);

    if (signal_constraint_ == Constraint::lognormal)
        signal_bend_ = std::log1p(signal_uncertainty_);
    linear_ = !own_sources_ && (groups_.empty() || background_constraint_ == Constraint::gaussian);
    for (const auto &bin : bins_) {
        total_signal_ += bin.signal;
        if (bin.group >= 0)
            groups_[static_cast<std::size_t>(bin.group)].uncertainty += bin.uncertainty;
    }

    if (treatment == Treatment::frequentist)
        known_ = std::make_unique<const Implementation>(model, Treatment::none);
    for (std::size_t n = 0; n <= 15; ++n)
        normal_rules_.push_back(n == 0 ? Rule{} : normal_rule(n));
    if (treatment == Treatment::hybrid) {
        const auto prior = [&](double uncertainty, std::size_t nodes) {
            if (uncertainty == 0.0)
                return Rule{{0.0}, {1.0}};
            return signal_constraint_ == Constraint::lognormal
                       ? normal_rule(nodes)
                       : truncated_normal_rule(lowest_theta(uncertainty), nodes + 15);
        };
        signal_prior_ = prior(signal_uncertainty_, 15);
        for (const auto &bin : bins_)
            own_priors_.push_back(prior(bin.own_uncertainty, 12));
        for (const auto &group : groups_) {
            if (background_constraint_ == Constraint::gamma) {
                // The posterior of the auxiliary count under a flat prior.
                background_priors_.push_back(gamma_rule(group.auxiliary_count + 1.0, 20));
                for (double &node : background_priors_.back().nodes)
                    node /= group.auxiliary_count;
            } else {
                background_priors_.push_back(background_constraint_ == Constraint::lognormal
                                                 ? normal_rule(20)
                                                 : truncated_normal_rule(group.lowest, 26));
            }
        }
    }
}

double CountingExperiment::Implementation::scale(double uncertainty, double theta) const {
    if (uncertainty == 0.0)
        return 1.0;
    return signal_constraint_ == Constraint::lognormal ? std::exp(theta * std::log1p(uncertainty))
                                                       : std::max(0.0, 1.0 + uncertainty * theta);
}

double CountingExperiment::Implementation::scale_slope(double uncertainty, double theta) const {
    return signal_constraint_ == Constraint::lognormal ? std::log1p(uncertainty) * scale(uncertainty, theta)
                                                       : uncertainty;
}

double CountingExperiment::Implementation::lowest_theta(double uncertainty) const {
    return signal_constraint_ == Constraint::lognormal ? -infinity : -1.0 / uncertainty;
}

double CountingExperiment::Implementation::theta_of_scale(double scale) const {
    return signal_constraint_ == Constraint::lognormal ? std::log(scale) / std::log1p(signal_uncertainty_)
                                                       : (scale - 1.0) / signal_uncertainty_;
}

double CountingExperiment::Implementation::background(const PooledBin &bin, double eta) const {
    if (bin.group == -1)
        return bin.background;
    if (background_constraint_ == Constraint::gaussian)
        return std::max(0.0, bin.background + bin.uncertainty * eta);
    if (background_constraint_ == Constraint::lognormal)
        return bin.background * std::exp(eta * std::log1p(bin.uncertainty / bin.background));
    return bin.background * eta;
}

double CountingExperiment::Implementation::background_slope(const PooledBin &bin, double eta) const {
    if (background_constraint_ == Constraint::gaussian)
        return bin.uncertainty;
    if (background_constraint_ == Constraint::lognormal)
        return std::log1p(bin.uncertainty / bin.background) * background(bin, eta);
    return bin.background;
}

// Minus the logarithm of the probability of the auxiliary measurement, without what only depends on it.
double CountingExperiment::Implementation::constraint(const Group &group, double eta,
                                                      double auxiliary) const {
    if (background_constraint_ == Constraint::gamma)
        return group.auxiliary_count * eta - (auxiliary > 0.0 ? auxiliary * std::log(eta) : 0.0);
    return 0.5 * (eta - auxiliary) * (eta - auxiliary);
}

double CountingExperiment::Implementation::constraint_slope(const Group &group, double eta,
                                                            double auxiliary) const {
    if (background_constraint_ == Constraint::gamma)
        return group.auxiliary_count - (auxiliary > 0.0 ? auxiliary / eta : 0.0);
    return eta - auxiliary;
}

// ----------------------------------------------------------------------------------------------------
// profiling

// The minimum over the bin's own theta; its slope there is s kappa'(theta) (1 - n/rate) + theta - t = 0.
BinProfile CountingExperiment::Implementation::bin_profile(std::size_t index, double signal,
                                                           double background, const Outcome &outcome) const {
    const PooledBin &bin = bins_[index];
    const double n = outcome.counts[index], t = outcome.own_auxiliaries[index];
    const double uncertainty = bin.own_uncertainty, lowest = lowest_theta(uncertainty);
    const double bend =
        signal_constraint_ == Constraint::lognormal ? std::log1p(uncertainty) : 0.0; // kappa''/kappa'
    double kappa = 1.0, slope = 0.0, rate = 0.0, excess = 0.0, curvature = 0.0;      // of kappa; 1 - n/rate
    const auto derivatives = [&](double theta) {
        kappa = scale(uncertainty, theta);
        slope = scale_slope(uncertainty, theta);
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
            const double high = signal_constraint_ == Constraint::lognormal
                                    ? std::log(wanted) / std::log1p(uncertainty)
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

double CountingExperiment::Implementation::best_own_theta(std::size_t index, double signal,
                                                          const Outcome &outcome) const {
    const PooledBin &bin = bins_[index];
    if (bin.own_uncertainty == 0.0)
        return 0.0;
    // Without a count the background does not matter.
    const double eta = bin.group < 0 || outcome.counts[index] == 0.0
                           ? 0.0
                           : best_eta(static_cast<std::size_t>(bin.group), signal, outcome);
    return bin_profile(index, signal * bin.signal, background(bin, eta), outcome).theta;
}

double CountingExperiment::Implementation::best_eta(std::size_t index, double signal,
                                                    const Outcome &outcome) const {
    const Group &group = groups_[index];
    const double auxiliary = outcome.background_auxiliaries[index];
    const bool own = own_sources_ && std::any_of(group.bins.begin(), group.bins.end(), [&](int i) {
                         return bins_[static_cast<std::size_t>(i)].own_uncertainty > 0.0;
                     });
    if (background_constraint_ == Constraint::gaussian && group.bins.size() == 1 && !own) {
        const PooledBin &bin = bins_[group.bins[0]];
        const double n = outcome.counts[group.bins[0]];
        // A quadratic equation for the rate y = signal + background: y^2 + p y - n sigma^2 = 0.
        const double variance = bin.uncertainty * bin.uncertainty;
        const double p = variance - (bin.background + bin.uncertainty * auxiliary) - signal * bin.signal;
        const double root = std::sqrt(p * p + 4.0 * n * variance);
        const double rate = p > 0.0 ? 2.0 * n * variance / (p + root) : 0.5 * (root - p);
        return std::max(group.lowest, (rate - signal * bin.signal - bin.background) / bin.uncertainty);
    }
    const auto slope = [&](double eta, double *curvature) {
        double sum = constraint_slope(group, eta, auxiliary);
        double second = background_constraint_ == Constraint::gamma ? auxiliary / (eta * eta) : 1.0;
        for (int i : group.bins) {
            const PooledBin &bin = bins_[i];
            const double n = outcome.counts[i], derivative = background_slope(bin, eta);
            if (bin.own_uncertainty > 0.0) {
                const BinProfile at = bin_profile(static_cast<std::size_t>(i), signal * bin.signal,
                                                  background(bin, eta), outcome);
                sum += derivative * at.b;
                second += derivative * derivative * at.bb;
                if (background_constraint_ == Constraint::lognormal)
                    second += std::log1p(bin.uncertainty / bin.background) * derivative * at.b;
                continue;
            }
            const double rate = signal * bin.signal + background(bin, eta);
            const double ratio = n > 0.0 ? n / rate : 0.0;
            sum += derivative * (1.0 - ratio);
            second += n > 0.0 ? derivative * derivative * ratio / rate : 0.0;
            if (background_constraint_ == Constraint::lognormal)
                second += std::log1p(bin.uncertainty / bin.background) * derivative * (1.0 - ratio);
        }
        if (curvature)
            *curvature = second;
        return sum;
    };
    double total_count = 0.0, total_slope = 0.0;
    for (int i : group.bins)
        total_count += outcome.counts[i];
    if (background_constraint_ == Constraint::lognormal || own) {
        double high = auxiliary;
        if (background_constraint_ == Constraint::lognormal) {
            double largest_log = 0.0;
            for (int i : group.bins)
                largest_log = std::max(largest_log, std::log1p(bins_[i].uncertainty / bins_[i].background));
            high += largest_log * total_count;
        } else { // there the backgrounds alone make up the counts
            for (int i : group.bins)
                high = std::max(high, (outcome.counts[i] - bins_[i].background) / bins_[i].uncertainty);
        }
        for (int i : group.bins)
            total_slope += background_slope(bins_[i], high);
        double a = std::max(auxiliary - total_slope, group.lowest), b = high;
        // At the end of the range there may be a pole: a background of zero with a count.
        if (a == group.lowest && total_count == 0.0)
            return a;
        double eta = std::clamp(auxiliary, a, b);
        for (int step = 0; step < 200; ++step) {
            double curvature;
            const double value = slope(eta, &curvature);
            (value < 0.0 ? a : b) = eta;
            double next = eta - value / curvature;
            if (!(next > a && next < b))
                next = 0.5 * (a + b);
            if (std::abs(next - eta) < 1e-12 * (1.0 + std::abs(eta)))
                return next;
            eta = next;
        }
        throw std::runtime_error("profiling a background did not converge in 200 steps");
    }
    // The slope is concave and rising: Newton steps from its negative side never overshoot, and one from the
    // other side leads there. Where the last fit of this group ended is close.
    double bound;
    if (background_constraint_ == Constraint::gaussian) {
        for (int i : group.bins)
            total_slope += bins_[i].uncertainty;
        if (total_count == 0.0)
            return std::max(group.lowest, auxiliary - total_slope);
        bound = std::max(group.lowest * (1.0 - 1e-9), auxiliary - total_slope);
    } else {
        for (int i : group.bins)
            total_slope += bins_[i].background;
        bound = auxiliary / (group.auxiliary_count + total_slope);
        if (total_count == 0.0)
            return bound;
        bound = std::max(bound, 1e-9);
    }
    double &last = outcome.last_eta[index];
    double eta = std::max(bound, last);
    for (int step = 0; step < 200; ++step) {
        double curvature;
        const double value = slope(eta, &curvature);
        if (value >= 0.0 && eta <= bound)
            return std::max(eta, group.lowest);
        const double next = std::max(bound, eta - value / curvature);
        if (std::abs(next - eta) <= 1e-5 * (1.0 + std::abs(eta)))
            return last = next;
        eta = next;
    }
    throw std::runtime_error("profiling a background did not converge in 200 steps");
}

// Minus the logarithm of the likelihood at given signal events, minimised over the backgrounds, and its
// derivatives. Groups without any count are left out: there the signal and the background separate.
Profile CountingExperiment::Implementation::profile(double signal, const Outcome &outcome,
                                                    bool with_value) const {
    Profile result{0.0, 0.0, 0.0};
    std::size_t i = 0;
    for (; i < bins_.size() && bins_[i].group == -1; ++i) {
        const PooledBin &bin = bins_[i];
        if (bin.own_uncertainty > 0.0) {
            const BinProfile at = bin_profile(i, signal * bin.signal, bin.background, outcome);
            result.value += at.value;
            result.slope += bin.signal * at.s;
            result.curvature += bin.signal * bin.signal * at.ss;
            continue;
        }
        const double n = outcome.counts[i], rate = signal * bin.signal + bin.background;
        result.value += rate;
        result.slope += bin.signal;
        if (n > 0.0) {
            const double ratio = n / rate, share = bin.signal / rate;
            result.slope -= bin.signal > 0.0 ? bin.signal * ratio : 0.0;
            result.curvature += bin.signal > 0.0 ? n * share * share : 0.0;
            if (with_value)
                result.value -= n * std::log(rate);
        }
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        const Group &group = groups_[g];
        bool empty = true;
        for (int j : group.bins)
            empty = empty && outcome.counts[j] == 0.0;
        if (empty) {
            for (int j : group.bins) {
                const PooledBin &bin = bins_[j];
                if (bin.own_uncertainty > 0.0) {
                    const BinProfile at =
                        bin_profile(static_cast<std::size_t>(j), signal * bin.signal, 0.0, outcome);
                    result.value += at.value;
                    result.slope += bin.signal * at.s;
                    result.curvature += bin.signal * bin.signal * at.ss;
                } else {
                    result.value += signal * bin.signal;
                    result.slope += bin.signal;
                }
            }
            continue;
        }
        const double eta = best_eta(g, signal, outcome), auxiliary = outcome.background_auxiliaries[g];
        double mixed = 0.0,
               second = background_constraint_ == Constraint::gamma ? auxiliary / (eta * eta) : 1.0;
        for (int j : group.bins) {
            const PooledBin &bin = bins_[j];
            const double n = outcome.counts[j], derivative = background_slope(bin, eta);
            if (bin.own_uncertainty > 0.0) {
                const BinProfile at = bin_profile(static_cast<std::size_t>(j), signal * bin.signal,
                                                  background(bin, eta), outcome);
                result.value += at.value + background(bin, eta);
                result.slope += bin.signal * at.s;
                result.curvature += bin.signal * bin.signal * at.ss;
                mixed += bin.signal * derivative * at.sb;
                second += derivative * derivative * at.bb;
                if (background_constraint_ == Constraint::lognormal)
                    second += std::log1p(bin.uncertainty / bin.background) * derivative * at.b;
                continue;
            }
            const double rate = signal * bin.signal + background(bin, eta);
            result.value += rate;
            result.slope += bin.signal;
            double ratio = 0.0;
            if (n > 0.0) {
                ratio = n / rate;
                result.slope -= bin.signal > 0.0 ? bin.signal * ratio : 0.0;
                result.curvature += bin.signal * bin.signal * ratio / rate;
                mixed += bin.signal * derivative * ratio / rate;
                second += derivative * derivative * ratio / rate;
                if (with_value)
                    result.value -= n * std::log(rate);
            }
            if (background_constraint_ == Constraint::lognormal)
                second += std::log1p(bin.uncertainty / bin.background) * derivative * (1.0 - ratio);
        }
        if (eta > group.lowest)
            result.curvature -= mixed * mixed / second;
        if (with_value)
            result.value += constraint(group, eta, auxiliary);
    }
    return result;
}

double CountingExperiment::Implementation::best_signal(const Outcome &outcome) const {
    double total = 0.0, background_rate = 0.0;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        total += bins_[i].signal > 0.0 ? outcome.counts[i] : 0.0;
        background_rate += bins_[i].background;
    }
    if (total == 0.0)
        return 0.0;
    // The slope may be a pole at zero; there and below it is negative, at the total count it is not.
    if (profile(0.0, outcome, false).slope >= 0.0)
        return 0.0;
    double highest = total;
    // Auxiliary measurements of single bins may ask for more.
    while (own_sources_ && profile(highest, outcome, false).slope < 0.0)
        highest *= 2.0;
    const double guess = std::max(total - background_rate, 0.3 * total);
    const double start = outcome.last_signal > 0.0 ? std::min(outcome.last_signal, highest) : guess;
    return outcome.last_signal = newton_root(
               [&](double signal) {
                   const Profile at = profile(signal, outcome, false);
                   return std::make_pair(at.slope, at.curvature);
               },
               0.0, highest, start);
}

// The derivatives of -ln L where the fit stands: in the etas, left in the fit, and in the signal S, returned.
// None where a bin with counts has no rate.
std::optional<SignalDerivatives>
CountingExperiment::Implementation::joint_derivatives(JointFit &fit, const Outcome &outcome) const {
    SignalDerivatives in_signal{total_signal_, 0.0};
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        fit.slope[g] = groups_[g].uncertainty + fit.eta[g] - outcome.background_auxiliaries[g];
        fit.curvature[g] = 1.0;
        fit.mixed[g] = 0.0;
    }
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        const double n = outcome.counts[i];
        if (n == 0.0)
            continue;
        const PooledBin &bin = bins_[i];
        const double rate = joint_rate(bin, fit);
        if (!(rate > 0.0))
            return std::nullopt;
        const double inverse = 1.0 / rate, ratio = n * inverse, second = ratio * inverse;
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
std::optional<JointStep> CountingExperiment::Implementation::joint_step(JointFit &fit,
                                                                        SignalDerivatives in_parameter,
                                                                        double scale, double parameter,
                                                                        double lowest) const {
    auto [slope, curvature] = in_parameter;
    JointStep step{0.0, 0.0};
    // The etas follow the parameter: each would step by `step` - `mixed` * (change of the parameter).
    for (std::size_t g = 0; g < groups_.size(); ++g) {
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
    for (std::size_t g = 0; g < groups_.size(); ++g)
        fit.step[g] -= fit.mixed[g] * step.change;
    return step;
}

// The part of a step after which each bin with counts keeps a fifth of its rate, 1 at most. The relative
// change of a rate is at most the root of the step's decrement.
double CountingExperiment::Implementation::joint_length(const JointFit &fit, const Outcome &outcome,
                                                        const JointStep &step, double scale) const {
    double length = 1.0;
    for (std::size_t i = 0; i < bins_.size() && step.decrement > 0.6; ++i) {
        if (outcome.counts[i] == 0.0)
            continue;
        const PooledBin &bin = bins_[i];
        const double fall =
            -scale * step.change * bin.signal -
            (bin.group >= 0 ? bin.uncertainty * fit.step[static_cast<std::size_t>(bin.group)] : 0.0);
        const double most = 0.8 * joint_rate(bin, fit);
        if (length * fall > most)
            length = most / fall;
    }
    return length;
}

// Newton's method in the first parameter and the etas together, from where the last fit ended. The first
// parameter is the signal S >= 0 itself (mu = 0) or theta, S = mu kappa(theta), if kappa varies; otherwise S
// is fixed at mu. False where no minimum is found inside the limits of the etas: there the nested fits stand
// in.
bool CountingExperiment::Implementation::joint_fit(JointFit &fit, double mu, const Outcome &outcome,
                                                   double tolerance) const {
    const bool free = mu == 0.0, fixed = !free && !signal_varies();
    const double lowest = free ? 0.0 : fixed ? -infinity : lowest_theta();
    double &parameter = free ? fit.signal : fit.theta;
    for (int attempt = 0; attempt < 12; ++attempt) {
        if (!free)
            fit.signal = mu * signal_scale(fit.theta);
        auto derivatives = joint_derivatives(fit, outcome);
        if (!derivatives)
            return false;
        double scale = free ? 1.0 : 0.0; // dS by the first parameter
        if (!free && !fixed) {
            scale = signal_bend_ > 0.0 ? signal_bend_ * fit.signal : mu * signal_uncertainty_;
            auto &[slope, curvature] = *derivatives;
            curvature = scale * scale * curvature + signal_bend_ * scale * slope + 1.0;
            slope = scale * slope + fit.theta - outcome.signal_auxiliary;
        }
        const auto step = joint_step(fit, *derivatives, scale, parameter, lowest);
        if (!step)
            return false;
        const double length = joint_length(fit, outcome, *step, scale);
        parameter += length * step->change;
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            fit.eta[g] += length * fit.step[g];
            // A group without counts separates: its eta is the same in both fits.
            if (fit.eta[g] < groups_[g].lowest && fit.curvature[g] > 1.0)
                return false;
        }
        // The next step would gain about the square of this one's gain.
        if (step->decrement < tolerance && length == 1.0) {
            if (!free)
                fit.signal = mu * signal_scale(fit.theta);
            return true;
        }
    }
    return false;
}

double CountingExperiment::Implementation::joint_rate(const PooledBin &bin, const JointFit &fit) const {
    const double rate = fit.signal * bin.signal + bin.background;
    return bin.group < 0 ? rate : rate + bin.uncertainty * fit.eta[static_cast<std::size_t>(bin.group)];
}

// The free and the conditional fit; false where the nested fits must be made.
bool CountingExperiment::Implementation::joint_fits(double mu, const Outcome &outcome,
                                                    double tolerance) const {
    if (!linear_ || !(mu > 0.0) || (signal_varies() && outcome.signal_auxiliary < lowest_theta()))
        return false;
    const auto fitted = [&](JointFit &fit, double tested) {
        if (!fit.eta.empty() && joint_fit(fit, tested, outcome, tolerance))
            return true;
        fit.eta.resize(groups_.size());
        for (std::size_t g = 0; g < groups_.size(); ++g)
            fit.eta[g] = std::max(outcome.background_auxiliaries[g], groups_[g].lowest);
        fit.slope.resize(groups_.size());
        fit.curvature.resize(groups_.size());
        fit.mixed.resize(groups_.size());
        fit.step.resize(groups_.size());
        fit.theta = outcome.signal_auxiliary;
        fit.signal = std::accumulate(outcome.counts.begin(), outcome.counts.end(), 0.0);
        return joint_fit(fit, tested, outcome, tolerance);
    };
    if (!fitted(outcome.free_fit, 0.0) || !fitted(outcome.conditional_fit, mu))
        return false;
    // Beyond the free fit -ln L is convex in theta too: there is one minimum.
    return mu * signal_scale(outcome.signal_auxiliary) <= outcome.free_fit.signal ||
           outcome.conditional_fit.signal >= outcome.free_fit.signal * (1.0 - 1e-6);
}

// q from the two fits.
double CountingExperiment::Implementation::joint_statistic(double mu, const Outcome &outcome) const {
    return mu * signal_scale(outcome.signal_auxiliary) <= outcome.free_fit.signal ? 0.0
                                                                                  : joint_difference(outcome);
}

// Twice the difference of -ln L between the two fits.
double CountingExperiment::Implementation::joint_difference(const Outcome &outcome) const {
    const JointFit &fit = outcome.conditional_fit, &free = outcome.free_fit;
    double change = total_signal_ * (fit.signal - free.signal);
    for (std::size_t g = 0; g < groups_.size(); ++g)
        change += (fit.eta[g] - free.eta[g]) *
                  (groups_[g].uncertainty +
                   0.5 * (fit.eta[g] + free.eta[g] - 2.0 * outcome.background_auxiliaries[g]));
    for (std::size_t i = 0; i < bins_.size(); ++i)
        if (const double n = outcome.counts[i]; n > 0.0)
            change += n * std::log(joint_rate(bins_[i], free) / joint_rate(bins_[i], fit));
    const double pull = signal_varies() ? fit.theta - outcome.signal_auxiliary : 0.0;
    return std::max(0.0, 2.0 * change + pull * pull);
}

// The minimum over theta of -ln L at mu, where the bins alone would like `free_signal` signal events.
double CountingExperiment::Implementation::conditional_theta(double mu, double free_signal,
                                                             const Outcome &outcome) const {
    if (!signal_varies())
        return 0.0;
    const double t = outcome.signal_auxiliary, start = std::max(t, lowest_theta());
    if (mu == 0.0)
        return start;
    const auto slope = [&](double theta) {
        const Profile at = profile(mu * signal_scale(theta), outcome, false);
        const double step = mu * signal_scale_slope(theta);
        const double bend =
            signal_constraint_ == Constraint::lognormal ? std::log1p(signal_uncertainty_) * step : 0.0;
        return std::make_pair(at.slope * step + theta - t,
                              at.curvature * step * step + at.slope * bend + 1.0);
    };
    const double at_start = slope(start).first;
    if (at_start == 0.0)
        return start;
    if (at_start < 0.0)
        return newton_root(slope, start, theta_of_scale(free_signal / mu), start);
    double low = std::max(start - at_start, lowest_theta());
    if (free_signal > 0.0)
        low = std::max(low, theta_of_scale(free_signal / mu));
    if (low == lowest_theta() && slope(low).first >= 0.0)
        return low;
    return newton_root(slope, low, start, start);
}

double CountingExperiment::Implementation::statistic(double mu, const Outcome &outcome) const {
    if (joint_fits(mu, outcome, 1e-7))
        return joint_statistic(mu, outcome);
    const double t = outcome.signal_auxiliary, free_signal = best_signal(outcome);
    if (mu * signal_scale(t) <= free_signal)
        return 0.0;
    const double theta = conditional_theta(mu, free_signal, outcome);
    const double pull = signal_varies() ? theta - std::max(t, lowest_theta()) : 0.0;
    // Below its lowest value the pull of theta is the same in both fits, up to what is beyond it.
    const double beyond = signal_varies() ? std::max(lowest_theta() - t, 0.0) : 0.0;
    const double change =
        profile(mu * signal_scale(theta), outcome).value - profile(free_signal, outcome).value;
    return std::max(0.0, 2.0 * change + pull * pull + 2.0 * pull * beyond);
}

// The square root of q, which is close to linear in the auxiliary measurements, and its gradient in them: the
// derivative of -ln L with respect to an auxiliary measurement at the two maxima (envelope theorem). Where
// the best signal lies above mu q is zero, and the root `least`: 0, or -infinity to have it go on below zero
// as it comes, minus the root of the same difference of -ln L.
double CountingExperiment::Implementation::root_of_statistic(double mu, const Outcome &outcome,
                                                             const std::vector<int> &coordinates,
                                                             std::vector<double> &gradient,
                                                             double least) const {
    const auto set_gradient = [&](std::size_t i, double difference, double root) {
        gradient[i] = std::max(0.0, root < 0.0 ? -difference : difference) / std::max(std::abs(root), 1e-12);
    };
    // Integrals over the auxiliary measurements need no more than four digits of the root.
    if (joint_fits(mu, outcome, 1e-4)) {
        const JointFit &fit = outcome.conditional_fit, &free = outcome.free_fit;
        const double above = mu * signal_scale(outcome.signal_auxiliary) - free.signal;
        if (above <= 0.0 && least == 0.0)
            return 0.0;
        const double root = std::copysign(std::sqrt(joint_difference(outcome)), above);
        for (std::size_t i = 0; i < coordinates.size(); ++i) {
            const auto g = static_cast<std::size_t>(coordinates[i]);
            set_gradient(
                i, coordinates[i] >= 0 ? free.eta[g] - fit.eta[g] : outcome.signal_auxiliary - fit.theta,
                root);
        }
        return root;
    }
    const double t = outcome.signal_auxiliary, free_signal = best_signal(outcome);
    const double above = mu * signal_scale(t) - free_signal;
    if (above <= 0.0 && least == 0.0)
        return 0.0;
    const double theta = conditional_theta(mu, free_signal, outcome), signal = mu * signal_scale(theta);
    const double free_theta = signal_varies() ? std::max(t, lowest_theta()) : 0.0, pull = theta - free_theta;
    const double change = profile(signal, outcome).value - profile(free_signal, outcome).value;
    const double root =
        std::copysign(std::sqrt(std::max(0.0, 2.0 * change + pull * (pull + 2.0 * (free_theta - t)))), above);
    for (std::size_t i = 0; i < coordinates.size(); ++i) {
        double difference = -pull;
        if (coordinates[i] >= 0) {
            const auto g = static_cast<std::size_t>(coordinates[i]);
            const double free_eta = best_eta(g, free_signal, outcome), eta = best_eta(g, signal, outcome);
            difference =
                background_constraint_ == Constraint::gamma ? std::log(free_eta / eta) : free_eta - eta;
        } else if (coordinates[i] < -1) {
            const auto bin = static_cast<std::size_t>(-2 - coordinates[i]);
            difference = best_own_theta(bin, free_signal, outcome) - best_own_theta(bin, signal, outcome);
        }
        set_gradient(i, difference, root);
    }
    return root;
}

Truth CountingExperiment::Implementation::conditional_truth(double mu) const {
    Truth truth{};
    truth.theta = conditional_theta(mu, best_signal(data()), data());
    truth.signal = mu * signal_scale(truth.theta);
    for (std::size_t g = 0; g < groups_.size(); ++g)
        truth.eta.push_back(best_eta(g, truth.signal, data()));
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        const PooledBin &bin = bins_[i];
        truth.own_theta.push_back(best_own_theta(i, truth.signal, data()));
        truth.rates.push_back(
            truth.signal * bin.signal * scale(bin.own_uncertainty, truth.own_theta.back()) +
            background(bin, bin.group < 0 ? 0.0 : truth.eta[static_cast<std::size_t>(bin.group)]));
    }
    return truth;
}

// ----------------------------------------------------------------------------------------------------
// ensembles

double &CountingExperiment::Implementation::auxiliary(Outcome &outcome, int coordinate) const {
    if (coordinate < -1)
        return outcome.own_auxiliaries[static_cast<std::size_t>(-2 - coordinate)];
    return coordinate < 0 ? outcome.signal_auxiliary
                          : outcome.background_auxiliaries[static_cast<std::size_t>(coordinate)];
}

double CountingExperiment::Implementation::auxiliary_mean(const Truth &truth, int coordinate) const {
    if (coordinate < -1)
        return truth.own_theta[static_cast<std::size_t>(-2 - coordinate)];
    if (coordinate < 0)
        return truth.theta;
    const auto g = static_cast<std::size_t>(coordinate);
    return background_constraint_ == Constraint::gamma ? truth.eta[g] * groups_[g].auxiliary_count
                                                       : truth.eta[g];
}

double CountingExperiment::Implementation::auxiliary_deviation(const Truth &truth, int coordinate) const {
    return coordinate >= 0 && background_constraint_ == Constraint::gamma
               ? std::sqrt(auxiliary_mean(truth, coordinate))
               : 1.0;
}

CountingExperiment::Implementation::Ensembles
CountingExperiment::Implementation::tails(double mu, double threshold, Accuracy accuracy) const {
    Ensembles ensembles{};
    ensembles.mu = mu;
    ensembles.threshold = threshold - tie_tolerance * (1.0 + threshold);
    ensembles.accuracy = accuracy;
    if (treatment_ == Treatment::frequentist && (signal_varies() || own_sources_ || !groups_.empty()))
        ensembles.least = negligible(accuracy);
    ensembles.outcome = observed_;
    if (treatment_ == Treatment::hybrid) {
        // The priors widen the tails: those of the nominal rates are smaller.
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const double count = observed_.counts[i], background = bins_[i].background;
            ensembles.scale_with *= poisson_cdf(mu * bins_[i].signal + background, count);
            ensembles.scale_without *= poisson_cdf(background, count);
        }
        const std::vector<double> start(signal_prior_.nodes.size(), 1.0);
        enumerate_hybrid(ensembles, 0, start, {1.0});
    } else {
        ensembles.with_signal = conditional_truth(mu);
        ensembles.without_signal = conditional_truth(0.0);
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            ensembles.scale_with *= poisson_cdf(ensembles.with_signal.rates[i], observed_.counts[i]);
            ensembles.scale_without *= poisson_cdf(ensembles.without_signal.rates[i], observed_.counts[i]);
        }
        // Counts that differ but are as many in all mostly lie in the tail too.
        const auto total = [](const std::vector<double> &values) {
            return std::accumulate(values.begin(), values.end(), 0.0);
        };
        const double count = total(observed_.counts);
        ensembles.scale_with =
            std::max(ensembles.scale_with, 0.1 * poisson_cdf(total(ensembles.with_signal.rates), count));
        ensembles.scale_without = std::max(ensembles.scale_without,
                                           0.1 * poisson_cdf(total(ensembles.without_signal.rates), count));
        enumerate(ensembles, 0, 1.0, 1.0);
    }
    return ensembles;
}

// Sums P(counts) P(q >= threshold | counts) over the counts of the bins from `level` on; false when q is
// below the threshold for all of them.
bool CountingExperiment::Implementation::enumerate(Ensembles &ensembles, std::size_t level, double with,
                                                   double without) const {
    if (level == bins_.size() && ensembles.contributions) {
        find_coordinates(ensembles);
        const double probability = std::max(with, without);
        const Contribution contribution{with, without,
                                        root_distribution(ensembles, ensembles.with_signal, probability),
                                        root_distribution(ensembles, ensembles.without_signal, probability)};
        const auto matters = [](const RootDistribution &root) {
            return root.mean + 5.0 * root.width > least_root;
        };
        if (!matters(contribution.root_with) && !matters(contribution.root_without))
            return false;
        ensembles.contributions->push_back(contribution);
        return true;
    }
    if (level == bins_.size()) {
        double pass_with = 0.0, pass_without = 0.0;
        const double flat = ensembles.accuracy == Accuracy::fine ? 0.3 * flat_below : flat_below;
        const double part_with = with / ensembles.scale_with,
                     part_without = without / ensembles.scale_without;
        if (std::max(part_with, part_without) > flat ||
            !flat_probabilities(ensembles, pass_with, pass_without)) {
            pass_with =
                part_with > ensembles.least ? pass_probability(ensembles, ensembles.with_signal) : 0.0;
            pass_without =
                part_without > ensembles.least ? pass_probability(ensembles, ensembles.without_signal) : 0.0;
        }
        ensembles.tail_with += with * pass_with;
        ensembles.tail_without += without * pass_without;
        return pass_with > 0.0 || pass_without > 0.0;
    }
    const double rate_with = ensembles.with_signal.rates[level];
    const double rate_without = ensembles.without_signal.rates[level];
    bool any = false;
    ensembles.afar.clear();
    for (double n = 0.0;; n += 1.0) {
        const double p_with = with * poisson_probability(rate_with, n);
        const double p_without = without * poisson_probability(rate_without, n);
        if (p_with < ensembles.least * ensembles.scale_with &&
            p_without < ensembles.least * ensembles.scale_without) {
            if (n > rate_with && n > rate_without)
                return any;
            any = true;
            continue;
        }
        ensembles.outcome.counts[level] = n;
        const bool passes = enumerate(ensembles, level + 1, p_with, p_without);
        any = any || passes;
        if (!passes && monotone_[level])
            return any;
    }
}

// The same with the counts' probabilities averaged over the priors: `with` holds, for each node of the
// signal's prior and of the current group's, the probability of the counts so far.
bool CountingExperiment::Implementation::enumerate_hybrid(Ensembles &ensembles, std::size_t level,
                                                          const std::vector<double> &with,
                                                          const std::vector<double> &without) const {
    const std::size_t n_theta = signal_prior_.nodes.size();
    if (level == bins_.size()) {
        if (ensembles.contributions) {
            const double root = std::sqrt(statistic(ensembles.mu, ensembles.outcome));
            if (root < least_root)
                return false;
            double sum = 0.0;
            for (std::size_t k = 0; k < n_theta; ++k)
                sum += signal_prior_.weights[k] * with[k];
            ensembles.contributions->push_back({sum, without[0], {root, 0.0, {}}, {root, 0.0, {}}});
            return true;
        }
        if (statistic(ensembles.mu, ensembles.outcome) < ensembles.threshold)
            return false;
        for (std::size_t k = 0; k < n_theta; ++k)
            ensembles.tail_with += signal_prior_.weights[k] * with[k];
        ensembles.tail_without += without[0];
        return true;
    }
    const PooledBin &bin = bins_[level];
    const Rule single{{0.0}, {1.0}};
    const Rule &prior = bin.group < 0 ? single : background_priors_[static_cast<std::size_t>(bin.group)];
    const std::size_t n_eta = prior.nodes.size();
    const bool first = level == 0 || bin.group < 0 || bins_[level - 1].group != bin.group;
    const bool last = level + 1 == bins_.size() || bin.group < 0 || bins_[level + 1].group != bin.group;
    // The bin's own signal nuisance parameter is averaged over at once.
    const Rule &own = own_priors_[level];
    const std::size_t n_own = own.nodes.size();
    std::vector<double> rates(n_theta * n_eta * n_own), rates_without(n_eta);
    for (std::size_t e = 0; e < n_eta; ++e) {
        rates_without[e] = background(bin, prior.nodes[e]);
        for (std::size_t k = 0; k < n_theta; ++k)
            for (std::size_t o = 0; o < n_own; ++o)
                rates[(k * n_eta + e) * n_own + o] = ensembles.mu * signal_scale(signal_prior_.nodes[k]) *
                                                         scale(bin.own_uncertainty, own.nodes[o]) *
                                                         bin.signal +
                                                     rates_without[e];
    }
    std::vector<double> terms(n_theta * n_eta * n_own), p_with(n_theta * n_eta), p_without(n_eta), next_with,
        next_without;
    for (std::size_t e = 0; e < n_eta; ++e) {
        p_without[e] = (first ? without[0] : without[e]) * std::exp(-rates_without[e]);
        for (std::size_t k = 0; k < n_theta; ++k)
            for (std::size_t o = 0; o < n_own; ++o) {
                const std::size_t j = (k * n_eta + e) * n_own + o;
                terms[j] = (first ? with[k] : with[k * n_eta + e]) * own.weights[o] * std::exp(-rates[j]);
            }
    }
    bool any = false;
    double previous = 0.0;
    for (double n = 0.0;; n += 1.0) {
        if (n > 0.0) {
            for (std::size_t j = 0; j < terms.size(); ++j)
                terms[j] *= rates[j] / n;
            for (std::size_t j = 0; j < p_without.size(); ++j)
                p_without[j] *= rates_without[j] / n;
        }
        for (std::size_t j = 0; j < p_with.size(); ++j) {
            p_with[j] = 0.0;
            for (std::size_t o = 0; o < n_own; ++o)
                p_with[j] += terms[j * n_own + o];
        }
        double sum_with = 0.0, sum_without = 0.0;
        next_with.assign(n_theta, 0.0);
        next_without.assign(1, 0.0);
        for (std::size_t e = 0; e < n_eta; ++e) {
            next_without[0] += prior.weights[e] * p_without[e];
            for (std::size_t k = 0; k < n_theta; ++k)
                next_with[k] += prior.weights[e] * p_with[k * n_eta + e];
        }
        for (std::size_t k = 0; k < n_theta; ++k)
            sum_with += signal_prior_.weights[k] * next_with[k];
        sum_without = next_without[0];
        const double larger =
            std::max(sum_with / ensembles.scale_with, sum_without / ensembles.scale_without);
        if (larger < ensembles.least) {
            if (larger < previous || n > 1e4)
                return any;
            previous = larger;
            any = true;
            continue;
        }
        previous = larger;
        ensembles.outcome.counts[level] = n;
        const bool passes = last ? enumerate_hybrid(ensembles, level + 1, next_with, next_without)
                                 : enumerate_hybrid(ensembles, level + 1, p_with, p_without);
        any = any || passes;
        if (!passes && monotone_[level])
            return any;
    }
}

// The auxiliary measurements that q depends on, at the counts of the outcome.
void CountingExperiment::Implementation::find_coordinates(Ensembles &ensembles) const {
    ensembles.coordinates.clear();
    if (treatment_ != Treatment::frequentist)
        return;
    const std::vector<double> &counts = ensembles.outcome.counts;
    for (std::size_t g = 0; g < groups_.size(); ++g)
        if (std::any_of(groups_[g].bins.begin(), groups_[g].bins.end(),
                        [&](int i) { return counts[static_cast<std::size_t>(i)] > 0.0; }))
            ensembles.coordinates.push_back(static_cast<int>(g));
    if (signal_varies())
        ensembles.coordinates.push_back(-1);
    for (std::size_t i = 0; own_sources_ && i < bins_.size(); ++i)
        if (bins_[i].own_uncertainty > 0.0)
            ensembles.coordinates.push_back(-2 - static_cast<int>(i));
}

// For counts that matter little: the surface q = threshold as a plane, found in two or three steps for both
// ensembles. False where that does not work.
bool CountingExperiment::Implementation::flat_probabilities(Ensembles &ensembles, double &with,
                                                            double &without) const {
    find_coordinates(ensembles);
    const std::vector<int> &coordinates = ensembles.coordinates;
    const std::size_t n = coordinates.size();
    if (n == 0 || background_constraint_ == Constraint::gamma || ensembles.threshold <= 0.0)
        return false;
    const double target = std::sqrt(ensembles.threshold);
    std::vector<double> &x = ensembles.point, &gradient = ensembles.gradient;
    x.resize(n);
    gradient.resize(n);
    for (std::size_t i = 0; i < n; ++i)
        x[i] = auxiliary_mean(ensembles.with_signal, coordinates[i]);
    double norm2 = 0.0;
    // Counts with one more in a bin need more of the auxiliary measurements.
    const bool from_near = ensembles.afar.size() == n;
    if (from_near)
        x = ensembles.afar;
    bool from_afar = false;
    for (int step = 0; step < (from_afar ? 3 : 2); ++step) {
        for (std::size_t i = 0; i < n; ++i)
            auxiliary(ensembles.outcome, coordinates[i]) = x[i];
        const double root = root_of_statistic(ensembles.mu, ensembles.outcome, coordinates, gradient, 0.0);
        norm2 = 0.0;
        for (double component : gradient)
            norm2 += component * component;
        if (root <= 0.0 || norm2 < 1e-12) {
            // Where q vanishes nothing tells the way: come from far up, if q reaches the threshold there.
            if (from_afar)
                return false;
            from_afar = true;
            for (std::size_t k = 0; k < n; ++k)
                x[k] = std::max(auxiliary_mean(ensembles.with_signal, coordinates[k]),
                                auxiliary_mean(ensembles.without_signal, coordinates[k])) +
                       auxiliary_range;
            step = -1;
            continue;
        }
        const double change = (target - root) / norm2;
        if (step == 0 && from_afar && change > 0.0) {
            with = without = 0.0;
            return true;
        }
        if (step == 0 && !from_afar && !from_near && std::abs(target - root) > 8.0 * std::sqrt(norm2)) {
            with = without = change > 0.0 ? 0.0 : 1.0;
            return true;
        }
        for (std::size_t i = 0; i < n; ++i)
            x[i] += change * gradient[i];
    }
    if (from_afar || from_near)
        ensembles.afar = x;
    double to_with = 0.0, to_without = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        to_with += gradient[i] * (x[i] - auxiliary_mean(ensembles.with_signal, coordinates[i]));
        to_without += gradient[i] * (x[i] - auxiliary_mean(ensembles.without_signal, coordinates[i]));
    }
    with = standard_normal_cdf(-to_with / std::sqrt(norm2));
    without = standard_normal_cdf(-to_without / std::sqrt(norm2));
    constexpr double outside = 3.4e-6; // auxiliary_range
    if (with < outside && without < outside)
        with = without = 0.0;
    return true;
}

// P(q >= threshold) over the auxiliary measurements, at the counts of the outcome. q rises with each of them,
// those of groups without counts drop out. The surface q = threshold is found along the direction of steepest
// ascent, from points across it: there it is nearly flat, and a rule of low degree for those points is
// enough.
double CountingExperiment::Implementation::pass_probability(Ensembles &ensembles, const Truth &truth) const {
    Outcome &outcome = ensembles.outcome;
    if (ensembles.threshold <= 0.0)
        return 1.0;
    find_coordinates(ensembles);
    const std::vector<int> &coordinates = ensembles.coordinates;
    if (coordinates.empty())
        return statistic(ensembles.mu, outcome) >= ensembles.threshold ? 1.0 : 0.0;
    if (background_constraint_ == Constraint::gamma)
        return pass_probability_of_counts(ensembles, truth);

    const std::size_t n = coordinates.size();
    const double target = std::sqrt(ensembles.threshold);
    std::vector<double> mean(n), x(n), gradient(n), direction(n);
    const auto root_at = [&] {
        for (std::size_t i = 0; i < n; ++i)
            auxiliary(outcome, coordinates[i]) = x[i];
        return root_of_statistic(ensembles.mu, outcome, coordinates, gradient, 0.0);
    };
    for (std::size_t i = 0; i < n; ++i)
        mean[i] = auxiliary_mean(truth, coordinates[i]);

    // Certainly not, or certainly: beyond the range in all coordinates.
    const double diagonal = auxiliary_range;
    x = mean;
    double root = root_at();
    if (root < target) {
        for (std::size_t i = 0; i < n; ++i)
            x[i] = mean[i] + diagonal;
        if (root_at() < target)
            return 0.0;
    } else {
        for (std::size_t i = 0; i < n; ++i)
            x[i] = mean[i] - diagonal;
        if (root_at() >= target)
            return 1.0;
    }

    // The nearest point of the surface to the mean (Hasofer and Lind, J. Eng. Mech. 100, 111 (1974)); only
    // its direction matters, so a few steps do. Where q vanishes around the mean, start from the equal
    // direction.
    direction.assign(n, 1.0 / std::sqrt(static_cast<double>(n)));
    double distance = 0.0;
    for (int step = 0; step < 3; ++step) {
        for (std::size_t i = 0; i < n; ++i)
            x[i] = mean[i] + distance * direction[i];
        root = root_at();
        double norm = 0.0, along = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            norm += gradient[i] * gradient[i];
            along += gradient[i] * (x[i] - mean[i]);
        }
        norm = std::sqrt(norm);
        if (root <= 0.0 || norm < 1e-9) {
            distance += 2.0;
            if (distance > 2.0 * auxiliary_range)
                break;
            --step;
            continue;
        }
        for (std::size_t i = 0; i < n; ++i)
            direction[i] = gradient[i] / norm;
        distance = std::clamp((along + target - root) / norm, -9.0, 9.0);
    }

    // Where the surface lies on the line mean + across + s direction, by Newton in a bracket.
    std::vector<double> across(n, 0.0);
    double s = distance;
    const auto crossing = [&] {
        double low = -infinity, high = infinity;
        for (int step = 0; step < 60; ++step) {
            for (std::size_t i = 0; i < n; ++i)
                x[i] = mean[i] + across[i] + s * direction[i];
            const double excess = root_at() - target;
            double slope = 0.0;
            for (std::size_t i = 0; i < n; ++i)
                slope += gradient[i] * direction[i];
            (excess < 0.0 ? low : high) = s;
            double next =
                excess > -target && slope > 1e-9 ? s - excess / slope : s + (excess < 0.0 ? 1.0 : -1.0);
            next = std::clamp(next, s - 3.0, s + 3.0);
            if (std::abs(next - s) < 1e-3) // the Newton step leaves an error of its square
                return next;
            if (!(next > low && next < high))
                next = 0.5 * (std::max(low, -20.0) + std::min(high, 20.0));
            s = next;
            if (s > 10.0 || s < -10.0)
                return s;
        }
        return s;
    };
    if (n == 1)
        return standard_normal_cdf(-crossing());

    std::vector<double> &basis = ensembles.basis;
    set_basis_across(direction, basis);
    // Of degree 5 (Smolyak's combination of three-point rules), or 3: points on the axes only.
    const double m = static_cast<double>(n - 1);
    double sum = 0.0;
    const auto add = [&](double weight, std::initializer_list<std::pair<std::size_t, double>> offsets) {
        across.assign(n, 0.0);
        for (const auto &[k, length] : offsets)
            for (std::size_t i = 0; i < n; ++i)
                across[i] += length * basis[k * n + i];
        sum += weight * standard_normal_cdf(-crossing());
    };
    if (ensembles.accuracy != Accuracy::fine) {
        const double length = std::sqrt(m);
        for (std::size_t k = 0; k + 1 < n; ++k)
            for (double sign : {-1.0, 1.0})
                add(0.5 / m, {{k, sign * length}});
    } else {
        const double length = std::sqrt(3.0);
        add(1.0 + (m * m - 7.0 * m) / 18.0, {});
        for (std::size_t k = 0; k + 1 < n; ++k)
            for (double sign : {-1.0, 1.0}) {
                add((4.0 - m) / 18.0, {{k, sign * length}});
                for (std::size_t l = k + 1; l + 1 < n; ++l)
                    for (double other : {-1.0, 1.0})
                        add(1.0 / 36.0, {{k, sign * length}, {l, other * length}});
            }
    }
    return std::clamp(sum, 0.0, 1.0);
}

// The same where auxiliary measurements are counts: one is solved for, the others are integrated by rules of
// Gauss.
double CountingExperiment::Implementation::pass_probability_of_counts(Ensembles &ensembles,
                                                                      const Truth &truth) const {
    Outcome &outcome = ensembles.outcome;
    std::vector<int> coordinates = ensembles.coordinates;
    const auto along = [&](double distance) {
        for (int c : coordinates)
            auxiliary(outcome, c) =
                std::max(c >= 0 ? (background_constraint_ == Constraint::gamma ? 0.0 : -infinity) : -infinity,
                         auxiliary_mean(truth, c) + distance * auxiliary_deviation(truth, c));
        return statistic(ensembles.mu, outcome) - ensembles.threshold;
    };
    const double low = along(-auxiliary_range);
    if (low >= 0.0)
        return 1.0;
    const double high = along(auxiliary_range);
    if (high < 0.0)
        return 0.0;
    double guess = 0.0;
    if (coordinates.size() == 1)
        return root_probability(ensembles, truth, coordinates[0], guess);

    // The coordinate to which q is most sensitive, where it crosses the threshold, is the one to solve for.
    along(bracketed_root(along, -auxiliary_range, low, auxiliary_range, high, 1e-2));
    const double free_signal = best_signal(outcome);
    const double theta = conditional_theta(ensembles.mu, free_signal, outcome);
    const double signal = ensembles.mu * signal_scale(theta);
    std::vector<std::pair<double, int>> sensitivity;
    for (int c : coordinates) {
        double change;
        if (c < 0) {
            change = outcome.signal_auxiliary - theta;
        } else {
            const auto g = static_cast<std::size_t>(c);
            const double free_eta = best_eta(g, free_signal, outcome), eta = best_eta(g, signal, outcome);
            change = background_constraint_ == Constraint::gamma ? std::log(free_eta / eta) : free_eta - eta;
        }
        sensitivity.emplace_back(-std::abs(change) * auxiliary_deviation(truth, c), c);
    }
    std::sort(sensitivity.begin(), sensitivity.end());
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < sensitivity.size(); ++i) {
        coordinates[i] = sensitivity[i].second;
        const double relative =
            sensitivity[0].first < 0.0 ? sensitivity[i].first / sensitivity[0].first : 1.0;
        const std::size_t finest = sensitivity.size() <= 3 ? 7 : sensitivity.size() <= 4 ? 5 : 3;
        const std::size_t size = relative < 0.1 ? 3 : relative < 0.4 ? 5 : 7;
        sizes.push_back(std::min(size, finest) + (ensembles.accuracy == Accuracy::fine ? 2u : 0u));
    }
    return integrate(ensembles, truth, coordinates, sizes, 1, guess);
}

double CountingExperiment::Implementation::integrate(Ensembles &ensembles, const Truth &truth,
                                                     const std::vector<int> &coordinates,
                                                     const std::vector<std::size_t> &sizes, std::size_t next,
                                                     double &guess) const {
    if (next == coordinates.size())
        return root_probability(ensembles, truth, coordinates[0], guess);
    const int coordinate = coordinates[next];
    const double mean = auxiliary_mean(truth, coordinate);
    const bool counts = coordinate >= 0 && background_constraint_ == Constraint::gamma;
    const Rule poisson = counts ? poisson_rule(sizes[next], mean) : Rule{};
    const Rule &rule = counts ? poisson : normal_rules_[sizes[next]];
    double sum = 0.0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
        auxiliary(ensembles.outcome, coordinate) = counts ? rule.nodes[i] : mean + rule.nodes[i];
        sum += rule.weights[i] * integrate(ensembles, truth, coordinates, sizes, next + 1, guess);
    }
    return sum;
}

// P(q >= threshold) over one auxiliary measurement, the others given.
double CountingExperiment::Implementation::root_probability(Ensembles &ensembles, const Truth &truth,
                                                            int coordinate, double &guess) const {
    Outcome &outcome = ensembles.outcome;
    const double mu = ensembles.mu, threshold = ensembles.threshold;
    if (coordinate >= 0) {
        const double mean = auxiliary_mean(truth, coordinate), width = auxiliary_deviation(truth, coordinate);
        const bool counts = background_constraint_ == Constraint::gamma;
        const auto excess = [&](double value) {
            auxiliary(outcome, coordinate) = value;
            return statistic(mu, outcome) - threshold;
        };
        const double reach = auxiliary_range + 2.0;
        const double low = counts ? std::max(0.0, mean - reach * width) : mean - reach * width;
        const double high = mean + (counts ? 1.5 : 1.0) * reach * width;
        const double at_low = excess(low), at_high = excess(high);
        if (at_low >= 0.0)
            return 1.0;
        if (at_high < 0.0)
            return 0.0;
        const double crossing = bracketed_root(excess, low, at_low, high, at_high, 1e-6 * width);
        if (!counts)
            return standard_normal_cdf(mean - crossing);
        const double first = std::ceil(crossing - 1e-6);
        return first <= 0.0 ? 1.0 : boost::math::gamma_p(first, mean);
    }
    // Solved in the conditional theta: there the auxiliary measurement follows, and q with it, without a
    // nested fit.
    const double free_signal = best_signal(outcome), free_value = profile(free_signal, outcome).value;
    const auto excess = [&](double theta) {
        const Profile at = profile(mu * signal_scale(theta), outcome);
        const double pull = at.slope * mu * signal_scale_slope(theta);
        return std::sqrt(std::max(0.0, 2.0 * (at.value - free_value)) + pull * pull) - std::sqrt(threshold);
    };
    double low = -infinity, at_low = -std::sqrt(threshold);
    if (free_signal > 0.0) {
        low = theta_of_scale(free_signal / mu);
    } else if (signal_constraint_ == Constraint::gaussian) {
        low = lowest_theta();
        at_low = excess(low);
        if (at_low >= 0.0)
            return standard_normal_cdf(truth.theta - (low + std::sqrt(threshold)));
    }
    double high = std::max(guess, low), at_high = excess(high);
    double step = 0.5;
    while (at_high < 0.0) {
        low = high;
        at_low = at_high;
        high += step;
        step *= 2.0;
        if (high > truth.theta + 40.0)
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
        if (high < truth.theta - 40.0)
            return 1.0;
    }
    const double theta = bracketed_root(excess, low, at_low, high, at_high, 1e-7);
    guess = theta;
    const double measured =
        theta + profile(mu * signal_scale(theta), outcome).slope * mu * signal_scale_slope(theta);
    return standard_normal_cdf(truth.theta - measured);
}

// ---------------------------------------------------------------------------------------------------- limits

ConfidenceLevels CountingExperiment::Implementation::confidence_levels(double mu, Accuracy accuracy) const {
    check_signal(mu);
    if (mu == 0.0)
        return {1.0, 1.0, 1.0};
    const Ensembles ensembles = tails(mu, statistic(mu, data()), accuracy);
    const double with = std::min(1.0, ensembles.tail_with), without = std::min(1.0, ensembles.tail_without);
    if (!(without > 0.0))
        throw std::runtime_error(
            "CLs is undefined: the data are beyond reach of the background-only ensemble");
    return {with, without, std::min(1.0, with / without)};
}

namespace {

double log_level(const ConfidenceLevels &levels, Criterion criterion) {
    return std::log(
        std::max(criterion == Criterion::cls ? levels.cls : levels.signal_plus_background, 1e-300));
}

void check_level(double cl) {
    if (!(cl > 0.0 && cl < 1.0))
        throw std::domain_error("the confidence level must lie between 0 and 1");
}

// The root of a falling function of mu > 0: brackets by steps from `start`, then solves. Infinite where the
// function has not fallen to zero at `most`.
template <class Function>
double falling_root(Function &&f, double start, double tolerance, double most = infinity) {
    double low = start, at_low = f(low), high = low, at_high = at_low, step = 1.3;
    for (int i = 0; at_high > 0.0; ++i) {
        low = high;
        at_low = at_high;
        high *= step;
        step *= 1.2;
        at_high = f(high);
        if (at_high > 0.0 && high > most)
            return infinity;
        if (i == 60)
            throw std::runtime_error("no upper end of the limit found");
    }
    step = 1.3;
    for (int i = 0; at_low <= 0.0; ++i) {
        high = low;
        at_high = at_low;
        low /= step;
        step *= 1.2;
        at_low = f(low);
        if (i == 60 || low < 1e-6) // nearer to zero the statistics of all counts are ties
            throw std::runtime_error("no lower end of the limit found: every signal is excluded");
    }
    return bracketed_root(f, low, at_low, high, at_high, tolerance * low);
}

} // namespace

// A limit beyond this is none. With a truncated Gaussian constraint of the signal q(mu) stays below (t +
// 1/delta)^2 however large mu is, t being the auxiliary measurement: a fit without signal costs no more. Data
// with a small t then exclude no signal at all.
double CountingExperiment::Implementation::largest_limit() const {
    double events = 1.0;
    for (std::size_t i = 0; i < bins_.size(); ++i)
        events += bins_[i].background + observed_.counts[i];
    return 1e4 * events;
}

Estimate CountingExperiment::Implementation::upper_limit(double cl, Criterion criterion) const {
    check_level(cl);
    const double target = std::log1p(-cl);
    const auto excess = [&](double mu) { return log_level(confidence_levels(mu), criterion) - target; };
    const bool steps =
        treatment_ != Treatment::frequentist || (groups_.empty() && !signal_varies() && !own_sources_);
    if (!steps) {
        // ln CLs is nearly straight: a few secants from the limit with known nuisance parameters find the
        // place coarsely, one or two more the value.
        const double most = largest_limit();
        double limit = known_->upper_limit(cl, criterion).value;
        const double above = log_level(known_->confidence_levels(1.02 * limit), criterion);
        double slope = std::min((above - target) / (0.02 * limit), -1e-3);
        const auto at = [&](double mu, Accuracy accuracy) {
            return log_level(confidence_levels(mu, accuracy), criterion) - target;
        };
        const auto secants = [&](Accuracy accuracy, double tolerance) {
            double value = at(limit, accuracy);
            for (int i = 0; std::abs(value / slope) > tolerance * limit; ++i) {
                if (i == 60 || limit > most)
                    throw std::runtime_error(signal_constraint_ == Constraint::gaussian &&
                                                     (signal_varies() || own_sources_)
                                                 ? "a gaussian signal uncertainty this large lets the signal "
                                                   "vanish, and lognormal not"
                                                 : "the limit did not converge in 60 steps");
                const double change = std::clamp(-value / slope, -0.3 * limit, 0.3 * limit);
                const double next = at(limit + change, accuracy);
                if (std::abs(change) > 1e-3 * limit)
                    slope = std::min((next - value) / change, -1e-3);
                limit += change;
                value = next;
            }
            return value;
        };
        secants(Accuracy::coarse, 1e-2);
        const double value = secants(Accuracy::standard, 2e-3);
        // Numerical error: finer rules for the auxiliary measurements and more counts, of which those still
        // left out may matter as much, and what is left of the step.
        const double finer = at(limit, Accuracy::fine);
        return {limit - finer / slope,
                2.0 * std::abs((finer - value) / slope) + 0.05 * std::abs(finer / slope)};
    }
    constexpr double tolerance = 1e-5;
    double limit = falling_root(excess, best_signal(data()) - target, tolerance);
    for (bool again = true; again;) {
        again = false;
        for (double factor : {1.002, 1.01, 1.03, 1.1, 1.2})
            if (excess(factor * limit) > 0.0) {
                limit = falling_root(excess, factor * limit, tolerance);
                again = true;
                break;
            }
    }
    return {limit, tolerance * limit};
}

// Where the auxiliary measurements of the counts lie on average, the root of q and how much it varies with
// them.
RootDistribution CountingExperiment::Implementation::root_distribution(Ensembles &ensembles,
                                                                       const Truth &truth,
                                                                       double probability) const {
    const std::vector<int> &coordinates = ensembles.coordinates;
    ensembles.gradient.assign(coordinates.size(), 0.0);
    for (int c : coordinates)
        auxiliary(ensembles.outcome, c) = auxiliary_mean(truth, c);
    const double root =
        root_of_statistic(ensembles.mu, ensembles.outcome, coordinates, ensembles.gradient, -infinity);
    if (std::abs(root) < 0.05) {
        // The gradient is a ratio of small numbers where the root vanishes: half a deviation aside it is not.
        for (int c : coordinates)
            auxiliary(ensembles.outcome, c) += 0.5 * auxiliary_deviation(truth, c);
        root_of_statistic(ensembles.mu, ensembles.outcome, coordinates, ensembles.gradient, -infinity);
    }
    std::vector<double> change(coordinates.size());
    double variance = 0.0;
    for (std::size_t i = 0; i < coordinates.size(); ++i) {
        change[i] = ensembles.gradient[i] * auxiliary_deviation(truth, coordinates[i]);
        variance += change[i] * change[i];
    }
    RootDistribution result{root, std::sqrt(variance), {}};
    if (probability < straight_below || variance == 0.0)
        return result;
    for (double &component : change)
        component /= result.width;
    const std::size_t n = coordinates.size();
    const auto line_at = [&](double weight, const double *across, double length) {
        RootLine line{weight, {}};
        for (std::size_t k = 0; k < deviates.size(); ++k) {
            for (std::size_t i = 0; i < n; ++i) {
                const double deviate = deviates[k] * change[i] + (across ? length * across[i] : 0.0);
                auxiliary(ensembles.outcome, coordinates[i]) = std::max(
                    auxiliary_mean(truth, coordinates[i]) +
                        deviate * auxiliary_deviation(truth, coordinates[i]),
                    background_constraint_ == Constraint::gamma && coordinates[i] >= 0 ? 0.0 : -infinity);
            }
            line.roots[k] = deviates[k] == 0.0 && !across
                                ? root
                                : root_of_statistic(ensembles.mu, ensembles.outcome, coordinates,
                                                    ensembles.gradient, -infinity);
            if (k > 0) // up to the precision of the fits
                line.roots[k] = std::max(line.roots[k], line.roots[k - 1]);
        }
        result.lines.push_back(line);
    };
    if (n == 1) {
        line_at(1.0, nullptr, 0.0);
        return result;
    }
    // Across the gradient a rule of degree 3, as in pass_probability: the root is bent there.
    set_basis_across(change, ensembles.basis);
    const double m = static_cast<double>(n - 1);
    for (std::size_t k = 0; k + 1 < n; ++k)
        for (double sign : {-1.0, 1.0})
            line_at(0.5 / m, &ensembles.basis[k * n], sign * std::sqrt(m));
    return result;
}

// The probability, without signal, of data that exclude mu: of q at least as large as the least one with
// CLs <= alpha. sqrt(q) is followed in the auxiliary measurements along its gradient, on one line or several.
double CountingExperiment::Implementation::excluded_fraction(double mu, double alpha,
                                                             Criterion criterion) const {
    Ensembles ensembles{};
    std::vector<Contribution> contributions;
    ensembles.mu = mu;
    ensembles.outcome = data();
    ensembles.contributions = &contributions;
    if (treatment_ == Treatment::hybrid) {
        enumerate_hybrid(ensembles, 0, std::vector<double>(signal_prior_.nodes.size(), 1.0), {1.0});
    } else {
        ensembles.with_signal = conditional_truth(mu);
        ensembles.without_signal = conditional_truth(0.0);
        enumerate(ensembles, 0, 1.0, 1.0);
    }
    double largest = least_root;
    for (const Contribution &c : contributions)
        largest = std::max({largest, c.root_with.mean + 6.0 * c.root_with.width,
                            c.root_without.mean + 6.0 * c.root_without.width});
    const auto excludes = [&](double root, double &fraction) {
        const double threshold = root - tie_tolerance * (1.0 + root);
        double with = 0.0, without = 0.0;
        for (const Contribution &c : contributions) {
            with += c.with * c.root_with.tail(threshold);
            without += c.without * c.root_without.tail(threshold);
        }
        fraction = without;
        return with <= (criterion == Criterion::cls ? alpha * without : alpha);
    };
    double low = least_root, high = largest, fraction = 0.0, value = 0.0;
    if (excludes(low, value))
        return value;
    // From below: in the far tail, known to no few per cent, CLs may rise again.
    for (const double step = (largest - least_root) / 64.0; low < largest; low += step)
        if (excludes(low + step, value)) {
            high = low + step;
            fraction = value;
            break;
        }
    while (high - low > 1e-6 * high) {
        const double middle = 0.5 * (low + high);
        if (excludes(middle, value)) {
            high = middle;
            fraction = value;
        } else {
            low = middle;
        }
    }
    return fraction;
}

ExpectedLimits CountingExperiment::Implementation::expected_limits(double cl, Criterion criterion) const {
    check_level(cl);
    double limits[5];
    std::vector<std::pair<double, double>> known; // mu, fraction of experiments that exclude it
    const double most = largest_limit();
    for (int sigma = -2; sigma <= 2; ++sigma) {
        const double target = standard_normal_cdf(sigma);
        const auto excess = [&](double mu) {
            for (const auto &entry : known)
                if (entry.first == mu)
                    return target - entry.second;
            known.emplace_back(mu, excluded_fraction(mu, 1.0 - cl, criterion));
            return target - known.back().second;
        };
        double start = -std::log1p(-cl);
        for (const auto &entry : known)
            if (std::abs(entry.second - target) < 0.3 && entry.first < most)
                start = entry.first;
        limits[sigma + 2] = falling_root(excess, start, 5e-5, most);
        // On one step of the discrete counts several quantiles have one limit, up to the tolerance.
        if (sigma > -2)
            limits[sigma + 2] = std::max(limits[sigma + 2], limits[sigma + 1]);
    }
    return {limits[0], limits[1], limits[2], limits[3], limits[4]};
}

// ----------------------------------------------------------------------------------------------------
// signals

double CountingExperiment::Implementation::discovery_statistic(const Outcome &outcome) const {
    const double signal = best_signal(outcome);
    if (signal == 0.0)
        return 0.0;
    return std::max(0.0, 2.0 * (profile(0.0, outcome).value - profile(signal, outcome).value));
}

// The mean of weight(counts) over the ensemble at mu: all counts but those of a tail below 1e-13 per bin.
template <class Weight>
double CountingExperiment::Implementation::mean_over_counts(double mu, const Weight &weight) const {
    Outcome outcome = data();
    double sum = 0.0;
    // Averages over the priors of hybrid; a single point otherwise.
    const bool hybrid = treatment_ == Treatment::hybrid;
    const Rule single{{0.0}, {1.0}};
    const Truth truth = conditional_truth(mu);
    const Rule &theta_rule = hybrid ? signal_prior_ : single;
    const auto probability = [&](std::size_t i, std::size_t k, double eta, double n) {
        const PooledBin &bin = bins_[i];
        const double signal = (hybrid ? mu * signal_scale(theta_rule.nodes[k]) : truth.signal) * bin.signal;
        const Rule own{{truth.own_theta[i]}, {1.0}};
        const Rule &own_rule = hybrid ? own_priors_[i] : own;
        double sum_own = 0.0;
        for (std::size_t o = 0; o < own_rule.nodes.size(); ++o)
            sum_own += own_rule.weights[o] *
                       poisson_probability(
                           signal * scale(bin.own_uncertainty, own_rule.nodes[o]) + background(bin, eta), n);
        return sum_own;
    };
    const auto recurse = [&](const auto &self, std::size_t level, const std::vector<double> &so_far) -> void {
        if (level == bins_.size()) {
            double mean = 0.0;
            for (std::size_t k = 0; k < so_far.size(); ++k)
                mean += theta_rule.weights[k] * so_far[k];
            sum += mean * weight(outcome);
            return;
        }
        const int group = bins_[level].group;
        std::size_t end = level + 1;
        while (group >= 0 && end < bins_.size() && bins_[end].group == group)
            ++end;
        const auto g = static_cast<std::size_t>(std::max(group, 0));
        const Rule fixed{{group < 0 ? 0.0 : truth.eta[g]}, {1.0}};
        const Rule &prior = hybrid && group >= 0 ? background_priors_[g] : fixed;
        // The bins of one group share the average over its prior.
        std::vector<double> table(so_far.size() * prior.nodes.size());
        for (std::size_t k = 0; k < so_far.size(); ++k)
            for (std::size_t e = 0; e < prior.nodes.size(); ++e)
                table[k * prior.nodes.size() + e] = so_far[k];
        const auto within = [&](const auto &inner, std::size_t bin,
                                const std::vector<double> &products) -> void {
            if (bin == end) {
                std::vector<double> next(so_far.size(), 0.0);
                for (std::size_t k = 0; k < next.size(); ++k)
                    for (std::size_t e = 0; e < prior.nodes.size(); ++e)
                        next[k] += prior.weights[e] * products[k * prior.nodes.size() + e];
                self(self, end, next);
                return;
            }
            double previous = -1.0;
            for (double n = 0.0; n < 1e5; n += 1.0) {
                std::vector<double> next = products;
                double largest = 0.0;
                for (std::size_t k = 0; k < so_far.size(); ++k)
                    for (std::size_t e = 0; e < prior.nodes.size(); ++e) {
                        double &value = next[k * prior.nodes.size() + e];
                        value *= probability(bin, k, prior.nodes[e], n);
                        largest = std::max(largest, value * prior.weights[e] * theta_rule.weights[k]);
                    }
                if (largest < 1e-13) {
                    if (largest <= previous)
                        break;
                    previous = largest;
                    continue;
                }
                previous = largest;
                outcome.counts[bin] = n;
                inner(inner, bin + 1, next);
            }
        };
        within(within, level, table);
    };
    recurse(recurse, 0, std::vector<double>(theta_rule.nodes.size(), 1.0));
    return sum;
}

// P(q0 >= threshold) over the auxiliary measurements of the backgrounds. q0 falls with each: the first is
// solved for, the others are integrated.
double CountingExperiment::Implementation::discovery_pass(const Truth &truth, Outcome &outcome,
                                                          double threshold,
                                                          const std::vector<int> &coordinates,
                                                          std::size_t next) const {
    const int coordinate = coordinates[next == coordinates.size() ? 0 : next];
    const double mean = auxiliary_mean(truth, coordinate), width = auxiliary_deviation(truth, coordinate);
    const bool counts = background_constraint_ == Constraint::gamma;
    if (next < coordinates.size()) {
        const Rule poisson = counts ? poisson_rule(7, mean) : Rule{};
        const Rule &rule = counts ? poisson : normal_rules_[7];
        double sum = 0.0;
        for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
            auxiliary(outcome, coordinate) = counts ? rule.nodes[i] : mean + rule.nodes[i];
            sum += rule.weights[i] * discovery_pass(truth, outcome, threshold, coordinates, next + 1);
        }
        return sum;
    }
    const auto excess = [&](double value) {
        auxiliary(outcome, coordinate) = value;
        return discovery_statistic(outcome) - threshold;
    };
    const double low = counts ? std::max(0.0, mean - 8.0 * width) : mean - 8.0 * width,
                 high = mean + 12.0 * width;
    const double at_low = excess(low), at_high = excess(high);
    if (at_low < 0.0)
        return 0.0;
    if (at_high >= 0.0)
        return 1.0;
    const double crossing = bracketed_root(excess, low, at_low, high, at_high, 1e-7 * width);
    if (!counts)
        return standard_normal_cdf(crossing - mean);
    const double last = std::floor(crossing + 1e-6);
    return boost::math::gamma_q(last + 1.0, mean);
}

Discovery CountingExperiment::Implementation::discovery() const {
    if (treatment_ == Treatment::frequentist && own_sources_)
        throw std::invalid_argument(
            "the p-value with signal uncertainties of single bins is made with treatment "
            "none or hybrid");
    const double observed = discovery_statistic(data());
    if (observed == 0.0)
        return {0.0, 1.0};
    const double threshold = observed - tie_tolerance * (1.0 + observed);
    const Truth truth = conditional_truth(0.0);
    const double p_value = mean_over_counts(0.0, [&](Outcome &outcome) {
        std::vector<int> coordinates;
        if (treatment_ == Treatment::frequentist)
            for (std::size_t g = 0; g < groups_.size(); ++g)
                if (std::any_of(groups_[g].bins.begin(), groups_[g].bins.end(),
                                [&](int i) { return outcome.counts[static_cast<std::size_t>(i)] > 0.0; }))
                    coordinates.push_back(static_cast<int>(g));
        if (coordinates.empty())
            return discovery_statistic(outcome) >= threshold ? 1.0 : 0.0;
        return discovery_pass(truth, outcome, threshold, coordinates, 1);
    });
    return {observed, std::min(1.0, p_value)};
}

double CountingExperiment::Implementation::two_sided_statistic(double mu, const Outcome &outcome) const {
    const double free_signal = best_signal(outcome);
    const double theta = conditional_theta(mu, free_signal, outcome);
    const double pull = signal_varies() ? theta - std::max(outcome.signal_auxiliary, lowest_theta()) : 0.0;
    return std::max(
        0.0, 2.0 * (profile(mu * signal_scale(theta), outcome).value - profile(free_signal, outcome).value) +
                 pull * pull);
}

double CountingExperiment::Implementation::two_sided_p_value(double mu) const {
    if (treatment_ == Treatment::frequentist && (signal_varies() || own_sources_ || !groups_.empty()))
        throw std::invalid_argument("two-sided intervals are made with treatment none or hybrid");
    check_signal(mu);
    const double observed = two_sided_statistic(mu, data());
    // Without background a count has no likelihood at mu = 0.
    if (!std::isfinite(observed))
        return 0.0;
    const double threshold = observed - tie_tolerance * (1.0 + observed);
    return mean_over_counts(
        mu, [&](Outcome &outcome) { return two_sided_statistic(mu, outcome) >= threshold ? 1.0 : 0.0; });
}

Interval CountingExperiment::Implementation::interval(double cl) const {
    check_level(cl);
    const double alpha = 1.0 - cl, best = best_signal(data());
    const auto accepted = [&](double mu) { return two_sided_p_value(mu) > alpha; };
    // The ends: outward until excluded for good, then to the outermost crossing (p-values have steps).
    const double step = 0.02 * (1.0 + best);
    Interval result{best, best};
    int excluded = 0;
    for (double mu = best + step; excluded < 25; mu += step) {
        if (accepted(mu)) {
            result.high = mu;
            excluded = 0;
        } else {
            ++excluded;
        }
    }
    excluded = 0;
    for (double mu = best - step; mu > 0.0 && excluded < 25; mu -= step) {
        if (accepted(mu)) {
            result.low = mu;
            excluded = 0;
        } else {
            ++excluded;
        }
    }
    const auto refine = [&](double inside, double outside) {
        for (int i = 0; i < 14; ++i) {
            const double middle = 0.5 * (inside + outside);
            (accepted(middle) ? inside : outside) = middle;
        }
        return inside;
    };
    result.high = refine(result.high, result.high + step);
    result.low = best == 0.0 || accepted(0.0) ? 0.0 : refine(result.low, std::max(0.0, result.low - step));
    return result;
}

// ----------------------------------------------------------------------------------------------------
// asymptotics

ConfidenceLevels CountingExperiment::Implementation::asymptotic_confidence_levels(double mu) const {
    check_signal(mu);
    if (mu == 0.0)
        return {1.0, 1.0, 1.0};
    const Truth background_only = conditional_truth(0.0);
    Outcome asimov = observed_;
    asimov.counts = background_only.rates;
    for (std::size_t g = 0; g < groups_.size(); ++g)
        asimov.background_auxiliaries[g] = auxiliary_mean(background_only, static_cast<int>(g));
    const double q = statistic(mu, data()), q_asimov = statistic(mu, asimov);
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

Estimate CountingExperiment::Implementation::asymptotic_upper_limit(double cl, Criterion criterion) const {
    check_level(cl);
    const double target = std::log1p(-cl);
    const double limit = falling_root(
        [&](double mu) { return log_level(asymptotic_confidence_levels(mu), criterion) - target; },
        best_signal(data()) - target, 1e-8);
    return {limit, 1e-8 * limit};
}

ExpectedLimits CountingExperiment::Implementation::asymptotic_expected_limits(double cl,
                                                                              Criterion criterion) const {
    check_level(cl);
    const Truth background_only = conditional_truth(0.0);
    Outcome asimov = observed_;
    asimov.counts = background_only.rates;
    for (std::size_t g = 0; g < groups_.size(); ++g)
        asimov.background_auxiliaries[g] = auxiliary_mean(background_only, static_cast<int>(g));
    double limits[5];
    for (int sigma = -2; sigma <= 2; ++sigma)
        limits[sigma + 2] = falling_root(
            [&](double mu) {
                const double root = std::sqrt(statistic(mu, asimov));
                const double background = criterion == Criterion::cls ? standard_normal_cdf(sigma) : 1.0;
                return std::log(standard_normal_cdf(sigma - root) / background) - std::log1p(-cl);
            },
            -std::log1p(-cl), 1e-8);
    return {limits[0], limits[1], limits[2], limits[3], limits[4]};
}

// ----------------------------------------------------------------------------------------------------
// interface

CountingExperiment::CountingExperiment(const CountingModel &model, Treatment treatment)
    : implementation_(std::make_unique<Implementation>(model, treatment)) {}
CountingExperiment::~CountingExperiment() = default;
CountingExperiment::CountingExperiment(CountingExperiment &&) noexcept = default;
CountingExperiment &CountingExperiment::operator=(CountingExperiment &&) noexcept = default;

double CountingExperiment::statistic(double mu) const {
    return implementation_->statistic(mu);
}
ConfidenceLevels CountingExperiment::confidence_levels(double mu) const {
    return implementation_->confidence_levels(mu);
}
Estimate CountingExperiment::cls(double mu) const {
    const double value = implementation_->confidence_levels(mu).cls;
    return {value, std::abs(implementation_->confidence_levels(mu, Accuracy::fine).cls - value) +
                       tie_tolerance * value};
}
Estimate CountingExperiment::upper_limit(double cl, Criterion criterion) const {
    return implementation_->upper_limit(cl, criterion);
}
ExpectedLimits CountingExperiment::expected_limits(double cl, Criterion criterion) const {
    return implementation_->expected_limits(cl, criterion);
}
Discovery CountingExperiment::discovery() const {
    return implementation_->discovery();
}
double CountingExperiment::two_sided_p_value(double mu) const {
    return implementation_->two_sided_p_value(mu);
}
Interval CountingExperiment::interval(double cl) const {
    return implementation_->interval(cl);
}
ConfidenceLevels CountingExperiment::asymptotic_confidence_levels(double mu) const {
    return implementation_->asymptotic_confidence_levels(mu);
}
Estimate CountingExperiment::asymptotic_upper_limit(double cl, Criterion criterion) const {
    return implementation_->asymptotic_upper_limit(cl, criterion);
}
ExpectedLimits CountingExperiment::asymptotic_expected_limits(double cl, Criterion criterion) const {
    return implementation_->asymptotic_expected_limits(cl, criterion);
}

} // namespace na64root
