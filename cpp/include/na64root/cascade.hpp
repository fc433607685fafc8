// The high-energy part of the electromagnetic cascade: electrons, positrons and photons above a threshold.
#ifndef NA64ROOT_CASCADE_HPP
#define NA64ROOT_CASCADE_HPP

#include <vector>

#include "na64root/materials.hpp"
#include "na64root/random.hpp"

namespace na64root {

// Bremsstrahlung and pair production at complete screening (Tsai, Rev. Mod. Phys. 46, 815 (1974); PDG 2020,
// Eqs. 34.28, 34.31), per radiation length:
//   dn/dt dy = [(4/3 + c)(1-y) + y^2]/y,   dn/dt dx = 1 - (4/3 + c) x(1-x),
// y = k/E, x = E_e/k, and c the correction of (1/9)(Z^2+Z)/(Z^2 (L_rad - f) + Z L'_rad). No ionisation and no
// LPM suppression: valid above about 1 GeV and below about 300 GeV in lead.
struct CascadeCoefficients {
    double correction; // c

    static CascadeCoefficients of(const Material &material);

    double linear() const { return 4.0 / 3.0 + correction; }
    // Conversions of a photon per radiation length.
    double conversion_rate() const { return 1.0 - linear() / 6.0; }
};

// Mean track length of e- and e+ in one shower of an electron or a positron, in bins of ln(E0/E) of equal
// width, the first one divided further.
struct TrackLength {
    double beam_energy;               // GeV
    std::vector<double> edges;        // GeV, bins + 1, falling from the beam energy to the threshold
    std::vector<double> primary;      // of the incoming particle, in radiation lengths, per bin
    std::vector<double> all;          // e- and e+ with the secondaries
    std::vector<double> depth_moment; // length times depth, in radiation lengths squared, per bin
    std::vector<double> primary_depth_moment;
    int beam_charge = -1; // of the incoming particle
    // Half of the secondaries, and the incoming particle where it is one.
    double positron(std::size_t bin) const { return positrons(all, primary, bin); }
    // Mean depth of the positrons in radiation lengths; 0 where there are none.
    double positron_depth(std::size_t bin) const {
        const double length = positron(bin);
        return length > 0.0 ? positrons(depth_moment, primary_depth_moment, bin) / length : 0.0;
    }
    double electron(std::size_t bin) const { return all[bin] - positron(bin); }

  private:
    double positrons(const std::vector<double> &of_all, const std::vector<double> &of_primary,
                     std::size_t bin) const {
        return 0.5 * (of_all[bin] - of_primary[bin]) + (beam_charge > 0 ? of_primary[bin] : 0.0);
    }
};

// Solves the transport equation, integrated over depth (nothing leaks at these energies), without Monte
// Carlo: every electron crosses each energy once, so int g(l') [W(l-l') - V(l-l')] dl' = 1, l = ln(E0/E),
// with W the rate of falling below and V of making electrons above. Accuracy about 0.1 % for 100 bins or
// more. Electrons and positrons radiate alike; beam_charge says what the incoming one is. Throws
// std::invalid_argument unless 0 < threshold < beam_energy, bins > 0 and the charge is -1 or 1.
TrackLength track_length(const Material &material, double beam_energy, double threshold,
                         std::size_t bins = 200, int beam_charge = -1);

// A straight piece of a track between two hard photons; energy in GeV at its middle, depth and length in
// radiation lengths along the beam.
struct TrackStep {
    double energy;
    double depth; // of its start
    double length;
    int charge;
    bool primary;
    int parent; // index of the step at whose end this one began (with a photon between the two or not), or -1
};

// A particle that fell below the threshold and showers on, unfollowed.
struct ShowerParticle {
    double energy; // GeV
    double depth;  // radiation lengths along the beam
    int charge;    // 0 for a photon
    int parent;    // index of the step it comes from, or -1
};

struct CascadeShower {
    std::vector<TrackStep> steps;          // parents come before their children
    std::vector<ShowerParticle> particles; // below the threshold
};

// One shower, by Monte Carlo from the same rates: photons below a hundredth of the threshold are a continuous
// loss.
class CascadeSampler {
  public:
    // Throws std::invalid_argument for a threshold that is not positive.
    CascadeSampler(const Material &material, double threshold);
    std::vector<TrackStep> operator()(double beam_energy, Random &random) const;

    // The same shower, with the particles that leave it downwards. Their energies and the continuous loss,
    // soft_loss times the length of the steps, add up to the beam energy.
    CascadeShower shower(double beam_energy, Random &random) const;

    // Energy in GeV per radiation length that goes to photons below a hundredth of the threshold.
    double soft_loss() const { return 0.01 * threshold_ * coefficients_.linear(); }

  private:
    CascadeCoefficients coefficients_;
    double threshold_;
};

} // namespace na64root

#endif
