// The profile likelihood of a counting model of any size: all nuisance parameters fitted together, within
// their ranges. It stands in for the minimiser in RooStats' toys (cpp/cling/test_statistics.hpp); the engine
// of exact limits (counting.hpp) has nested fits of its own.
#ifndef NA64ROOT_PROFILE_LIKELIHOOD_HPP
#define NA64ROOT_PROFILE_LIKELIHOOD_HPP

#include <array>
#include <cstddef>
#include <vector>

namespace na64root {

// Expected events mu * signal + background in each bin, where signal and background are sums of processes,
// and the yield of a process is a number times factors, each of which follows one nuisance parameter.
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

    // One more process of the last bin; what follows it is said next. Throws std::domain_error for a yield
    // that is negative or no number, and where there is no bin.
    void add_process(bool of_signal, double constant);

    // How a factor whose two sides differ runs: the sides are exp(slope x), or 1 + slope x, and a polynomial
    // of the sixth degree joins them, with their values, slopes and curvatures at its ends, and 1 at x = 0.
    enum class Join {
        power,     // exp(slope x) outside -1 to 1, the polynomial inside: code 4 of HistFactory
        linear,    // 1 + slope x outside -1 to 1, the polynomial inside: code 4p of HistFactory
        logarithm, // exp(slope x) outside -1/2 to 1/2, exp of the polynomial inside: lnN of Combine
    };

    // The last process of signal or background of the last bin follows a parameter as exp(slope x), as offset
    // + slope x, or with a slope `up` above zero and another, `down`, below. Throws std::domain_error where
    // there is no such bin or parameter, or for what is no number.
    void add_power(bool of_signal, std::size_t parameter, double slope);
    void add_linear(bool of_signal, std::size_t parameter, double slope, double offset);
    void add_joined(bool of_signal, std::size_t parameter, Join join, double up, double down);

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
        enum class Shape { power, linear, joined } shape;
        std::size_t parameter;
        double slope, offset;
        // Of a joined one; the coefficients are those of x, x^2, ... of the polynomial.
        Join join;
        double down;
        std::array<double, 6> inside;

        struct Derivatives {
            double value, first, second;
        };
        bool operator==(const Factor &other) const;
        double value(double x) const;
        Derivatives derivatives(double x) const;

      private:
        double reach() const { return join == Join::logarithm ? 0.5 : 1.0; }
        Derivatives joined(double x) const;
    };
    struct Yield {
        double constant;
        std::vector<Factor> factors;
    };
    struct Bin {
        std::vector<Yield> signals, backgrounds;
    };
    class Minimiser;

    void add_factor(bool of_signal, const Factor &factor);
    bool scales_all_signal(std::size_t parameter) const;
    void find_common_factors();
    static double yield(const std::vector<Yield> &processes, const double *parameters);

    // As `bins_`, without the factors that all signal has in common.
    std::vector<Bin> bins_, free_bins_;
    std::vector<Factor> common_factors_;
    std::vector<char> common_; // by parameter: whether it is that of such a factor
    std::vector<Parameter> parameters_;
};

} // namespace na64root

#endif
