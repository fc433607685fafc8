// The tails of q in both ensembles.
#ifndef NA64ROOT_SRC_COUNTING_ENSEMBLES_HPP
#define NA64ROOT_SRC_COUNTING_ENSEMBLES_HPP

#include "counting/model.hpp"
#include "counting/pass_probability.hpp"

namespace na64root::counting {

// P(q >= threshold), with the signal and without.
struct Tails {
    double with = 0.0, without = 0.0;
};

// Of a test of the statistic `threshold`; ties count.
Tails tails(const Model &model, double mu, double statistic, Accuracy accuracy);

} // namespace na64root::counting

#endif
