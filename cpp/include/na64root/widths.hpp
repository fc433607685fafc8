// Decay widths of the A' and of chi2.
#ifndef NA64ROOT_WIDTHS_HPP
#define NA64ROOT_WIDTHS_HPP

#include "na64root/estimate.hpp"
#include "na64root/model.hpp"

namespace na64root {

enum class WidthFormula {
    exact, // integral of dGamma/dq^2 over the vector-vector matrix element
    paper, // the paper's Eq. 2 with its constant K = 0.640, electrons only
};

// The constant K of the paper's Eq. 2. It holds near f = 0.4 and above 150 MeV only.
inline constexpr double paper_k_factor = 0.640;

// dGamma(chi2 -> chi1 l l)/dq^2 (GeV^-1) at lepton-pair mass squared q2; zero outside [4 m_l^2, Delta^2].
// Averaged over the spin of chi2, vector transition coupling (here and below std::invalid_argument for
// another):
//   1/(2 m2) 1/2 (4 pi alpha_D)(4 pi alpha eps^2)/(2 pi) |p|/(4 pi m2) q^2 B(q^2) H(q^2)/(q^2 - M^2)^2.
double chi2_width_density(const InelasticModel &model, double lepton_mass, double q2);

// Gamma(chi2 -> chi1 nu nubar) in GeV, of all left-handed neutrinos: half of that to a massless charged
// lepton of the same charge each, since only one helicity couples. To 1e-8. Throws as chi2_width_to_leptons.
Estimate chi2_width_to_neutrinos(const InelasticModel &model);

// Gamma(chi2 -> chi1 l l) in GeV by quadrature to 1e-8; zero where the channel is closed.
// Throws std::domain_error for an unphysical model, std::runtime_error when the integral did not converge.
Estimate chi2_width_to_leptons(const InelasticModel &model, double lepton_mass);

// The leading-order formula 4 eps^2 alpha alpha_D Delta^5/(15 pi M^4), valid for M >> m_chi1 >> m_e; times
// K = 0.640 it is the paper's Eq. 2.
double chi2_width_leading_order(const InelasticModel &model);

// Total width of chi2 in GeV: electrons, muons above Delta = 2 m_mu, and neutrinos (formula `exact`). The
// formula `paper` is of kinetic mixing and throws std::invalid_argument for other mediators.
double chi2_width(const InelasticModel &model, WidthFormula formula = WidthFormula::exact);

// Branching ratio chi2 -> chi1 e e; 0 where chi2 is stable.
double chi2_branching_to_electrons(const InelasticModel &model, WidthFormula formula = WidthFormula::exact);

// c tau of chi2 in cm; infinity where it is stable. Below Delta = 2 m_e it may decay to neutrinos, unseen.
double chi2_ctau(const InelasticModel &model, WidthFormula formula = WidthFormula::exact);

// K, the ratio of the exact electron width to the leading-order formula; 0 where the channel is closed.
double chi2_k_factor(const InelasticModel &model);

// Gamma(A' -> chi1 chi2), one channel (pseudo-Dirac, Majorana eigenstates), in GeV; with
// sigma = (m1 + m2)^2/M^2 and delta = (m1 - m2)^2/M^2
//   vector        alpha_D M/3 (1 - sigma)^1/2 (1 - delta)^3/2 (1 + sigma/2)
//   axial         alpha_D M/3 (1 - sigma)^3/2 (1 - delta)^1/2 (1 + delta/2)
//   scalar        alpha_D M/2 (1 - sigma)^3/2 (1 - delta)^1/2
//   pseudoscalar  alpha_D M/2 (1 - sigma)^1/2 (1 - delta)^3/2
double aprime_width_to_chi(const InelasticModel &model);

// Gamma(A' -> l l) in GeV: the same of two equal masses, with q_l^2 alpha eps^2 for alpha_D. For a vector it
// is q_l^2 alpha eps^2 M/3 (1 + 2 m^2/M^2) sqrt(1 - 4 m^2/M^2). Throws std::invalid_argument where no charged
// lepton has the mass.
double aprime_width_to_leptons(const InelasticModel &model, double lepton_mass);

// Gamma(A' -> nu nubar) = sum q_nu^2 alpha eps^2 M/6 in GeV, left-handed neutrinos.
double aprime_width_to_neutrinos(const InelasticModel &model);

// Total width of the A': chi1 chi2, e e, mu mu and neutrinos. Hadrons are left out, as is tau tau: both
// matter where epsilon^2 alpha/alpha_D does.
double aprime_width(const InelasticModel &model);

} // namespace na64root

#endif
