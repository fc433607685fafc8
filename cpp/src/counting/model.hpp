// A counting model under one treatment as fits and ensembles see it: checked, bins pooled, with all that
// follows from it alone.
#ifndef NA64ROOT_SRC_COUNTING_MODEL_HPP
#define NA64ROOT_SRC_COUNTING_MODEL_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "counting/gauss_rules.hpp"
#include "counting/roots.hpp"
#include "na64root/counting.hpp"

namespace na64root::counting {

// Statistics nearer than this (relative) are ties; the fits are good to 1e-12.
inline constexpr double tie_tolerance = 1e-8;
inline double below_ties(double statistic) {
    return statistic - tie_tolerance * (1.0 + statistic);
}

struct PooledBin {
    double observed, background, uncertainty, signal;
    double own_uncertainty; // of the signal, with a nuisance parameter of this bin alone
    int group;              // -1: no nuisance parameter of the background
};

// Bins that share one nuisance parameter of the background.
struct Group {
    std::vector<std::size_t> bins;
    double lowest = -infinity;    // of the nuisance parameter: no negative yield
    double uncertainty = 0.0;     // of all bins
    double auxiliary_count = 0.0; // gamma: the nominal auxiliary measurement, 1/r^2
    bool own_sources = false;     // any bin has a signal uncertainty of its own
};

// An auxiliary measurement that fluctuates: of the background of a group, of the signal common to all bins,
// or of the signal of one bin.
struct Coordinate {
    enum class Kind { background, signal, own_signal } kind;
    std::size_t index = 0; // of the group or the bin
};

// The counts and auxiliary measurements of one experiment, real or imagined.
struct Outcome {
    std::vector<double> counts;
    std::vector<double> background_auxiliaries; // by group
    double signal_auxiliary = 0.0;
    std::vector<double> own_auxiliaries; // by bin
};

// A point in the space of nuisance parameters, from which an ensemble is drawn.
struct Truth {
    double signal; // expected signal events, mu kappa(theta)
    double theta;
    std::vector<double> eta;       // by group
    std::vector<double> own_theta; // by bin
    std::vector<double> rates;     // by bin
};

// The priors of the hybrid treatment.
struct Priors {
    Rule signal;
    std::vector<Rule> own;         // by bin
    std::vector<Rule> backgrounds; // by group
};

struct Model {
    // Throws std::domain_error as CountingExperiment does.
    Model(const CountingModel &model, Treatment treatment);

    Treatment treatment; // `none` where nothing varies
    Constraint signal_constraint, background_constraint;
    double signal_uncertainty;   // common to all bins
    double signal_bend = 0.0;    // lognormal: ln kappa = theta times this
    std::vector<PooledBin> bins; // first those without group, then group by group
    std::vector<Group> groups;   // not empty, in the order of the bins
    std::vector<char> monotone;  // by bin: q falls with its count
    bool own_sources = false;    // any bin has an uncertainty of its signal alone
    // -ln L has one minimum in the signal. Where signals of single bins are uncertain an excess is signal, or
    // its bin has little of it; where bins share a log-normal background it rises with the one or the other.
    bool one_minimum = true;
    bool linear = false;       // rates are linear in the signal and in the etas
    double total_signal = 0.0; // of all bins
    Outcome observed;
    Priors priors, finer_priors; // of the hybrid treatment only; these tell the error of those

    bool signal_varies() const { return signal_uncertainty > 0.0; }
    // Whether auxiliary measurements belong to the ensembles.
    bool auxiliaries_fluctuate() const {
        return treatment == Treatment::frequentist && (signal_varies() || own_sources || !groups.empty());
    }
    bool lognormal_signal() const { return signal_constraint == Constraint::lognormal; }
    bool gaussian_backgrounds() const { return background_constraint == Constraint::gaussian; }
    bool lognormal_backgrounds() const { return background_constraint == Constraint::lognormal; }
    bool gamma_backgrounds() const { return background_constraint == Constraint::gamma; }

    // kappa(theta) for a relative uncertainty, its slope, and the theta below which it would be negative.
    double scale(double uncertainty, double theta) const {
        if (uncertainty == 0.0)
            return 1.0;
        return lognormal_signal() ? std::exp(theta * std::log1p(uncertainty))
                                  : std::max(0.0, 1.0 + uncertainty * theta);
    }
    double scale_slope(double uncertainty, double theta) const {
        return lognormal_signal() ? std::log1p(uncertainty) * scale(uncertainty, theta) : uncertainty;
    }
    double lowest_theta(double uncertainty) const {
        return lognormal_signal() ? -infinity : -1.0 / uncertainty;
    }

    // The same of the uncertainty common to all bins.
    double signal_scale(double theta) const {
        return signal_bend > 0.0 ? std::exp(theta * signal_bend) : scale(signal_uncertainty, theta);
    }
    double signal_scale_slope(double theta) const {
        return signal_bend > 0.0 ? signal_bend * signal_scale(theta) : signal_uncertainty;
    }
    double lowest_theta() const { return lowest_theta(signal_uncertainty); }
    double theta_of_scale(double scale) const {
        return lognormal_signal() ? std::log(scale) / std::log1p(signal_uncertainty)
                                  : (scale - 1.0) / signal_uncertainty;
    }

    // The background of a bin and its slope in eta, the nuisance parameter of its group.
    double background(const PooledBin &bin, double eta) const {
        if (bin.group == -1)
            return bin.background;
        if (gaussian_backgrounds())
            return std::max(0.0, bin.background + bin.uncertainty * eta);
        if (lognormal_backgrounds())
            return bin.background * std::exp(eta * std::log1p(bin.uncertainty / bin.background));
        return bin.background * eta;
    }
    double background_slope(const PooledBin &bin, double eta) const {
        if (gaussian_backgrounds())
            return bin.uncertainty;
        if (lognormal_backgrounds())
            return std::log1p(bin.uncertainty / bin.background) * background(bin, eta);
        return bin.background;
    }

    // Minus the logarithm of the probability of the auxiliary measurement, without what only depends on it,
    // and its derivatives in eta.
    double constraint(const Group &group, double eta, double auxiliary) const {
        if (gamma_backgrounds())
            return group.auxiliary_count * eta - (auxiliary > 0.0 ? auxiliary * std::log(eta) : 0.0);
        return 0.5 * (eta - auxiliary) * (eta - auxiliary);
    }
    double constraint_slope(const Group &group, double eta, double auxiliary) const {
        if (gamma_backgrounds())
            return group.auxiliary_count - (auxiliary > 0.0 ? auxiliary / eta : 0.0);
        return eta - auxiliary;
    }
    double constraint_curvature(double eta, double auxiliary) const {
        return gamma_backgrounds() ? auxiliary / (eta * eta) : 1.0;
    }

    // Whether an auxiliary measurement is a count, its mean and its standard deviation.
    bool is_count(const Coordinate &coordinate) const {
        return coordinate.kind == Coordinate::Kind::background && gamma_backgrounds();
    }
    double auxiliary_mean(const Truth &truth, const Coordinate &coordinate) const;
    double auxiliary_deviation(const Truth &truth, const Coordinate &coordinate) const {
        return is_count(coordinate) ? std::sqrt(auxiliary_mean(truth, coordinate)) : 1.0;
    }

    // The auxiliary measurements that q depends on at these counts, where they fluctuate: those of groups
    // without counts drop out.
    void find_coordinates(const std::vector<double> &counts, std::vector<Coordinate> &coordinates) const;
    // Those of the backgrounds alone.
    void find_background_coordinates(const std::vector<double> &counts,
                                     std::vector<Coordinate> &coordinates) const;
};

} // namespace na64root::counting

#endif
