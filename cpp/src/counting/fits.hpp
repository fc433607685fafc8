// Maximum-likelihood fits of one experiment: of the backgrounds at a given signal, of the signal, and q(mu).
#ifndef NA64ROOT_SRC_COUNTING_FITS_HPP
#define NA64ROOT_SRC_COUNTING_FITS_HPP

#include <vector>

#include "counting/joint_fit.hpp"
#include "counting/model.hpp"

namespace na64root::counting {

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

// One experiment, real or imagined: its outcome, the observed one at first, may be changed between fits. Each
// fit starts where the last one of its kind ended, so that results depend, far below the tolerance of ties,
// on what was fitted before.
class Fitter {
  public:
    explicit Fitter(const Model &model)
        : outcome(model.observed), model_(model), last_eta_(model.groups.size(), -infinity), joint_(model) {}

    Outcome outcome;
    double &auxiliary(const Coordinate &coordinate);

    // q(mu) = -2 ln [L(mu, conditional maximum) / L(best mu >= 0)], zero where the best mu exceeds mu.
    double statistic(double mu);

    // The square root of q, which is close to linear in the auxiliary measurements, and its gradient in them:
    // the derivative of -ln L with respect to an auxiliary measurement at the two maxima (envelope theorem).
    // Where the best signal lies above mu q is zero, and the root `least`: 0, or -infinity to have it go on
    // below zero as it comes, minus the root of the same difference of -ln L.
    double root_of_statistic(double mu, const std::vector<Coordinate> &coordinates,
                             std::vector<double> &gradient, double least);

    // q without regard to which of the two signals is larger.
    double two_sided_statistic(double mu);

    // The signal events >= 0 that the counts alone would like.
    double best_signal();

    // The theta of the best fit at mu, where the bins alone would like `free_signal` signal events.
    double conditional_theta(double mu, double free_signal);

    // The best nuisance parameters of a group of backgrounds, and of the signal of a bin alone, at given
    // signal events.
    double best_eta(std::size_t group, double signal);
    double best_own_theta(std::size_t bin, double signal);

    // Minus the logarithm of the likelihood at given signal events, minimised over the backgrounds. Groups
    // without any count leave their backgrounds out: there the signal and the background separate.
    Profile profile(double signal, bool with_value = true);

  private:
    struct SlopeAndCurvature {
        double slope, curvature;
    };

    double conditional_theta_inside(double mu, double free_signal);
    template <class Slope> double best_of_two_signals(const Slope &slope, double found, double highest);
    double best_eta_of_one_bin(std::size_t group, double signal) const;
    double best_eta_in_bracket(std::size_t group, double signal) const;
    double best_eta_from_below(std::size_t group, double signal);
    SlopeAndCurvature slope_in_eta(std::size_t group, double eta, double signal) const;
    double total_count(const Group &group) const;
    double highest_eta(const Group &group, double auxiliary, double count) const;

    BinProfile bin_profile(std::size_t bin, double signal, double background) const;
    void add_known_background(Profile &profile, std::size_t bin, double signal, bool with_value) const;
    void add_group_without_counts(Profile &profile, const Group &group, double signal) const;
    void add_group(Profile &profile, std::size_t group, double signal, bool with_value);

    double joint_root(double mu, const std::vector<Coordinate> &coordinates, std::vector<double> &gradient,
                      double least) const;

    const Model &model_;
    // Where the last fits ended.
    std::vector<double> last_eta_; // by group
    double last_signal_ = 0.0;
    JointFits joint_;
};

// The best nuisance parameters of the observed data at mu.
Truth conditional_truth(const Model &model, double mu);

} // namespace na64root::counting

#endif
