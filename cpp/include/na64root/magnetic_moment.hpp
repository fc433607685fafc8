// The anomalous magnetic moment that a kinetically mixed vector gives to a lepton.
#ifndef NA64ROOT_MAGNETIC_MOMENT_HPP
#define NA64ROOT_MAGNETIC_MOMENT_HPP

namespace na64root {

// a = (alpha eps^2/2 pi) int_0^1 dz 2 m^2 z (1-z)^2/(m^2 (1-z)^2 + M^2 z)  (Pospelov, arXiv:0811.1030, Eq.
// 7). Positive for every mass; m^2 << M^2 gives alpha eps^2 m^2/(3 pi M^2), m^2 >> M^2 alpha eps^2/2 pi.
// Masses in GeV. Throws std::domain_error for a mass that is not positive, std::runtime_error without
// convergence.
double magnetic_moment(double lepton_mass, double mass, double epsilon);

// The epsilon that gives `moment`; throws std::domain_error where moment <= 0: there is no line.
double epsilon_of_magnetic_moment(double lepton_mass, double mass, double moment);

} // namespace na64root

#endif
