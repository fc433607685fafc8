// The inelastic dark-matter model: A' -> chi1 chi2, chi2 -> chi1 l l, its mediator's coupling and charges.
#ifndef NA64ROOT_MODEL_HPP
#define NA64ROOT_MODEL_HPP

#include <cmath>
#include <initializer_list>
#include <sstream>
#include <stdexcept>

#include "na64root/units.hpp"

namespace na64root {

// How a mediator couples to a fermion, with coupling c: c psibar gamma^mu psi, c psibar gamma^mu gamma^5 psi,
// c psibar psi or c i psibar gamma^5 psi. c is epsilon e q_f for the Standard Model, g_D for chi1 and chi2.
enum class Coupling { vector, axial, scalar, pseudoscalar };

inline bool is_spinless(Coupling coupling) {
    return coupling == Coupling::scalar || coupling == Coupling::pseudoscalar;
}

// Charges of a mediator: it couples to a fermion f of the Standard Model by epsilon e q_f, so that the
// gauge coupling of a symmetry is g = epsilon e. The default is kinetic mixing, the electric charges.
// Neutrinos are left-handed only.
struct MediatorCharges {
    double electron = -1.0, muon = -1.0, tau = -1.0;
    double electron_neutrino = 0.0, muon_neutrino = 0.0, tau_neutrino = 0.0;
    double up = 2.0 / 3.0, down = -1.0 / 3.0, strange = -1.0 / 3.0;

    // By its mass. Throws std::invalid_argument where no charged lepton has it.
    double of_lepton(double mass) const {
        if (mass == units::electron_mass)
            return electron;
        if (mass == units::muon_mass)
            return muon;
        if (mass == units::tau_mass)
            return tau;
        throw std::invalid_argument("no charged lepton has that mass");
    }

    // Sum of the squares of those of neutrinos.
    double neutrinos2() const {
        return electron_neutrino * electron_neutrino + muon_neutrino * muon_neutrino +
               tau_neutrino * tau_neutrino;
    }

    bool finite() const {
        for (const double charge :
             {electron, muon, tau, electron_neutrino, muon_neutrino, tau_neutrino, up, down, strange})
            if (!std::isfinite(charge))
                return false;
        return true;
    }
};

// One transition coupling g_D, vector in the paper (Eq. 1); alpha_dark = g_D^2/4pi. `mass` and A' are those
// of the mediator, whatever its spin.
struct InelasticModel {
    double mass;               // of the A'
    double epsilon;            // kinetic mixing; of other mediators g/e
    double alpha_dark;         // g_D^2/4pi
    double mass_ratio;         // R = m_A'/m_chi1
    double relative_splitting; // f = Delta/m_chi1
    MediatorCharges charges{};
    Coupling coupling = Coupling::vector; // of the mediator, to the Standard Model as to chi1 chi2

    double chi1_mass() const { return mass / mass_ratio; }
    double splitting() const { return relative_splitting * chi1_mass(); }
    double chi2_mass() const { return chi1_mass() + splitting(); }

    // Below it chi2 has no visible decay and is stable here.
    bool chi2_decays() const { return splitting() > 2.0 * units::electron_mass; }

    // Throws std::domain_error unless 0 < Delta < m_A' - 2 m_chi1 and all parameters are positive and finite.
    void validate() const {
        const auto positive = [](double value) { return value > 0.0 && std::isfinite(value); };
        if (!positive(mass) || !positive(alpha_dark) || !positive(mass_ratio) ||
            !positive(relative_splitting) || !(epsilon >= 0.0) || !std::isfinite(epsilon))
            throw std::domain_error("model parameters must be positive and finite");
        if (!charges.finite())
            throw std::domain_error("charges of the mediator must be finite");
        if (is_spinless(coupling) && charges.neutrinos2() > 0.0)
            throw std::domain_error("a mediator without spin has no charges of left-handed neutrinos");
        // The margin is for rounding: f = R - 2 is closed whatever the last digit says.
        if (!(splitting() < (mass - 2.0 * chi1_mass()) * (1.0 - 1e-12)) ||
            !(chi1_mass() + chi2_mass() < mass)) {
            std::ostringstream message;
            message << "A' -> chi1 chi2 is closed: Delta = " << splitting()
                    << " GeV is not below m_A' - 2 m_chi1 = " << mass - 2.0 * chi1_mass() << " GeV";
            throw std::domain_error(message.str());
        }
    }
};

// Largest alpha_D without a Landau pole below `scale`: 2 pi/(b ln(scale/m_A')), b = 4/3 (chi) + 4/3 (dark
// Higgs of charge 2). A bound to warn about; the paper quotes "about 0.2".
inline double landau_pole_bound(double mass, double scale = 1000.0 * units::GeV) {
    if (!(mass > 0.0) || !(scale > mass))
        throw std::domain_error("the Landau-pole bound needs 0 < mass < scale");
    return 2.0 * units::pi / (8.0 / 3.0 * std::log(scale / mass));
}

} // namespace na64root

#endif
