// Quantiles of the limit without signal: sqrt(q) is followed in the auxiliary measurements along its
// gradient, on one line or several.
#include "counting/limits.hpp"

#include <array>
#include <utility>

#include "counting/counts.hpp"
#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

// Counts less probable than this have a root of q that is linear in the auxiliary measurements. Chosen for
// speed: halved or doubled, expected limits of 60 random models of 1 to 3 bins move by 2e-3 at most, of zero
// by 1e-3, which is far below the error of the rule; zero takes more than twice the time.
constexpr double straight_below = 1e-3;
// CLs <= alpha needs P(q | signal) <= alpha: no sqrt(q) below this excludes at levels above 70 %.
constexpr double least_root = 0.5;
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

// Finds the distribution of the root at the counts of an experiment, whose auxiliary measurements it changes.
class RootSurvey {
  public:
    RootSurvey(const Model &model, double mu, Fitter &experiment)
        : model_(model), mu_(mu), experiment_(experiment) {}

    Contribution at_counts(const Truths &truths, const CountsProbability &counts) {
        model_.find_coordinates(experiment_.outcome.counts, coordinates_);
        const double probability = std::max(counts.with, counts.without);
        RootDistribution with = distribution(truths.with_signal, probability);
        return {counts.with, counts.without, std::move(with),
                distribution(truths.without_signal, probability)};
    }

  private:
    double root() { return experiment_.root_of_statistic(mu_, coordinates_, gradient_, -infinity); }
    RootDistribution distribution(const Truth &truth, double probability);
    double root_and_gradient_at_mean(const Truth &truth);
    RootLine line(const Truth &truth, double weight, const double *across, double length,
                  double root_at_mean);

    const Model &model_;
    double mu_;
    Fitter &experiment_;
    std::vector<Coordinate> coordinates_;
    std::vector<double> gradient_, direction_, basis_; // workspace
};

double RootSurvey::root_and_gradient_at_mean(const Truth &truth) {
    gradient_.assign(coordinates_.size(), 0.0);
    for (const Coordinate &c : coordinates_)
        experiment_.auxiliary(c) = model_.auxiliary_mean(truth, c);
    const double at_mean = root();
    if (std::abs(at_mean) < 0.05) {
        // The gradient is a ratio of small numbers where the root vanishes: half a deviation aside it is not.
        for (const Coordinate &c : coordinates_)
            experiment_.auxiliary(c) += 0.5 * model_.auxiliary_deviation(truth, c);
        root();
    }
    return at_mean;
}

RootDistribution RootSurvey::distribution(const Truth &truth, double probability) {
    const double at_mean = root_and_gradient_at_mean(truth);
    const std::size_t n = coordinates_.size();
    direction_.resize(n);
    double variance = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        direction_[i] = gradient_[i] * model_.auxiliary_deviation(truth, coordinates_[i]);
        variance += direction_[i] * direction_[i];
    }
    RootDistribution result{at_mean, std::sqrt(variance), {}};
    if (probability < straight_below || variance == 0.0)
        return result;
    for (double &component : direction_)
        component /= result.width;
    if (n == 1) {
        result.lines.push_back(line(truth, 1.0, nullptr, 0.0, at_mean));
        return result;
    }
    // Across the gradient a rule of degree 3, as in PassProbability: the root is bent there.
    set_basis_across(direction_, basis_);
    const double m = static_cast<double>(n - 1);
    for (std::size_t k = 0; k + 1 < n; ++k)
        for (double sign : {-1.0, 1.0})
            result.lines.push_back(line(truth, 0.5 / m, &basis_[k * n], sign * std::sqrt(m), at_mean));
    return result;
}

// Along the direction, through the mean or, with `across`, aside of it.
RootLine RootSurvey::line(const Truth &truth, double weight, const double *across, double length,
                          double root_at_mean) {
    RootLine line{weight, {}};
    for (std::size_t k = 0; k < deviates.size(); ++k) {
        for (std::size_t i = 0; i < coordinates_.size(); ++i) {
            const Coordinate &c = coordinates_[i];
            const double deviate = deviates[k] * direction_[i] + (across ? length * across[i] : 0.0);
            experiment_.auxiliary(c) =
                std::max(model_.auxiliary_mean(truth, c) + deviate * model_.auxiliary_deviation(truth, c),
                         model_.is_count(c) ? 0.0 : -infinity);
        }
        line.roots[k] = deviates[k] == 0.0 && !across ? root_at_mean : root();
        if (k > 0) // up to the precision of the fits
            line.roots[k] = std::max(line.roots[k], line.roots[k - 1]);
    }
    return line;
}

std::vector<Contribution> contributions_of_truths(const Model &model, double mu) {
    const Truths truths{conditional_truth(model, mu), conditional_truth(model, 0.0)};
    Fitter experiment(model);
    RootSurvey survey(model, mu, experiment);
    std::vector<Contribution> contributions;
    const auto matters = [](const RootDistribution &root) {
        return root.mean + 5.0 * root.width > least_root;
    };
    for_each_counts(model, truths, {}, experiment.outcome.counts, [&](const CountsProbability &counts) {
        const Contribution contribution = survey.at_counts(truths, counts);
        if (!matters(contribution.root_with) && !matters(contribution.root_without))
            return false;
        contributions.push_back(contribution);
        return true;
    });
    return contributions;
}

std::vector<Contribution> contributions_of_priors(const Model &model, double mu) {
    Fitter experiment(model);
    std::vector<Contribution> contributions;
    for_each_counts_hybrid(model, model.priors, mu, {}, experiment.outcome.counts,
                           [&](const std::vector<double> &with, double without) {
                               const double root = std::sqrt(experiment.statistic(mu));
                               if (root < least_root)
                                   return false;
                               double sum = 0.0;
                               for (std::size_t k = 0; k < with.size(); ++k)
                                   sum += model.priors.signal.weights[k] * with[k];
                               contributions.push_back({sum, without, {root, 0.0}, {root, 0.0}});
                               return true;
                           });
    return contributions;
}

// The probability, without signal, of data that exclude mu: of q at least as large as the least one with
// CLs <= alpha.
double excluded_fraction(const Model &model, double mu, double alpha, Criterion criterion) {
    const std::vector<Contribution> contributions = model.treatment == Treatment::hybrid
                                                        ? contributions_of_priors(model, mu)
                                                        : contributions_of_truths(model, mu);
    double largest = least_root;
    for (const Contribution &c : contributions)
        largest = std::max({largest, c.root_with.mean + 6.0 * c.root_with.width,
                            c.root_without.mean + 6.0 * c.root_without.width});
    double without = 0.0; // the tail without signal, of the root asked last
    const auto excludes = [&](double root) {
        const double threshold = below_ties(root);
        double with = 0.0;
        without = 0.0;
        for (const Contribution &c : contributions) {
            with += c.with * c.root_with.tail(threshold);
            without += c.without * c.root_without.tail(threshold);
        }
        return with <= (criterion == Criterion::cls ? alpha * without : alpha);
    };
    double low = least_root, high = largest, fraction = 0.0;
    if (excludes(low))
        return without;
    // From below: in the far tail, known to no few per cent, CLs may rise again.
    for (const double step = (largest - least_root) / 64.0; low < largest; low += step)
        if (excludes(low + step)) {
            high = low + step;
            fraction = without;
            break;
        }
    while (high - low > 1e-6 * high) {
        const double middle = 0.5 * (low + high);
        if (excludes(middle)) {
            high = middle;
            fraction = without;
        } else {
            low = middle;
        }
    }
    return fraction;
}

} // namespace

ExpectedLimits expected_limits(const Model &model, double cl, Criterion criterion) {
    check_level(cl);
    std::array<double, 5> limits{};
    std::vector<std::pair<double, double>> known; // mu, fraction of experiments that exclude it
    const double most = largest_limit(model);
    for (int sigma = -2; sigma <= 2; ++sigma) {
        const double target = standard_normal_cdf(sigma);
        const auto excess = [&](double mu) {
            for (const auto &entry : known)
                if (entry.first == mu)
                    return target - entry.second;
            known.emplace_back(mu, excluded_fraction(model, mu, 1.0 - cl, criterion));
            return target - known.back().second;
        };
        double start = -std::log1p(-cl);
        for (const auto &entry : known)
            if (std::abs(entry.second - target) < 0.3 && entry.first < most)
                start = entry.first;
        const auto i = static_cast<std::size_t>(sigma + 2);
        limits[i] = falling_root(excess, start, 5e-5, most);
        // On one step of the discrete counts several quantiles have one limit, up to the tolerance.
        if (i > 0)
            limits[i] = std::max(limits[i], limits[i - 1]);
    }
    return {limits[0], limits[1], limits[2], limits[3], limits[4]};
}

} // namespace na64root::counting
