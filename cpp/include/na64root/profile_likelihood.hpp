// The profile likelihood of a counting model of any size: all nuisance parameters fitted together, within
// their ranges. It stands in for the minimiser in RooStats' toys (cpp/cling/test_statistics.hpp); the engine
// of exact limits (counting.hpp) has nested fits of its own.
#ifndef NA64ROOT_PROFILE_LIKELIHOOD_HPP
#define NA64ROOT_PROFILE_LIKELIHOOD_HPP

#include <cstddef>
#include <vector>

namespace na64root {

// Expected events mu * signal + background in each bin, where signal and background are a number times
// factors, each of which follows one nuisance parameter.
class ProfileLikelihood {
  public:
    struct Parameter {
        double lowest, highest;
        double count; // of the auxiliary measurement; 0 where that is a normal number
    };
    struct Fit {
        double value; // -ln L without terms that depend on the measurements only
        double mu;
        std::vector<double> parameters;
        bool converged;
    };

    // A parameter x within its range, and its auxiliary measurement a: a ~ N(x, 1), or, with a count above
    // zero, a ~ Poisson(count * x). Throws std::domain_error for an empty range or a negative count.
    void add_parameter(double lowest, double highest, double count = 0.0);

    // Throws std::domain_error for yields that are negative or no numbers.
    void add_bin(double signal, double background);

    // The signal or the background of the last bin follows a parameter as exp(slope x), or as offset + slope
    // x. Throws std::domain_error where there is no such bin or parameter, or for what is no number.
    void add_power(bool of_signal, std::size_t parameter, double slope);
    void add_linear(bool of_signal, std::size_t parameter, double slope, double offset);

    // The maxima of the likelihood at a given mu, and for mu >= 0. Throws std::invalid_argument for other
    // numbers of counts or auxiliary measurements than there are.
    Fit conditional(double mu, const std::vector<double> &counts,
                    const std::vector<double> &auxiliaries) const;
    Fit free(const std::vector<double> &counts, const std::vector<double> &auxiliaries) const;

    // -ln [L(mu, conditional maximum) / L(best mu >= 0)]; one-sided it is zero where the best mu exceeds mu.
    // NaN where a fit did not converge.
    double ratio(double mu, const std::vector<double> &counts, const std::vector<double> &auxiliaries,
                 bool one_sided = true) const;

    std::size_t bins() const { return bins_.size(); }
    std::size_t parameters() const { return parameters_.size(); }
    const Parameter &parameter(std::size_t index) const { return parameters_.at(index); }

    // Expected events of a bin.
    double rate(std::size_t bin, double mu, const std::vector<double> &parameters) const;

  private:
    struct Factor {
        bool power;
        std::size_t parameter;
        double slope, offset;
    };
    struct Yield {
        double constant;
        std::vector<Factor> factors;
    };
    struct Bin {
        Yield signal, background;
    };
    class Minimiser;

    void add_factor(bool of_signal, const Factor &factor);
    bool scales_all_signal(std::size_t parameter) const;
    void find_common_factors();
    static double factor(const Factor &factor, double x);
    static double yield(const Yield &yield, const double *parameters);

    // As `bins_`, without the factors that all signal has in common.
    std::vector<Bin> bins_, free_bins_;
    std::vector<Factor> common_factors_;
    std::vector<char> common_; // by parameter: whether it is that of such a factor
    std::vector<Parameter> parameters_;
};

} // namespace na64root

#endif
