// From the cascade to A' and chi2 behind a thick target: expected numbers, without Monte Carlo.
#ifndef NA64ROOT_THICK_TARGET_HPP
#define NA64ROOT_THICK_TARGET_HPP

#include <vector>

#include "na64root/annihilation.hpp"
#include "na64root/cascade.hpp"
#include "na64root/dark_brem.hpp"
#include "na64root/model.hpp"

namespace na64root {

// A quadrature point of the A' spectrum: weight = A' per electron on target, depth in radiation lengths.
struct ProductionPoint {
    double energy;
    double depth;
    double weight;
    double mass; // of this A', GeV: sqrt(s) in annihilation
    ProductionProcess process;
    double parent_energy; // of the e- or e+ that made it, GeV
};

// A' with energies above the lowest of `energy_edges` (GeV):
//   N/N_EOT = n int dE dL/dE int dx dsigma/dx(E, x),
// n = atoms_per_radiation_length in cm^-2 (N_A/A times g/cm^2 of the element in one radiation length of
// track). No point's range straddles an edge, so cuts on E_A' at the edges are exact. The track is merged
// into `groups` energies between neighbouring edges. Throws std::invalid_argument for edges that are empty,
// not positive or below the track's threshold, and for zero groups.
std::vector<ProductionPoint> production_spectrum(const DarkBremsstrahlung &cross_section,
                                                 const TrackLength &track, double atoms_per_radiation_length,
                                                 const std::vector<double> &energy_edges,
                                                 std::size_t groups = 12);

// The energies between which `production_spectrum` merges the track, rising, without that of the beam.
std::vector<double> group_bounds(const std::vector<double> &edges, std::size_t groups = 12);

// A' from annihilation of the positrons of the track, with energies E+ + m_e above the lowest of
// `energy_edges`, for epsilon = 1 with the width of `cross_section`. Throws std::invalid_argument for empty
// edges.
std::vector<ProductionPoint> annihilation_spectrum(const ResonantAnnihilation &cross_section,
                                                   const TrackLength &track,
                                                   double atoms_per_radiation_length,
                                                   const std::vector<double> &energy_edges);

// The flux of chi2 from A' -> chi1 chi2, isotropic or, in annihilation, for an A' polarised across the beam:
// 16 energies for each production point.
struct Chi2Flux {
    std::vector<double> aprime_energy; // GeV
    std::vector<double> parent_energy; // GeV, of the e- or e+ that made the A'
    std::vector<double> chi2_energy;   // GeV
    std::vector<double> gamma_beta;    // momentum over mass of the chi2
    std::vector<double> origin;        // cm along the beam
    std::vector<double> weight;        // per electron on target
};

// `depth_scale` in cm per radiation length, `target_start` in cm. Throws std::domain_error for an unphysical
// model.
Chi2Flux chi2_flux(const InelasticModel &model, const std::vector<ProductionPoint> &production,
                   double depth_scale, double target_start);

// Expected decays between z = start and z = end (cm, end may be infinite and then counts all that pass start,
// decayed or not) per electron on target, for each c tau (cm, may be infinite); `acceptance` weighs each
// entry of the flux. All chi2 fly along the beam. Throws std::invalid_argument for sizes that
// differ and for start > end.
std::vector<double> decays_between(const Chi2Flux &flux, const std::vector<double> &acceptance,
                                   const std::vector<double> &ctau, double start, double end);

} // namespace na64root

#endif
