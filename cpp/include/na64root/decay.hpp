// A' -> chi1 chi2 and chi2 -> chi1 l l: densities and samplers.
#ifndef NA64ROOT_DECAY_HPP
#define NA64ROOT_DECAY_HPP

#include <cmath>
#include <vector>

#include "na64root/model.hpp"
#include "na64root/random.hpp"

namespace na64root {

// Energy and momentum in GeV.
struct FourVector {
    double energy, x, y, z;

    double momentum() const { return std::sqrt(x * x + y * y + z * z); }
    double mass2() const { return energy * energy - (x * x + y * y + z * z); }
};

inline FourVector operator+(const FourVector &a, const FourVector &b) {
    return {a.energy + b.energy, a.x + b.x, a.y + b.y, a.z + b.z};
}

// A vector given in the rest frame of a particle of mass `mass` and laboratory momentum `frame`, seen in the
// laboratory.
inline FourVector boosted(const FourVector &v, const FourVector &frame, double mass) {
    const double gamma = frame.energy / mass;
    const double along = (frame.x * v.x + frame.y * v.y + frame.z * v.z) / mass; // gamma beta . v
    const double factor = along / (gamma + 1.0) + v.energy;
    return {gamma * v.energy + along, v.x + frame.x / mass * factor, v.y + frame.y / mass * factor,
            v.z + frame.z / mass * factor};
}

// Momentum of the daughters in m -> m1 m2; 0 at and below threshold.
double two_body_momentum(double mass, double mass1, double mass2);

struct AprimeDecay {
    FourVector chi1, chi2;
};

// A' -> chi1 chi2, isotropic in the rest frame of the A' (averaged over its polarisation).
AprimeDecay decay_aprime(const InelasticModel &model, const FourVector &aprime, Random &random);

enum class DecayModel {
    matrix_element, // tree level, vector coupling: q^2 shape and lepton angle in the pair's frame
    phase_space,    // flat in the Dalitz plot
};

struct Chi2Decay {
    FourVector chi1, lepton_minus, lepton_plus;
};

// chi2 -> chi1 l l at fixed masses, spin of chi2 averaged. Built once from a table of the q^2 density in eta,
// q = 2 m_l cosh(eta), which is linear between nodes (512); sampling inverts it exactly, without rejection.
// Throws std::domain_error for an unphysical model or a closed channel.
class Chi2Decayer {
  public:
    explicit Chi2Decayer(const InelasticModel &model, DecayModel decay = DecayModel::matrix_element,
                         double lepton_mass = units::electron_mass);

    double chi2_mass() const { return chi2_mass_; }

    // Normalised density of q^2, the squared mass of the lepton pair (GeV^-2).
    double density(double q2) const;

    double sample_q2(Random &random) const;
    Chi2Decay operator()(const FourVector &chi2, Random &random) const;

    // Mean of the pair's energy in the chi2 frame and of q^2 (GeV, GeV^2), from the table.
    double mean_pair_energy() const;
    double mean_q2() const;

    // Probability that the pair's laboratory energy exceeds `threshold` for a chi2 of `chi2_energy`,
    // isotropic.
    double fraction_above(double threshold, double chi2_energy) const;

  private:
    double unnormalised_density(double q2) const;
    double q2_at(double cumulative) const;
    double pair_energy(double q2) const; // in the chi2 frame

    InelasticModel model_;
    DecayModel decay_;
    double lepton_mass_;
    double chi1_mass_, chi2_mass_, splitting_;
    double step_;                     // in eta
    std::vector<double> eta_density_; // at the nodes, normalised
    std::vector<double> cumulative_;
    std::vector<std::size_t> guide_; // first cell whose cumulative reaches i/size
    std::vector<double> quantiles_;  // q^2 at equal steps of probability, for averages
};

} // namespace na64root

#endif
