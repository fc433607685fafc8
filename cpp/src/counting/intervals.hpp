// Evidence for a signal, and two-sided intervals.
#ifndef NA64ROOT_SRC_COUNTING_INTERVALS_HPP
#define NA64ROOT_SRC_COUNTING_INTERVALS_HPP

#include "counting/model.hpp"
#include "na64root/counting.hpp"

namespace na64root::counting {

Discovery discovery(const Model &model);

double two_sided_p_value(const Model &model, double mu);

Interval interval(const Model &model, double cl);

} // namespace na64root::counting

#endif
