#include "counting/ensembles.hpp"

#include <numeric>

#include "counting/counts.hpp"
#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

// Counts whose probability is below this part of the tail, in both ensembles, are left out where auxiliary
// measurements fluctuate: a part of the tail that varies smoothly with mu. Elsewhere `negligible_step`.
constexpr double negligible(Accuracy accuracy) {
    return accuracy == Accuracy::coarse ? 1e-3 : accuracy == Accuracy::standard ? 1e-4 : 3e-5;
}
// Counts below this part of the tail are given a coarser integral over the auxiliary measurements, in error
// by 1 % at most: in all 3e-4 of a limit. Chosen for speed, as large as that allows: halved, limits of 60
// random models of 1 to 3 bins move by 2e-5 at most, doubled by 6e-5.
constexpr double flat_below(Accuracy accuracy) {
    return accuracy == Accuracy::fine ? 0.3 * 3e-2 : 3e-2;
}

double total(const std::vector<double> &values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

// About what the tails will be, from below: no count larger than observed.
void set_scales(Cutoff &cutoff, const Model &model, const Truths &truths) {
    const std::vector<double> &counts = model.observed.counts;
    const std::vector<double> &with = truths.with_signal.rates, &without = truths.without_signal.rates;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        cutoff.scale_with *= poisson_cdf(with[i], counts[i]);
        cutoff.scale_without *= poisson_cdf(without[i], counts[i]);
    }
    // Counts that differ but are as many in all mostly lie in the tail too.
    const double count = total(counts);
    cutoff.scale_with = std::max(cutoff.scale_with, 0.1 * poisson_cdf(total(with), count));
    cutoff.scale_without = std::max(cutoff.scale_without, 0.1 * poisson_cdf(total(without), count));
}

// The priors widen the tails: those of the nominal rates are smaller.
void set_scales_hybrid(Cutoff &cutoff, const Model &model, double mu) {
    for (std::size_t i = 0; i < model.bins.size(); ++i) {
        const double count = model.observed.counts[i], background = model.bins[i].background;
        cutoff.scale_with *= poisson_cdf(mu * model.bins[i].signal + background, count);
        cutoff.scale_without *= poisson_cdf(background, count);
    }
}

Tails tails_of_truths(const Model &model, const Test &test) {
    const Truths truths{conditional_truth(model, test.mu), conditional_truth(model, 0.0)};
    Cutoff cutoff;
    if (model.auxiliaries_fluctuate())
        cutoff.least = negligible(test.accuracy);
    else if (test.accuracy == Accuracy::fine)
        cutoff.least = negligible_step_fine;
    set_scales(cutoff, model, truths);
    Fitter experiment(model);
    PassProbability pass_probability(model, test, experiment);
    Tails tails;
    for_each_counts(model, truths, cutoff, experiment.outcome.counts, [&](const CountsProbability &counts) {
        if (counts.first_of_row)
            pass_probability.start_row();
        const double part_with = counts.with / cutoff.scale_with;
        const double part_without = counts.without / cutoff.scale_without;
        std::optional<PassProbability::Both> pass;
        if (std::max(part_with, part_without) <= flat_below(test.accuracy))
            pass = pass_probability.flat(truths);
        if (!pass)
            pass = {part_with > cutoff.least ? pass_probability.around(truths.with_signal) : 0.0,
                    part_without > cutoff.least ? pass_probability.around(truths.without_signal) : 0.0};
        tails.with += counts.with * pass->with;
        tails.without += counts.without * pass->without;
        return pass->with > 0.0 || pass->without > 0.0;
    });
    return tails;
}

Tails tails_of_priors(const Model &model, const Test &test) {
    const bool fine = test.accuracy == Accuracy::fine;
    const Priors &priors = fine ? model.finer_priors : model.priors;
    Cutoff cutoff;
    if (fine)
        cutoff.least = negligible_step_fine;
    set_scales_hybrid(cutoff, model, test.mu);
    Fitter experiment(model);
    Tails tails;
    for_each_counts_hybrid(model, priors, test.mu, cutoff, experiment.outcome.counts,
                           [&](const std::vector<double> &with, double without) {
                               if (experiment.statistic(test.mu) < test.threshold)
                                   return false;
                               for (std::size_t k = 0; k < with.size(); ++k)
                                   tails.with += priors.signal.weights[k] * with[k];
                               tails.without += without;
                               return true;
                           });
    return tails;
}

} // namespace

Tails tails(const Model &model, double mu, double statistic, Accuracy accuracy) {
    const Test test{mu, below_ties(statistic), accuracy};
    return model.treatment == Treatment::hybrid ? tails_of_priors(model, test) : tails_of_truths(model, test);
}

} // namespace na64root::counting
