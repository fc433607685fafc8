// Resonant annihilation e+ e- -> A' -> chi1 chi2 of cascade positrons on atomic electrons.
#ifndef NA64ROOT_ANNIHILATION_HPP
#define NA64ROOT_ANNIHILATION_HPP

#include <vector>

#include "na64root/cascade.hpp"
#include "na64root/estimate.hpp"
#include "na64root/materials.hpp"
#include "na64root/model.hpp"

namespace na64root {

enum class ProductionProcess : int { dark_bremsstrahlung = 0, annihilation = 1 };

// A quadrature point of annihilation along the track: energy of the positron in GeV, its mean depth in
// radiation lengths, weight in pb times radiation lengths.
struct AnnihilationPoint {
    double energy;
    double depth;
    double weight;
};

// Cross section per atom, Z electrons at rest (arXiv:2108.04195; Breit-Wigner with spin factors (2J+1)/4):
//   sigma(s) = 4 pi (2J+1)/(s beta_e^2) s Gamma_ee(sqrt s) Gamma_chi(sqrt s)/((s - M^2)^2 + M^2 Gamma^2),
//   s = 2 m_e^2 + 2 m_e E+,  beta_e^2 = 1 - 4 m_e^2/s,
// partial widths with M -> sqrt s at fixed m_chi1, m_chi2; Gamma the total width at M. Binding and motion of
// the electrons are left out: they smear E+, which moves little in a
// yield, where the track length is smooth. J is 1 for vectors and axial vectors, else 0; of an axial vector
// off its peak a part with J = 0 of the size of (m_e m_chi/M^2)^2 is left out. Not part of the paper's
// search.
class ResonantAnnihilation {
  public:
    // Throws std::domain_error for an unphysical model and an atomic number that is not positive.
    ResonantAnnihilation(const InelasticModel &model, double atomic_number);

    // E+ at which s = M^2 (GeV): 88.06 at M = 0.3 GeV. Below m_e, and of no meaning, for M < 2 m_e.
    double resonance_energy() const;

    // GeV^2 for a positron of `energy` on an electron at rest.
    double s(double energy) const;

    // pb per atom; 0 below s = (m_chi1 + m_chi2)^2 or (2 m_e)^2. Throws std::domain_error for an energy below
    // the electron mass or not finite.
    double cross_section(double positron_energy) const;

    // The same over epsilon^2. It depends on epsilon only through the total width, alpha eps^2/alpha_D of it.
    double reduced_cross_section(double positron_energy) const;

    // int dE dL/dE sigma(E) over the track of the positrons in pb times radiation lengths; times atoms per
    // cm^2 in a radiation length and pb_in_cm2 it is the A' per electron on target. Integrated in
    // asinh((s - M^2)/(M Gamma)), so any width is safe. Throws std::runtime_error without convergence.
    Estimate track_integral(const TrackLength &track, double relative_tolerance = 1e-6) const;

    // The same integral over epsilon^2 as a sum of weights, to 1e-3, for what depends on the energy. No
    // point's range straddles one of `energy_edges` (of the positron, GeV).
    std::vector<AnnihilationPoint> track_points(const TrackLength &track,
                                                const std::vector<double> &energy_edges) const;

  private:
    double smooth_part(double s) const; // sigma times the denominator, pb GeV^4

    InelasticModel model_;
    double atomic_number_;
    double width_; // total
};

} // namespace na64root

#endif
