#include "counting/intervals.hpp"

#include <stdexcept>

#include "counting/counts.hpp"
#include "counting/limits.hpp"

namespace na64root::counting {

double two_sided_p_value(const Model &model, double mu) {
    if (model.auxiliaries_fluctuate())
        throw std::invalid_argument("two-sided intervals are made with treatment none or hybrid");
    check_signal(mu);
    const double observed = Fitter(model).two_sided_statistic(mu);
    // Without background a count has no likelihood at mu = 0.
    if (!std::isfinite(observed))
        return 0.0;
    const double threshold = below_ties(observed);
    return mean_over_counts(model, mu, [&](Fitter &experiment) {
        return experiment.two_sided_statistic(mu) >= threshold ? 1.0 : 0.0;
    });
}

namespace {

// The outermost signal that is accepted, going from the best one by steps until excluded for good, or until
// there is none: p-values have steps.
template <class Accepted> double outermost(const Accepted &accepted, double best, double step) {
    double found = best;
    int excluded = 0;
    for (double mu = best + step; (step > 0.0 || mu > 0.0) && excluded < 25; mu += step) {
        if (accepted(mu)) {
            found = mu;
            excluded = 0;
        } else {
            ++excluded;
        }
    }
    return found;
}

// The end between an accepted and an excluded signal.
template <class Accepted> double end_between(const Accepted &accepted, double inside, double outside) {
    for (int i = 0; i < 14; ++i) {
        const double middle = 0.5 * (inside + outside);
        (accepted(middle) ? inside : outside) = middle;
    }
    return inside;
}

} // namespace

Interval interval(const Model &model, double cl) {
    check_level(cl);
    const double alpha = 1.0 - cl, best = Fitter(model).best_signal();
    const auto accepted = [&](double mu) { return two_sided_p_value(model, mu) > alpha; };
    const double step = 0.02 * (1.0 + best);
    const double high = outermost(accepted, best, step), low = outermost(accepted, best, -step);
    return {best == 0.0 || accepted(0.0) ? 0.0 : end_between(accepted, low, std::max(0.0, low - step)),
            end_between(accepted, high, high + step)};
}

} // namespace na64root::counting
