// Where rates are linear in the signal and in the nuisance parameters of the backgrounds, all are fitted
// together.
#ifndef NA64ROOT_SRC_COUNTING_JOINT_FIT_HPP
#define NA64ROOT_SRC_COUNTING_JOINT_FIT_HPP

#include <optional>
#include <vector>

#include "counting/model.hpp"

namespace na64root::counting {

// Where a fit stands, and what it works with.
struct JointFit {
    double signal = 0.0, theta = 0.0;
    std::vector<double> eta;                     // by group; empty before the first fit
    std::vector<double> slope, curvature, mixed; // of -ln L in eta, and in eta and the signal
    std::vector<double> step;                    // of eta
};

// The fit with the signal free and the one at mu > 0; each starts where the last one of its kind ended.
class JointFits {
  public:
    explicit JointFits(const Model &model) : model_(model) {}

    // False where no minimum is found inside the limits of the nuisance parameters: there nested fits stand
    // in. The tolerance is of q.
    bool fit(double mu, const Outcome &outcome, double tolerance);

    const JointFit &free() const { return free_; }
    const JointFit &conditional() const { return conditional_; }

    // Twice the difference of -ln L between the two fits.
    double difference(const Outcome &outcome) const;

  private:
    // Of -ln L in the signal, or in a parameter that it depends on.
    struct SignalDerivatives {
        double slope, curvature;
    };
    // A Newton step: the change of the first parameter, and twice what the step gains in -ln L.
    struct Step {
        double change, decrement;
    };

    bool fit_one(JointFit &fit, double mu, const Outcome &outcome, double tolerance) const;
    bool newton(JointFit &fit, double mu, const Outcome &outcome, double tolerance) const;
    std::optional<SignalDerivatives> derivatives(JointFit &fit, const Outcome &outcome) const;
    std::optional<Step> step(JointFit &fit, SignalDerivatives in_parameter, double scale, double parameter,
                             double lowest) const;
    double length(const JointFit &fit, const Outcome &outcome, const Step &step, double scale) const;
    double rate(const PooledBin &bin, const JointFit &fit) const {
        const double known = fit.signal * bin.signal + bin.background;
        return bin.group < 0 ? known : known + bin.uncertainty * fit.eta[static_cast<std::size_t>(bin.group)];
    }

    const Model &model_;
    JointFit free_, conditional_;
};

} // namespace na64root::counting

#endif
