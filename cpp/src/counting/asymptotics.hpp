// Limits by the asymptotic formulae (Cowan et al., EPJC 71, 1554 (2011)).
#ifndef NA64ROOT_SRC_COUNTING_ASYMPTOTICS_HPP
#define NA64ROOT_SRC_COUNTING_ASYMPTOTICS_HPP

#include "counting/model.hpp"
#include "na64root/counting.hpp"

namespace na64root::counting {

ConfidenceLevels asymptotic_confidence_levels(const Model &model, double mu);

Estimate asymptotic_upper_limit(const Model &model, double cl, Criterion criterion);

ExpectedLimits asymptotic_expected_limits(const Model &model, double cl, Criterion criterion);

} // namespace na64root::counting

#endif
