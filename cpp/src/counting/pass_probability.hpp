// P(q >= threshold) over the auxiliary measurements, at given counts.
#ifndef NA64ROOT_SRC_COUNTING_PASS_PROBABILITY_HPP
#define NA64ROOT_SRC_COUNTING_PASS_PROBABILITY_HPP

#include <optional>
#include <vector>

#include "counting/counts.hpp"
#include "counting/fits.hpp"
#include "counting/model.hpp"

namespace na64root::counting {

// How finely the ensembles are summed up: `coarse` finds the place of a limit, `fine` tells the error of
// `standard`.
enum class Accuracy { coarse, standard, fine };

// What is asked: P(q(mu) >= threshold).
struct Test {
    double mu, threshold;
    Accuracy accuracy = Accuracy::standard;
};

// The standard deviations beyond which auxiliary measurements are left out (3e-6 per side).
inline constexpr double auxiliary_range = 4.5;

// An orthonormal basis of what is orthogonal to a unit vector whose first component is not negative
// (Householder): basis[k * n + i] is component i of vector k < n - 1.
void set_basis_across(const std::vector<double> &direction, std::vector<double> &basis);

// At the counts of an experiment, whose auxiliary measurements it changes.
class PassProbability {
  public:
    PassProbability(const Model &model, const Test &test, Fitter &experiment)
        : model_(model), test_(test), experiment_(experiment) {}

    // With auxiliary measurements around `truth`.
    double around(const Truth &truth);

    // Of both ensembles, for counts that matter little: the surface q = threshold as a plane, found in two or
    // three steps. None where that does not work.
    struct Both {
        double with, without;
    };
    std::optional<Both> flat(const Truths &truths);

    // To be called before the first counts of a row: until then steps start where the last ones ended.
    void start_row() { afar_.clear(); }

  private:
    // Where the search for the surface starts, and what it finds.
    enum class Start { at_mean, near_last, afar };
    enum class Found { surface, all_below, all_above, vanishing };
    void set_start(Start start, const Truths &truths);
    Found approach(Start start);
    Both beyond_plane(const Truths &truths) const;

    const Model &model_;
    const Test &test_;
    Fitter &experiment_;
    std::vector<Coordinate> coordinates_;
    std::vector<double> point_, gradient_, basis_; // workspace
    double slope2_ = 0.0;                          // of the root, squared
    // Where the last counts of the row met q = threshold if q vanishes at the mean, or empty.
    std::vector<double> afar_;
};

// The same where auxiliary measurements are counts: one coordinate is solved for, the others are integrated
// by rules of Gauss.
double pass_probability_of_counts(const Model &model, const Test &test, Fitter &experiment,
                                  std::vector<Coordinate> coordinates, const Truth &truth);

} // namespace na64root::counting

#endif
