// All counts that matter, with their probabilities: in two ensembles, with the signal and without.
#ifndef NA64ROOT_SRC_COUNTING_COUNTS_HPP
#define NA64ROOT_SRC_COUNTING_COUNTS_HPP

#include <functional>
#include <vector>

#include "counting/fits.hpp"
#include "counting/model.hpp"

namespace na64root::counting {

// Counts whose probability is below this part of the tail, in both ensembles, are left out where only counts
// fluctuate: the tail then varies by steps.
inline constexpr double negligible_step = 1e-6, negligible_step_fine = 2.5e-7;

// Counts are left out whose probability, in both ensembles, is below the part `least` of `scale`: about what
// the tails will be, from below.
struct Cutoff {
    double least = negligible_step;
    double scale_with = 1.0, scale_without = 1.0;
};

// One truth for each ensemble, so that the bins are independent.
struct Truths {
    Truth with_signal, without_signal;
};

struct CountsProbability {
    double with, without;
    bool first_of_row; // before it, other bins than the last had other counts
};

// Sets the counts one after the other and calls `visit` at each; it returns whether q reaches the threshold
// there, in any part of the ensembles. Where q falls with the count of a bin, larger ones are then left out.
void for_each_counts(const Model &model, const Truths &truths, const Cutoff &cutoff,
                     std::vector<double> &counts,
                     const std::function<bool(const CountsProbability &)> &visit);

// The same with probabilities averaged over the priors of the hybrid treatment, but for the signal's common
// to all bins: `with` is given at each of its nodes.
using VisitAveraged = std::function<bool(const std::vector<double> &with, double without)>;
void for_each_counts_hybrid(const Model &model, const Priors &priors, double mu, const Cutoff &cutoff,
                            std::vector<double> &counts, const VisitAveraged &visit);

// The mean of weight(experiment) over the counts of the ensemble at mu, averaged over priors in the hybrid
// treatment: all counts but those of a tail below 1e-13 per bin. Auxiliary measurements stay as they are
// left.
double mean_over_counts(const Model &model, double mu, const std::function<double(Fitter &)> &weight);

} // namespace na64root::counting

#endif
