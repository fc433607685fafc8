// The anomalous magnetic moment that a mediator gives to a lepton, at one loop.
#ifndef NA64ROOT_MAGNETIC_MOMENT_HPP
#define NA64ROOT_MAGNETIC_MOMENT_HPP

#include "na64root/model.hpp"

namespace na64root {

// a = (alpha eps^2/2 pi) int_0^1 dz N(z) m^2/(m^2 (1-z)^2 + M^2 z), with
//   vector        N = 2 z (1-z)^2                                      (Pospelov, arXiv:0811.1030, Eq. 7)
//   axial         N = -2 z (1-z) (3+z) - 4 (1-z)^3 m^2/M^2
//   scalar        N = (1-z)^2 (1+z)
//   pseudoscalar  N = -(1-z)^3                    (Leveille, Nucl. Phys. B 137, 63 (1978); signs with it)
// so positive for vectors and scalars, negative for the others, at every mass. Of a vector m^2 << M^2 gives
// alpha eps^2 m^2/(3 pi M^2), m^2 >> M^2 alpha eps^2/2 pi.
// Masses in GeV. Throws std::domain_error for a mass that is not positive, std::runtime_error without
// convergence.
double magnetic_moment(double lepton_mass, double mass, double epsilon, Coupling coupling = Coupling::vector);

// The epsilon that gives `moment`; throws std::domain_error where it is zero or has the other sign: there is
// no line.
double epsilon_of_magnetic_moment(double lepton_mass, double mass, double moment,
                                  Coupling coupling = Coupling::vector);

} // namespace na64root

#endif
