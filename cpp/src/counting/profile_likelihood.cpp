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

// Newton's method in all parameters together, projected onto their ranges: those that rest at an end with the
// slope pointing outwards are left out of a step (Bertsekas, SIAM J. Control Optim. 20, 221 (1982)). Variable
// 0 is mu, or nothing where mu is given.
class ProfileLikelihood::Minimiser {
  public:
    Minimiser(const ProfileLikelihood &likelihood, const std::vector<double> &counts,
              const std::vector<double> &auxiliaries)
        : bins_(likelihood.bins_), parameters_(likelihood.parameters_), counts_(counts),
          auxiliaries_(auxiliaries), size_(likelihood.parameters_.size() + 1), x_(size_), next_(size_),
          slope_(size_), step_(size_), hessian_(size_ * size_), fisher_(size_ * size_), work_(size_ * size_),
          of_signal_(size_), rate_slope_(size_), resting_(size_) {
        if (counts.size() != bins_.size() || auxiliaries.size() != parameters_.size())
            throw std::invalid_argument("counts and auxiliary measurements must be as many as the model has");
    }

    Fit fit(double mu, bool fixed) {
        fixed_ = fixed;
        start(mu);
        double value = evaluate(x_);
        bool converged = false;
        for (int attempt = 0; attempt < 200 && !converged && std::isfinite(value); ++attempt) {
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
        return {value, x_[0], {x_.begin() + 1, x_.end()}, converged};
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
            const double margin = std::isfinite(inside) ? 1e-3 * inside : 1e-3;
            x_[k] = std::clamp(measured, parameter.lowest + margin, parameter.highest - margin);
        }
        x_[0] = mu;
        if (!fixed_) {
            double seen = 0.0, signal = 0.0, background = 0.0;
            for (std::size_t i = 0; i < bins_.size(); ++i) {
                seen += counts_[i];
                signal += yield(bins_[i].signal, x_);
                background += yield(bins_[i].background, x_);
            }
            x_[0] = signal > 0.0 ? std::max(seen - background, 0.1 * seen + 1e-3) / signal : 0.0;
        }
    }

    static double factor(const Factor &f, double x) {
        return f.power ? std::exp(f.slope * x) : std::max(0.0, f.offset + f.slope * x);
    }
    static double yield(const Yield &y, const std::vector<double> &x) {
        double product = y.constant;
        for (const Factor &f : y.factors)
            product *= factor(f, x[f.parameter + 1]);
        return product;
    }

    double evaluate(const std::vector<double> &x) const {
        double value = 0.0;
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const double rate = x[0] * yield(bins_[i].signal, x) + yield(bins_[i].background, x);
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

    // Adds the slopes of a yield in its parameters, and its second derivatives times `curving` to the
    // Hessian.
    double add_yield(const Yield &y, double curving, std::vector<double> &slopes) {
        const double value = yield(y, x_);
        for (std::size_t a = 0; a < y.factors.size(); ++a) {
            const double first = without(y, a, a) * slope_of(y.factors[a]);
            const std::size_t ka = y.factors[a].parameter + 1;
            slopes[ka] += first;
            for (std::size_t b = 0; b < y.factors.size(); ++b) {
                const std::size_t kb = y.factors[b].parameter + 1;
                const double second = a != b
                                          ? without(y, a, b) * slope_of(y.factors[a]) * slope_of(y.factors[b])
                                      : y.factors[a].power ? value * y.factors[a].slope * y.factors[a].slope
                                                           : 0.0;
                hessian_[ka * size_ + kb] += curving * second;
            }
        }
        return value;
    }
    double slope_of(const Factor &f) const {
        return f.power ? f.slope * factor(f, x_[f.parameter + 1]) : f.slope;
    }
    double without(const Yield &y, std::size_t a, std::size_t b) const {
        double product = y.constant;
        for (std::size_t c = 0; c < y.factors.size(); ++c)
            if (c != a && c != b)
                product *= factor(y.factors[c], x_[y.factors[c].parameter + 1]);
        return product;
    }

    void derivatives() {
        std::fill(slope_.begin(), slope_.end(), 0.0);
        std::fill(hessian_.begin(), hessian_.end(), 0.0);
        std::fill(fisher_.begin(), fisher_.end(), 0.0);
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            const Bin &bin = bins_[i];
            const double rate = x_[0] * yield(bin.signal, x_) + yield(bin.background, x_), n = counts_[i];
            const double excess = n > 0.0 ? 1.0 - n / rate : 1.0;
            std::fill(of_signal_.begin(), of_signal_.end(), 0.0);
            std::fill(rate_slope_.begin(), rate_slope_.end(), 0.0);
            const double signal = add_yield(bin.signal, excess * x_[0], of_signal_);
            add_yield(bin.background, excess, rate_slope_);
            for (std::size_t k = 1; k < size_; ++k) {
                rate_slope_[k] += x_[0] * of_signal_[k];
                hessian_[k] += excess * of_signal_[k];
                hessian_[k * size_] += excess * of_signal_[k];
            }
            rate_slope_[0] = signal;
            const double bend = n > 0.0 ? n / (rate * rate) : 0.0;
            for (std::size_t k = 0; k < size_; ++k) {
                slope_[k] += excess * rate_slope_[k];
                for (std::size_t l = 0; l < size_; ++l)
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
            resting_[k] = (k == 0 && fixed_) || (x_[k] <= lowest(k) && slope_[k] > 0.0) ||
                          (x_[k] >= highest(k) && slope_[k] < 0.0);
        if (!solve(hessian_, 0.0)) {
            double largest = 0.0;
            for (std::size_t k = 0; k < size_; ++k)
                largest = std::max(largest, fisher_[k * size_ + k]);
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
                    if (!(sum > 1e-14 * std::abs(matrix[k * size_ + k])) || !(sum > 0.0))
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

    const std::vector<Bin> &bins_;
    const std::vector<Parameter> &parameters_;
    const std::vector<double> &counts_, &auxiliaries_;
    std::size_t size_;
    bool fixed_ = false;
    std::vector<double> x_, next_, slope_, step_, hessian_, fisher_, work_, of_signal_, rate_slope_;
    std::vector<char> resting_;
};

void ProfileLikelihood::add_parameter(double lowest, double highest, double count) {
    if (!(lowest < highest) || !(count >= 0.0))
        throw std::domain_error("a nuisance parameter needs a range, and an auxiliary count >= 0");
    parameters_.push_back({lowest, highest, count});
}

void ProfileLikelihood::add_bin(double signal, double background) {
    for (const double constant : {signal, background})
        if (!(constant >= 0.0) || !std::isfinite(constant))
            throw std::domain_error("a yield must be a finite number >= 0");
    bins_.push_back({{signal, {}}, {background, {}}});
}

void ProfileLikelihood::add_power(Part part, std::size_t parameter, double slope) {
    add_factor(part, {true, parameter, slope, 0.0});
}

void ProfileLikelihood::add_linear(Part part, std::size_t parameter, double slope, double offset) {
    add_factor(part, {false, parameter, slope, offset});
}

void ProfileLikelihood::add_factor(Part part, const Factor &factor) {
    if (bins_.empty() || factor.parameter >= parameters_.size() || !std::isfinite(factor.slope) ||
        !std::isfinite(factor.offset))
        throw std::domain_error("a yield follows a parameter that is not there, or by no number");
    (part == Part::signal ? bins_.back().signal : bins_.back().background).factors.push_back(factor);
}

ProfileLikelihood::Fit ProfileLikelihood::conditional(double mu, const std::vector<double> &counts,
                                                      const std::vector<double> &auxiliaries) const {
    return Minimiser(*this, counts, auxiliaries).fit(mu, true);
}

ProfileLikelihood::Fit ProfileLikelihood::free(const std::vector<double> &counts,
                                               const std::vector<double> &auxiliaries) const {
    return Minimiser(*this, counts, auxiliaries).fit(0.0, false);
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
