// Toys of a counting model of any size, with the profile likelihood ratio as their statistic.
#ifndef NA64ROOT_TOY_ENSEMBLE_HPP
#define NA64ROOT_TOY_ENSEMBLE_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "na64root/counting.hpp"
#include "na64root/profile_likelihood.hpp"
#include "na64root/random.hpp"

namespace na64root {

struct ToyStatistics {
    std::vector<double> values; // of the toys whose fits converged
    std::size_t failed;         // the others
};

// The ensembles of RooStats' FrequentistCalculator and HybridCalculator. Frequentist: the nuisance parameters
// are those of the conditional maximum of the observed data, auxiliary measurements fluctuate around them.
// Hybrid: each toy draws the nuisance parameters from their priors, which are the constraints, within their
// ranges; auxiliary measurements stay. None: neither moves.
class ToyEnsemble {
  public:
    // `auxiliaries` are the observed auxiliary measurements. Throws std::invalid_argument for other numbers
    // of counts or auxiliary measurements than the likelihood has.
    ToyEnsemble(ProfileLikelihood likelihood, std::vector<double> counts, std::vector<double> auxiliaries,
                Treatment treatment);

    // -ln [L(mu)/L(best mu)] of the observed data, zero where the best mu exceeds mu. Throws
    // std::runtime_error where a fit does not converge.
    double observed(double mu) const;

    // The same of toys whose true signal is `true_mu`, the entries first ... first + toys - 1 of the seed;
    // with other threads the same. A value nearer than 1e-6 to the observed one is equal to it: toys with the
    // counts of the data tie with them, whatever the last digits are. Those whose fit does not converge are
    // left out and counted; throws std::runtime_error as `observed`.
    ToyStatistics statistics(double mu, double true_mu, std::uint64_t seed, std::uint64_t first,
                             std::size_t toys, int threads = 1) const;

  private:
    struct Toy {
        std::vector<double> counts, auxiliaries, parameters;
    };
    void draw(Toy &toy, double true_mu, const std::vector<double> &truth, Random &random) const;

    ProfileLikelihood likelihood_;
    std::vector<double> counts_, auxiliaries_;
    Treatment treatment_;
};

} // namespace na64root

#endif
