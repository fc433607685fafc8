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

// Takes vectors from the rest frame of a particle of mass `mass` and laboratory momentum `frame` to the
// laboratory. No division by the velocity: exact for a frame at rest.
class Boost {
  public:
    Boost(const FourVector &frame, double mass) {
        const double inverse_mass = 1.0 / mass;
        gamma_ = frame.energy * inverse_mass;
        x_ = frame.x * inverse_mass;
        y_ = frame.y * inverse_mass;
        z_ = frame.z * inverse_mass;
        inverse_gamma_plus_one_ = mass / (frame.energy + mass);
    }

    FourVector operator()(const FourVector &v) const {
        const double along = x_ * v.x + y_ * v.y + z_ * v.z; // gamma beta . v
        const double factor = along * inverse_gamma_plus_one_ + v.energy;
        return {gamma_ * v.energy + along, v.x + x_ * factor, v.y + y_ * factor, v.z + z_ * factor};
    }

  private:
    double gamma_, x_, y_, z_; // gamma and gamma beta
    double inverse_gamma_plus_one_;
};

// Momentum of the daughters in m -> m1 m2; 0 at and below threshold.
double two_body_momentum(double mass, double mass1, double mass2);

// A unit vector (its energy 0) of the given polar cosine; azimuth 2 pi u.
FourVector unit_vector(double cosine, double u);
inline FourVector isotropic_direction(Random &random) {
    const double cosine = random.uniform(-1.0, 1.0);
    return unit_vector(cosine, random.uniform());
}

struct TwoBodyDecay {
    FourVector first, second;
};

// parent -> first second, with `first` along `direction` in the rest frame. Throws std::domain_error where it
// is closed.
TwoBodyDecay two_body_decay(const FourVector &parent, double mass, double mass1, double mass2,
                            const FourVector &direction);

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
    double q_at(double cumulative) const;
    double pair_energy(double q2) const; // in the chi2 frame

    InelasticModel model_;
    DecayModel decay_;
    double lepton_mass_;
    double chi1_mass_, chi2_mass_, splitting_;
    // At a node of the table: the density in eta, normalised, and its slope to the next node.
    struct Node {
        double cumulative = 0.0, density = 0.0, slope = 0.0, cosh = 0.0, sinh = 0.0;
    };

    double step_; // in eta
    std::vector<Node> nodes_;
    std::vector<std::size_t> guide_; // first cell whose cumulative reaches i/size
    std::vector<double> quantiles_;  // q^2 at equal steps of probability, for averages
};

} // namespace na64root

#endif
