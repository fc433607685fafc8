// A numerical result with its error.
#ifndef NA64ROOT_ESTIMATE_HPP
#define NA64ROOT_ESTIMATE_HPP

namespace na64root {

// `error` is the estimated absolute error of the numerics (quadrature, enumeration), not of the physics.
struct Estimate {
    double value = 0.0;
    double error = 0.0;
};

} // namespace na64root

#endif
