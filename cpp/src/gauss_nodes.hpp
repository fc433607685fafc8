// Gauss rules on an interval, for sums that are kept as points.
#ifndef NA64ROOT_SRC_GAUSS_NODES_HPP
#define NA64ROOT_SRC_GAUSS_NODES_HPP

#include <boost/math/quadrature/gauss.hpp>

namespace na64root {

// Calls use(node, weight) for the N-point Gauss rule on [low, high].
template <unsigned N, class Use> void gauss_nodes(double low, double high, Use &&use) {
    using Rule = boost::math::quadrature::gauss<double, N>;
    const auto &nodes = Rule::abscissa();
    const auto &weights = Rule::weights();
    const double center = 0.5 * (low + high), half = 0.5 * (high - low);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        use(center + half * nodes[i], half * weights[i]);
        if (nodes[i] != 0.0)
            use(center - half * nodes[i], half * weights[i]);
    }
}

} // namespace na64root

#endif
