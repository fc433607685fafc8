// Upper limits of counting experiments with few events, without toys: CLs with the one-sided profile
// likelihood ratio, its distribution found by enumerating the counts and integrating over the auxiliary
// measurements.
#ifndef NA64ROOT_COUNTING_HPP
#define NA64ROOT_COUNTING_HPP

#include <cstdint>
#include <memory>
#include <vector>

#include "na64root/estimate.hpp"

namespace na64root {

// How a nuisance parameter (pull eta, auxiliary measurement a ~ N(eta, 1)) scales a yield of relative
// uncertainty r: gaussian 1 + r eta, never below zero; lognormal (1 + r)^eta.
// gamma (backgrounds only): the yield is scaled by c >= 0, measured by an auxiliary count m ~ Poisson(c /
// r^2).
enum class Constraint { gaussian, lognormal, gamma };

// What is done with nuisance parameters: fixed at their nominal values; profiled, with auxiliary measurements
// that fluctuate in the ensemble; profiled in the statistic and averaged over their priors in the ensemble.
enum class Treatment { none, frequentist, hybrid };

// What must fall to 1 - CL at the limit: CLs = CLs+b/CLb, or CLs+b, which can exclude signals to which the
// experiment is not sensitive.
enum class Criterion { cls, clsb };

struct CountingBin {
    double observed;
    double background;
    double background_uncertainty;
    double signal_fraction; // share of the total expected signal; only the ratios between bins matter
    int group;              // >= 0; bins of one group share one background nuisance parameter
    double signal_uncertainty = 0.0; // relative, with a nuisance parameter of this bin alone
};

// n_i ~ Poisson(mu f_i kappa(theta) kappa_i(theta_i) + b_i(eta_g)); mu is the total expected signal, theta is
// common to all bins, theta_i is of bin i alone.
struct CountingModel {
    std::vector<CountingBin> bins;
    double signal_uncertainty = 0.0;
    Constraint signal_constraint = Constraint::lognormal;
    Constraint background_constraint = Constraint::gaussian;
};

// Probabilities to find a statistic at least as large as observed (ties counted); cls is their ratio.
struct ConfidenceLevels {
    double signal_plus_background;
    double background;
    double cls;
};

// Evidence for a signal: q0 = 2 ln [L(best mu >= 0) / L(0)], and the probability of one at least as large
// without signal.
struct Discovery {
    double statistic;
    double p_value;
};

struct Interval {
    double low, high;
};

struct ExpectedLimits {
    double minus2, minus1, median, plus1, plus2;
};

// One model under one treatment, prepared: bins of one group whose signal, background and uncertainty have
// the same ratios are pooled (exact: the statistic depends on their sum only).
class CountingExperiment {
  public:
    // Throws std::domain_error for a model without bins, negative, infinite or NaN yields, no signal at all,
    // a group below 0, a gamma constraint of the signal, a gamma group whose bins differ in relative
    // uncertainty, or a gamma background in a bin with a signal uncertainty of its own.
    CountingExperiment(const CountingModel &model, Treatment treatment);
    ~CountingExperiment();
    CountingExperiment(CountingExperiment &&) noexcept;
    CountingExperiment &operator=(CountingExperiment &&) noexcept;

    // q(mu) = -2 ln [L(mu, conditional maximum) / L(best mu >= 0)], zero where the best mu exceeds mu; of the
    // observed data. Cowan et al., EPJC 71, 1554 (2011), Eq. 16.
    double statistic(double mu) const;

    // CLs at total expected signal mu >= 0 (A. L. Read, J. Phys. G 28, 2693 (2002)); with its numerical
    // error.
    ConfidenceLevels confidence_levels(double mu) const;
    Estimate cls(double mu) const;

    // The mu where CLs = 1 - cl; when the steps of the discrete counts cross that level more than once, the
    // highest. Throws std::domain_error for cl outside (0, 1), std::runtime_error when no bracket is found
    // (with CLs+b: every signal may be excluded), or after `most_fits` likelihoods (0: any number).
    Estimate upper_limit(double cl, Criterion criterion = Criterion::cls, std::uint64_t most_fits = 0) const;

    // Quantiles of the upper limit in background-only experiments at the observed conditional maximum. As in
    // RooStats, the nuisance parameters of the ensembles stay where the observed data put them. Infinite
    // where that part of the experiments excludes no signal, however large (a gaussian signal uncertainty
    // lets it vanish). Throws std::runtime_error after `most_fits` likelihoods.
    ExpectedLimits expected_limits(double cl, Criterion criterion = Criterion::cls,
                                   std::uint64_t most_fits = 0) const;

    // The p-value of the background-only hypothesis (Cowan et al., Eq. 12); the counts are enumerated. Throws
    // std::invalid_argument for the frequentist treatment of signal uncertainties of single bins.
    Discovery discovery() const;

    // Probability to find counts at total signal mu that the likelihood-ratio ordering of `interval` puts no
    // higher than the observed ones (ties counted): mu belongs to the interval where it exceeds 1 - cl. 0
    // where the observed counts are impossible. Throws as `interval`, and std::domain_error for mu < 0.
    double two_sided_p_value(double mu) const;

    // The two-sided interval of the likelihood-ratio ordering (Feldman and Cousins, PRD 57, 3873 (1998)), all
    // mu that are not excluded at this level between its ends. Throws std::invalid_argument for the
    // frequentist treatment, where the ordering has no one-dimensional boundary: use none or hybrid.
    Interval interval(double cl) const;

    // Limits by the asymptotic formulae (Cowan et al., Eqs. 64-66): too strong for few events.
    ConfidenceLevels asymptotic_confidence_levels(double mu) const;
    Estimate asymptotic_upper_limit(double cl, Criterion criterion = Criterion::cls) const;
    ExpectedLimits asymptotic_expected_limits(double cl, Criterion criterion = Criterion::cls) const;

  private:
    class Implementation;
    std::unique_ptr<const Implementation> implementation_;
};

} // namespace na64root

#endif
