#include "counting/pass_probability.hpp"

#include <initializer_list>
#include <utility>

#include "counting/probabilities.hpp"

namespace na64root::counting {

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

namespace {

// The surface q = threshold in the space of the auxiliary measurements around a truth. q rises with each of
// them. The surface is found along the direction of steepest ascent, from points across it: there it is
// nearly flat, and a rule of low degree for those points is enough.
class Surface {
  public:
    Surface(const Model &model, const Test &test, Fitter &experiment,
            const std::vector<Coordinate> &coordinates, const Truth &truth)
        : test_(test), experiment_(experiment), coordinates_(coordinates), n_(coordinates.size()),
          target_(std::sqrt(test.threshold)), mean_(n_), point_(n_), gradient_(n_),
          direction_(n_, 1.0 / std::sqrt(static_cast<double>(n_))), across_(n_, 0.0) {
        for (std::size_t i = 0; i < n_; ++i)
            mean_[i] = model.auxiliary_mean(truth, coordinates[i]);
    }

    // 0 or 1 where q is certainly below the threshold, or certainly not: beyond the range in all coordinates.
    std::optional<double> certain() {
        if (root_shifted(0.0) < target_)
            return root_shifted(auxiliary_range) < target_ ? std::optional(0.0) : std::nullopt;
        return root_shifted(-auxiliary_range) >= target_ ? std::optional(1.0) : std::nullopt;
    }

    void find_direction();

    // P(q >= threshold) by a rule of degree 3 across the direction or, fine, 5.
    double probability(std::vector<double> &basis);

  private:
    using Offsets = std::initializer_list<std::pair<std::size_t, double>>; // vector of the basis, length

    double root_at_point() {
        for (std::size_t i = 0; i < n_; ++i)
            experiment_.auxiliary(coordinates_[i]) = point_[i];
        return experiment_.root_of_statistic(test_.mu, coordinates_, gradient_, 0.0);
    }
    double root_shifted(double shift) {
        for (std::size_t i = 0; i < n_; ++i)
            point_[i] = mean_[i] + shift;
        return root_at_point();
    }
    double crossing();
    // Of what lies beyond the surface on the line through the sum of the offsets.
    double probability_at(const std::vector<double> &basis, Offsets offsets);
    double axes_only(const std::vector<double> &basis);
    double axes_and_planes(const std::vector<double> &basis);

    const Test &test_;
    Fitter &experiment_;
    const std::vector<Coordinate> &coordinates_;
    std::size_t n_;
    double target_;
    std::vector<double> mean_, point_, gradient_, direction_, across_;
    double distance_ = 0.0; // of the surface from the mean, along the direction
};

// The direction of the nearest point of the surface to the mean (Hasofer and Lind, J. Eng. Mech. 100, 111
// (1974)); only the direction matters, so a few steps do. Where q vanishes around the mean, start from the
// equal direction.
void Surface::find_direction() {
    for (int step = 0; step < 3;) {
        for (std::size_t i = 0; i < n_; ++i)
            point_[i] = mean_[i] + distance_ * direction_[i];
        const double root = root_at_point();
        double norm = 0.0, along = 0.0;
        for (std::size_t i = 0; i < n_; ++i) {
            norm += gradient_[i] * gradient_[i];
            along += gradient_[i] * (point_[i] - mean_[i]);
        }
        norm = std::sqrt(norm);
        if (root <= 0.0 || norm < 1e-9) {
            distance_ += 2.0;
            if (distance_ > 2.0 * auxiliary_range)
                return;
            continue;
        }
        for (std::size_t i = 0; i < n_; ++i)
            direction_[i] = gradient_[i] / norm;
        distance_ = std::clamp((along + target_ - root) / norm, -9.0, 9.0);
        ++step;
    }
}

// Where the surface lies on the line mean + across + distance direction, by Newton in a bracket, from where
// the last line met it.
double Surface::crossing() {
    double low = -infinity, high = infinity;
    for (int step = 0; step < 60; ++step) {
        for (std::size_t i = 0; i < n_; ++i)
            point_[i] = mean_[i] + across_[i] + distance_ * direction_[i];
        const double excess = root_at_point() - target_;
        double slope = 0.0;
        for (std::size_t i = 0; i < n_; ++i)
            slope += gradient_[i] * direction_[i];
        (excess < 0.0 ? low : high) = distance_;
        double next = excess > -target_ && slope > 1e-9 ? distance_ - excess / slope
                                                        : distance_ + (excess < 0.0 ? 1.0 : -1.0);
        next = std::clamp(next, distance_ - 3.0, distance_ + 3.0);
        if (std::abs(next - distance_) < 1e-3) // the Newton step leaves an error of its square
            return next;
        if (!(next > low && next < high))
            next = 0.5 * (std::max(low, -20.0) + std::min(high, 20.0));
        distance_ = next;
        if (distance_ > 10.0 || distance_ < -10.0)
            return distance_;
    }
    return distance_;
}

double Surface::probability_at(const std::vector<double> &basis, Offsets offsets) {
    across_.assign(n_, 0.0);
    for (const auto &[k, length] : offsets)
        for (std::size_t i = 0; i < n_; ++i)
            across_[i] += length * basis[k * n_ + i];
    return standard_normal_cdf(-crossing());
}

double Surface::probability(std::vector<double> &basis) {
    if (n_ == 1)
        return standard_normal_cdf(-crossing());
    set_basis_across(direction_, basis);
    const double sum = test_.accuracy == Accuracy::fine ? axes_and_planes(basis) : axes_only(basis);
    return std::clamp(sum, 0.0, 1.0);
}

// Of degree 3.
double Surface::axes_only(const std::vector<double> &basis) {
    const double m = static_cast<double>(n_ - 1), length = std::sqrt(m);
    double sum = 0.0;
    for (std::size_t k = 0; k + 1 < n_; ++k)
        for (double sign : {-1.0, 1.0})
            sum += 0.5 / m * probability_at(basis, {{k, sign * length}});
    return sum;
}

// Of degree 5: Smolyak's combination of three-point rules.
double Surface::axes_and_planes(const std::vector<double> &basis) {
    const double m = static_cast<double>(n_ - 1), length = std::sqrt(3.0);
    double sum = (1.0 + (m * m - 7.0 * m) / 18.0) * probability_at(basis, {});
    for (std::size_t k = 0; k + 1 < n_; ++k)
        for (double sign : {-1.0, 1.0}) {
            sum += (4.0 - m) / 18.0 * probability_at(basis, {{k, sign * length}});
            for (std::size_t l = k + 1; l + 1 < n_; ++l)
                for (double other : {-1.0, 1.0})
                    sum += 1.0 / 36.0 * probability_at(basis, {{k, sign * length}, {l, other * length}});
        }
    return sum;
}

} // namespace

double PassProbability::around(const Truth &truth) {
    if (test_.threshold <= 0.0)
        return 1.0;
    model_.find_coordinates(experiment_.outcome.counts, coordinates_);
    if (coordinates_.empty())
        return experiment_.statistic(test_.mu) >= test_.threshold ? 1.0 : 0.0;
    if (model_.gamma_backgrounds())
        return pass_probability_of_counts(model_, test_, experiment_, coordinates_, truth);
    Surface surface(model_, test_, experiment_, coordinates_, truth);
    if (const auto certain = surface.certain())
        return *certain;
    surface.find_direction();
    return surface.probability(basis_);
}

// ------------------------------------------------------------------------------------------ a plane for both

std::optional<PassProbability::Both> PassProbability::flat(const Truths &truths) {
    model_.find_coordinates(experiment_.outcome.counts, coordinates_);
    const std::size_t n = coordinates_.size();
    if (n == 0 || model_.gamma_backgrounds() || test_.threshold <= 0.0)
        return std::nullopt;
    point_.resize(n);
    gradient_.resize(n);
    // Counts with one more in a bin need more of the auxiliary measurements.
    Start start = afar_.size() == n ? Start::near_last : Start::at_mean;
    set_start(start, truths);
    Found found = approach(start);
    if (found == Found::vanishing) {
        // Where q vanishes nothing tells the way: come from far up, if q reaches the threshold there.
        start = Start::afar;
        set_start(start, truths);
        found = approach(start);
    }
    switch (found) {
    case Found::vanishing:
        return std::nullopt;
    case Found::all_below:
        return Both{0.0, 0.0};
    case Found::all_above:
        return Both{1.0, 1.0};
    case Found::surface:
        break;
    }
    if (start != Start::at_mean)
        afar_ = point_;
    return beyond_plane(truths);
}

void PassProbability::set_start(Start start, const Truths &truths) {
    if (start == Start::near_last) {
        point_ = afar_;
        return;
    }
    for (std::size_t i = 0; i < point_.size(); ++i) {
        point_[i] = model_.auxiliary_mean(truths.with_signal, coordinates_[i]);
        if (start == Start::afar)
            point_[i] = std::max(point_[i], model_.auxiliary_mean(truths.without_signal, coordinates_[i])) +
                        auxiliary_range;
    }
}

// Leaves the point near the surface, and the gradient there.
PassProbability::Found PassProbability::approach(Start start) {
    const double target = std::sqrt(test_.threshold);
    for (int step = 0; step < (start == Start::afar ? 3 : 2); ++step) {
        for (std::size_t i = 0; i < point_.size(); ++i)
            experiment_.auxiliary(coordinates_[i]) = point_[i];
        const double root = experiment_.root_of_statistic(test_.mu, coordinates_, gradient_, 0.0);
        slope2_ = 0.0;
        for (const double component : gradient_)
            slope2_ += component * component;
        if (root <= 0.0 || slope2_ < 1e-12)
            return Found::vanishing;
        const double change = (target - root) / slope2_;
        if (step == 0 && start == Start::afar && change > 0.0)
            return Found::all_below;
        if (step == 0 && start == Start::at_mean && std::abs(target - root) > 8.0 * std::sqrt(slope2_))
            return change > 0.0 ? Found::all_below : Found::all_above;
        for (std::size_t i = 0; i < point_.size(); ++i)
            point_[i] += change * gradient_[i];
    }
    return Found::surface;
}

PassProbability::Both PassProbability::beyond_plane(const Truths &truths) const {
    double to_with = 0.0, to_without = 0.0;
    for (std::size_t i = 0; i < point_.size(); ++i) {
        to_with += gradient_[i] * (point_[i] - model_.auxiliary_mean(truths.with_signal, coordinates_[i]));
        to_without +=
            gradient_[i] * (point_[i] - model_.auxiliary_mean(truths.without_signal, coordinates_[i]));
    }
    const double slope = std::sqrt(slope2_);
    const Both pass{standard_normal_cdf(-to_with / slope), standard_normal_cdf(-to_without / slope)};
    constexpr double outside = 3.4e-6; // auxiliary_range
    return pass.with < outside && pass.without < outside ? Both{0.0, 0.0} : pass;
}

} // namespace na64root::counting
