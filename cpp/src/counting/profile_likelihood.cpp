#include "na64root/profile_likelihood.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace na64root {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

bool ProfileLikelihood::Factor::operator==(const Factor &other) const {
    return shape == other.shape && parameter == other.parameter && slope == other.slope &&
           offset == other.offset && join == other.join && down == other.down;
}

double ProfileLikelihood::Factor::value(double x) const {
    if (shape == Shape::power)
        return std::exp(slope * x);
    return std::max(0.0, shape == Shape::linear ? offset + slope * x : joined(x).value);
}

ProfileLikelihood::Factor::Derivatives ProfileLikelihood::Factor::derivatives(double x) const {
    if (shape == Shape::power) {
        const double power = std::exp(slope * x);
        return {power, slope * power, slope * slope * power};
    }
    if (shape == Shape::linear)
        return {std::max(0.0, offset + slope * x), slope, 0.0};
    Derivatives found = joined(x);
    found.value = std::max(0.0, found.value);
    return found;
}

ProfileLikelihood::Factor::Derivatives ProfileLikelihood::Factor::joined(double x) const {
    const auto exponential = [](double h, double first, double second) {
        const double value = std::exp(h);
        return Derivatives{value, value * first, value * (first * first + second)};
    };
    if (std::abs(x) >= reach()) {
        const double side = x > 0.0 ? slope : down;
        if (join == Join::linear)
            return {1.0 + side * x, side, 0.0};
        return exponential(side * x, side, 0.0);
    }
    double value = 0.0, first = 0.0, second = 0.0; // Horner's scheme
    for (std::size_t k = inside.size(); k-- > 0;) {
        second = second * x + 2.0 * first;
        first = first * x + value;
        value = value * x + inside[k];
    }
    // The polynomial is x times what was summed.
    second = second * x + 2.0 * first;
    first = first * x + value;
    value *= x;
    if (join == Join::logarithm)
        return exponential(value, first, second);
    return {1.0 + value, first, second};
}

double ProfileLikelihood::yield(const std::vector<Yield> &processes, const double *parameters) {
    double sum = 0.0;
    for (const Yield &y : processes) {
        double product = y.constant;
        for (const Factor &f : y.factors)
            product *= f.value(parameters[f.parameter]);
        sum += product;
    }
    return sum;
}

// Newton's method in all parameters together, projected onto their ranges: those that rest at an end with the
// slope pointing outwards are left out of a step (Bertsekas, SIAM J. Control Optim. 20, 221 (1982)). Variable
// 0 is mu, or nothing where mu is given.
class ProfileLikelihood::Minimiser {
  public:
    Minimiser(const ProfileLikelihood &likelihood, const std::vector<Bin> &bins,
              const std::vector<double> &counts, const std::vector<double> &auxiliaries)
        : likelihood_(likelihood), bins_(bins), parameters_(likelihood.parameters_), counts_(counts),
          auxiliaries_(auxiliaries), size_(likelihood.parameters_.size() + 1), x_(size_), next_(size_),
          slope_(size_), step_(size_), hessian_(size_ * size_), fisher_(size_ * size_), work_(size_ * size_),
          of_signal_(size_), rate_slope_(size_), resting_(size_), held_(size_) {
        if (counts.size() != bins_.size() || auxiliaries.size() != parameters_.size())
            throw std::invalid_argument("counts and auxiliary measurements must be as many as the model has");
    }

    // Where the signal is free, a factor common to all of it is as measured, since the signal makes up for
    // it: it is fitted without that factor. Along the valley of both the likelihood is flat, perhaps without
    // end.
    Fit fit(double mu, bool fixed) {
        fixed_ = fixed;
        held_[0] = fixed;
        for (std::size_t k = 1; k < size_; ++k)
            held_[k] = !fixed && likelihood_.common_[k - 1];
        start(mu);
        double value = evaluate(x_);
        bool converged = false;
        for (int attempt = 0; attempt < 200 && !converged && std::isfinite(value); ++attempt) {
            if (!fixed && x_[0] > 0.0 && rises_from_no_signal()) {
                x_[0] = 0.0;
                value = evaluate(x_);
            }
            derivatives();
            const double gain = newton_step(); // of -ln L, to first order
            if (gain < 1e-13 * (1.0 + std::abs(value))) {
                converged = true;
                break;
            }
            double length = 1.0, next = infinity;
            while (length > 1e-10) {
                double expected = 0.0; // change to first order
                for (std::size_t k = 0; k < size_; ++k) {
                    next_[k] = std::clamp(x_[k] + length * step_[k], lowest(k), highest(k));
                    expected += slope_[k] * (next_[k] - x_[k]);
                }
                next = evaluate(next_);
                if (next <= value + 1e-4 * expected)
                    break;
                length *= 0.5;
            }
            if (!(next <= value)) { // rounding: nothing lower is found
                converged = gain < 1e-7 * (1.0 + std::abs(value));
                break;
            }
            // A step that gains nothing that rounding would show ends the search too.
            converged = length == 1.0 && gain < 1e-10 && value - next < 1e-14 * (1.0 + std::abs(value));
            x_.swap(next_);
            value = next;
        }
        double signal = x_[0];
        for (const Factor &f : likelihood_.common_factors_)
            if (!fixed && signal > 0.0)
                signal /= f.value(x_[f.parameter + 1]);
        return {value, signal, {x_.begin() + 1, x_.end()}, converged};
    }

  private:
    double lowest(std::size_t k) const { return k == 0 ? (fixed_ ? x_[0] : 0.0) : parameters_[k - 1].lowest; }
    double highest(std::size_t k) const {
        return k == 0 ? (fixed_ ? x_[0] : infinity) : parameters_[k - 1].highest;
    }

    // At the auxiliary measurements, with the signal that makes up the counts.
    void start(double mu) {
        for (std::size_t k = 1; k < size_; ++k) {
            const Parameter &parameter = parameters_[k - 1];
            const double measured =
                parameter.count > 0.0 ? auxiliaries_[k - 1] / parameter.count : auxiliaries_[k - 1];
            // A little inside, where no logarithm has a pole.
            const double inside = parameter.highest - parameter.lowest;
            const double margin = held_[k] ? 0.0 : std::isfinite(inside) ? 1e-3 * inside : 1e-3;
            x_[k] = std::clamp(measured, parameter.lowest + margin, parameter.highest - margin);
        }
        x_[0] = mu;
        if (!fixed_) {
            double seen = 0.0, signal = 0.0, background = 0.0;
            for (std::size_t i = 0; i < bins_.size(); ++i) {
                seen += counts_[i];
                signal += yield(bins_[i].signals, x_.data() + 1);
                background += yield(bins_[i].backgrounds, x_.data() + 1);
            }
            x_[0] = signal > 0.0 ? std::max(seen - background, 0.1 * seen + 1e-3) / signal : 0.0;
        }
    }

    double evaluate(const std::vector<double> &x) const {
        double value = 0.0;
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const double rate =
                x[0] * yield(bins_[i].signals, x.data() + 1) + yield(bins_[i].backgrounds, x.data() + 1);
            value += rate;
            if (counts_[i] > 0.0) {
                if (!(rate > 0.0))
                    return infinity;
                value -= counts_[i] * std::log(rate);
            }
        }
        for (std::size_t k = 1; k < size_; ++k) {
            const double a = auxiliaries_[k - 1], count = parameters_[k - 1].count;
            if (count > 0.0) {
                if (a > 0.0 && !(x[k] > 0.0))
                    return infinity;
                value += count * x[k] - (a > 0.0 ? a * std::log(x[k]) : 0.0);
            } else {
                value += 0.5 * (x[k] - a) * (x[k] - a);
            }
        }
        return value;
    }

    // Whether -ln L rises in the signal from zero on, the other parameters where they are: it is convex in
    // it.
    bool rises_from_no_signal() const {
        double slope = 0.0;
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const double signal = yield(bins_[i].signals, x_.data() + 1);
            const double background = yield(bins_[i].backgrounds, x_.data() + 1);
            slope += signal;
            if (counts_[i] > 0.0 && signal > 0.0)
                slope -= signal * counts_[i] / background; // -infinity without background
        }
        return slope >= 0.0;
    }

    // Adds the slopes of the yield of processes in its parameters, and its second derivatives times `curving`
    // to the Hessian.
    double add_yield(const std::vector<Yield> &processes, double curving, std::vector<double> &slopes) {
        double sum = 0.0;
        for (const Yield &y : processes) {
            const std::size_t number = y.factors.size();
            factors_.resize(number);
            double product = y.constant;
            for (std::size_t a = 0; a < number; ++a) {
                factors_[a] = y.factors[a].derivatives(x_[y.factors[a].parameter + 1]);
                product *= factors_[a].value;
            }
            sum += product;
            for (std::size_t a = 0; a < number; ++a) {
                const std::size_t ka = y.factors[a].parameter + 1;
                const double rest = without(y, a, a);
                slopes[ka] += rest * factors_[a].first;
                hessian_[ka * size_ + ka] += curving * rest * factors_[a].second;
                for (std::size_t b = 0; b < number; ++b)
                    if (a != b)
                        hessian_[ka * size_ + y.factors[b].parameter + 1] +=
                            curving * without(y, a, b) * factors_[a].first * factors_[b].first;
            }
        }
        return sum;
    }
    double without(const Yield &y, std::size_t a, std::size_t b) const {
        double product = y.constant;
        for (std::size_t c = 0; c < factors_.size(); ++c)
            if (c != a && c != b)
                product *= factors_[c].value;
        return product;
    }

    void derivatives() {
        std::fill(slope_.begin(), slope_.end(), 0.0);
        std::fill(hessian_.begin(), hessian_.end(), 0.0);
        std::fill(fisher_.begin(), fisher_.end(), 0.0);
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const Bin &bin = bins_[i];
            const double rate = x_[0] * yield(bin.signals, x_.data() + 1) +
                                yield(bin.backgrounds, x_.data() + 1),
                         n = counts_[i];
            const double excess = n > 0.0 ? 1.0 - n / rate : 1.0;
            // Only mu and the parameters that the bin follows matter.
            followed_.assign(1, 0);
            for (const auto *processes : {&bin.signals, &bin.backgrounds})
                for (const Yield &y : *processes)
                    for (const Factor &f : y.factors)
                        if (std::find(followed_.begin(), followed_.end(), f.parameter + 1) == followed_.end())
                            followed_.push_back(f.parameter + 1);
            for (const std::size_t k : followed_)
                of_signal_[k] = rate_slope_[k] = 0.0;
            const double signal = add_yield(bin.signals, excess * x_[0], of_signal_);
            add_yield(bin.backgrounds, excess, rate_slope_);
            for (const std::size_t k : followed_) {
                rate_slope_[k] += x_[0] * of_signal_[k];
                hessian_[k] += excess * of_signal_[k];
                hessian_[k * size_] += excess * of_signal_[k];
            }
            rate_slope_[0] = signal;
            const double bend = n > 0.0 ? n / (rate * rate) : 0.0;
            for (const std::size_t k : followed_) {
                slope_[k] += excess * rate_slope_[k];
                for (const std::size_t l : followed_)
                    fisher_[k * size_ + l] += bend * rate_slope_[k] * rate_slope_[l];
            }
        }
        for (std::size_t k = 1; k < size_; ++k) {
            const double a = auxiliaries_[k - 1], count = parameters_[k - 1].count;
            slope_[k] += count > 0.0 ? count - (a > 0.0 ? a / x_[k] : 0.0) : x_[k] - a;
            fisher_[k * size_ + k] += count == 0.0 ? 1.0 : a > 0.0 ? a / (x_[k] * x_[k]) : 0.0;
        }
        for (std::size_t k = 0; k < size_ * size_; ++k)
            hessian_[k] += fisher_[k];
    }

    // Fills the step; returns half of what it gains, to second order.
    double newton_step() {
        for (std::size_t k = 0; k < size_; ++k)
            resting_[k] = held_[k] || (x_[k] <= lowest(k) && slope_[k] > 0.0) ||
                          (x_[k] >= highest(k) && slope_[k] < 0.0);
        if (!solve(hessian_, 0.0)) {
            double largest = 0.0;
            for (std::size_t k = 0; k < size_; ++k)
                largest = resting_[k] ? largest : std::max(largest, fisher_[k * size_ + k]);
            double ridge = 1e-9 * (1.0 + largest);
            while (!solve(fisher_, ridge) && ridge < 1e12)
                ridge *= 10.0;
        }
        double gain = 0.0;
        for (std::size_t k = 0; k < size_; ++k)
            gain -= 0.5 * slope_[k] * step_[k];
        return gain;
    }

    // step = -matrix^-1 slope among those that do not rest, by Cholesky; false where it is not positive.
    bool solve(const std::vector<double> &matrix, double ridge) {
        work_ = matrix;
        for (std::size_t k = 0; k < size_; ++k) {
            step_[k] = resting_[k] ? 0.0 : -slope_[k];
            if (resting_[k]) {
                for (std::size_t l = 0; l < size_; ++l)
                    work_[k * size_ + l] = work_[l * size_ + k] = 0.0;
                work_[k * size_ + k] = 1.0;
            } else {
                work_[k * size_ + k] += ridge;
            }
        }
        for (std::size_t k = 0; k < size_; ++k) {
            for (std::size_t l = 0; l <= k; ++l) {
                double sum = work_[k * size_ + l];
                for (std::size_t m = 0; m < l; ++m)
                    sum -= work_[k * size_ + m] * work_[l * size_ + m];
                if (k == l) {
                    // What rests has a one here, whatever the slopes of a bin without background say.
                    const double diagonal = resting_[k] ? 1.0 : std::abs(matrix[k * size_ + k]);
                    if (!(sum > 1e-14 * diagonal) || !(sum > 0.0))
                        return false;
                    work_[k * size_ + k] = std::sqrt(sum);
                } else {
                    work_[k * size_ + l] = sum / work_[l * size_ + l];
                }
            }
        }
        for (std::size_t k = 0; k < size_; ++k) {
            for (std::size_t m = 0; m < k; ++m)
                step_[k] -= work_[k * size_ + m] * step_[m];
            step_[k] /= work_[k * size_ + k];
        }
        for (std::size_t k = size_; k-- > 0;) {
            for (std::size_t m = k + 1; m < size_; ++m)
                step_[k] -= work_[m * size_ + k] * step_[m];
            step_[k] /= work_[k * size_ + k];
        }
        return true;
    }

    const ProfileLikelihood &likelihood_;
    const std::vector<Bin> &bins_;
    const std::vector<Parameter> &parameters_;
    const std::vector<double> &counts_, &auxiliaries_;
    std::size_t size_;
    bool fixed_ = false;
    std::vector<double> x_, next_, slope_, step_, hessian_, fisher_, work_, of_signal_, rate_slope_;
    std::vector<char> resting_, held_;
    std::vector<std::size_t> followed_;
    std::vector<Factor::Derivatives> factors_; // of one process
};

void ProfileLikelihood::add_parameter(double lowest, double highest, double count) {
    if (!(lowest < highest) || !(count >= 0.0))
        throw std::domain_error("a nuisance parameter needs a range, and an auxiliary count >= 0");
    parameters_.push_back({lowest, highest, count});
    common_.push_back(0);
}

namespace {

void require_yield(double constant) {
    if (!(constant >= 0.0) || !std::isfinite(constant))
        throw std::domain_error("a yield must be a finite number >= 0");
}

} // namespace

void ProfileLikelihood::add_bin(double signal, double background) {
    require_yield(signal);
    require_yield(background);
    bins_.push_back({{{signal, {}}}, {{background, {}}}});
    find_common_factors();
}

void ProfileLikelihood::add_process(bool of_signal, double constant) {
    require_yield(constant);
    if (bins_.empty())
        throw std::domain_error("a process needs a bin");
    (of_signal ? bins_.back().signals : bins_.back().backgrounds).push_back({constant, {}});
    find_common_factors();
}

void ProfileLikelihood::add_power(bool of_signal, std::size_t parameter, double slope) {
    add_factor(of_signal, {Factor::Shape::power, parameter, slope, 0.0, {}, 0.0, {}});
}

void ProfileLikelihood::add_linear(bool of_signal, std::size_t parameter, double slope, double offset) {
    add_factor(of_signal, {Factor::Shape::linear, parameter, slope, offset, {}, 0.0, {}});
}

void ProfileLikelihood::add_joined(bool of_signal, std::size_t parameter, Join join, double up, double down) {
    const double reach = join == Join::logarithm ? 0.5 : 1.0;
    // Value, slope and curvature at both ends, as if these were at -1 and 1, of even and odd part.
    const auto end = [&](double slope, double x) -> std::array<double, 3> {
        if (join == Join::power) {
            const double value = std::exp(slope * x);
            return {value - 1.0, slope * value, slope * slope * value};
        }
        return {slope * x * reach, slope * reach, 0.0};
    };
    const auto [right, right_slope, right_curvature] = end(up, 1.0);
    const auto [left, left_slope, left_curvature] = end(down, -1.0);
    const double even = 0.5 * (right + left), odd = 0.5 * (right - left);
    const double even_slope = 0.5 * (right_slope - left_slope), odd_slope = 0.5 * (right_slope + left_slope);
    const double even_curvature = 0.5 * (right_curvature + left_curvature),
                 odd_curvature = 0.5 * (right_curvature - left_curvature);
    std::array<double, 6> inside{};
    inside[5] = (even_curvature - 2.0 * even - 5.0 * (even_slope - 2.0 * even)) / 8.0;
    inside[3] = 0.5 * (even_slope - 2.0 * even) - 2.0 * inside[5];
    inside[1] = even - inside[3] - inside[5];
    inside[4] = (odd_curvature - 3.0 * (odd_slope - odd)) / 8.0;
    inside[2] = 0.5 * (odd_slope - odd) - 2.0 * inside[4];
    inside[0] = odd - inside[2] - inside[4];
    double power = 1.0;
    for (double &coefficient : inside)
        coefficient /= power *= reach;
    if (!std::isfinite(down))
        throw std::domain_error("a yield follows a parameter that is not there, or by no number");
    add_factor(of_signal, {Factor::Shape::joined, parameter, up, 0.0, join, down, inside});
}

void ProfileLikelihood::add_factor(bool of_signal, const Factor &factor) {
    if (bins_.empty() || factor.parameter >= parameters_.size() || !std::isfinite(factor.slope) ||
        !std::isfinite(factor.offset))
        throw std::domain_error("a yield follows a parameter that is not there, or by no number");
    (of_signal ? bins_.back().signals : bins_.back().backgrounds).back().factors.push_back(factor);
    find_common_factors();
}

void ProfileLikelihood::find_common_factors() {
    free_bins_ = bins_;
    common_factors_.clear();
    common_.assign(parameters_.size(), 0);
    for (std::size_t k = 0; k < parameters_.size(); ++k) {
        if (!scales_all_signal(k))
            continue;
        common_[k] = 1;
        const auto follows = [&](const Factor &f) { return f.parameter == k; };
        for (Bin &bin : free_bins_)
            for (Yield &signal : bin.signals) {
                auto &factors = signal.factors;
                const auto found = std::find_if(factors.begin(), factors.end(), follows);
                if (found == factors.end())
                    continue;
                if (common_factors_.empty() || common_factors_.back().parameter != k)
                    common_factors_.push_back(*found);
                factors.erase(found);
            }
    }
}

// Whether a parameter is a factor of the signal of each bin that has any, the same, and of nothing else.
bool ProfileLikelihood::scales_all_signal(std::size_t parameter) const {
    const auto follows = [&](const Factor &f) { return f.parameter == parameter; };
    const Factor *first = nullptr;
    for (const Bin &bin : bins_) {
        for (const Yield &background : bin.backgrounds)
            if (std::any_of(background.factors.begin(), background.factors.end(), follows))
                return false;
        for (const Yield &signal : bin.signals) {
            if (signal.constant == 0.0)
                continue;
            const auto &factors = signal.factors;
            const auto found = std::find_if(factors.begin(), factors.end(), follows);
            if (found == factors.end() || (first != nullptr && !(*found == *first)))
                return false;
            first = &*found;
        }
    }
    return first != nullptr;
}

double ProfileLikelihood::rate(std::size_t bin, double mu, const std::vector<double> &parameters) const {
    const Bin &of = bins_.at(bin);
    return mu * yield(of.signals, parameters.data()) + yield(of.backgrounds, parameters.data());
}

ProfileLikelihood::Fit ProfileLikelihood::conditional(double mu, const std::vector<double> &counts,
                                                      const std::vector<double> &auxiliaries) const {
    return Minimiser(*this, bins_, counts, auxiliaries).fit(mu, true);
}

ProfileLikelihood::Fit ProfileLikelihood::free(const std::vector<double> &counts,
                                               const std::vector<double> &auxiliaries) const {
    return Minimiser(*this, free_bins_, counts, auxiliaries).fit(0.0, false);
}

double ProfileLikelihood::ratio(double mu, const std::vector<double> &counts,
                                const std::vector<double> &auxiliaries, bool one_sided) const {
    const Fit at = conditional(mu, counts, auxiliaries), best = free(counts, auxiliaries);
    if (!at.converged || !best.converged)
        return std::numeric_limits<double>::quiet_NaN();
    if (one_sided && best.mu > mu)
        return 0.0;
    return std::max(0.0, at.value - best.value);
}

} // namespace na64root
