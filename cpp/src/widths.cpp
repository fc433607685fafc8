#include "na64root/widths.hpp"

#include <limits>

#include "quadrature.hpp"

namespace na64root {

namespace {

// dGamma/dq^2 from factors that the caller knows without cancellation: the squared lepton velocity in the
// pair's frame, 1 - 4 m_l^2/q^2, and Delta^2 - q^2.
double width_density(const InelasticModel &model, double q2, double velocity2, double delta2_minus_q2) {
    if (!(velocity2 > 0.0) || !(delta2_minus_q2 > 0.0))
        return 0.0;
    const double m2 = model.chi2_mass(), sum = model.chi1_mass() + m2;
    const double momentum = std::sqrt(delta2_minus_q2 * (sum * sum - q2)) / (2.0 * m2);
    const double lepton = (1.5 - 0.5 * velocity2) * std::sqrt(velocity2) / (6.0 * units::pi);
    const double q2_times_current = 2.0 * delta2_minus_q2 * (sum * sum + 2.0 * q2);
    const double propagator = q2 - model.mass * model.mass;
    const double couplings =
        4.0 * units::pi * model.alpha_dark * 4.0 * units::pi * units::alpha * model.epsilon * model.epsilon;
    return couplings / (4.0 * m2 * 2.0 * units::pi) * momentum / (4.0 * units::pi * m2) * lepton *
           q2_times_current / (propagator * propagator);
}

void require_vector(const InelasticModel &model) {
    if (model.coupling != Coupling::vector)
        throw std::invalid_argument("decays of chi2 are those of a vector mediator");
}

// Gamma over alpha M of a mediator to two fermions, sigma and delta the squares of the sum and of the
// difference of their masses over M^2.
double pair_width(Coupling coupling, double sigma, double delta) {
    const double sum = std::sqrt(1.0 - sigma), difference = std::sqrt(1.0 - delta);
    switch (coupling) {
    case Coupling::axial:
        return sum * sum * sum * difference * (1.0 + 0.5 * delta) / 3.0;
    case Coupling::scalar:
        return sum * sum * sum * difference / 2.0;
    case Coupling::pseudoscalar:
        return sum * difference * difference * difference / 2.0;
    case Coupling::vector:
        break;
    }
    return sum * std::pow(1.0 - delta, 1.5) * (1.0 + 0.5 * sigma) / 3.0;
}

} // namespace

double chi2_width_density(const InelasticModel &model, double lepton_mass, double q2) {
    require_vector(model);
    const double charge = model.charges.of_lepton(lepton_mass);
    const double delta = model.splitting(), threshold = 4.0 * lepton_mass * lepton_mass;
    if (!(q2 > threshold))
        return 0.0;
    const double q = std::sqrt(q2);
    return charge * charge * width_density(model, q2, 1.0 - threshold / q2, (delta - q) * (delta + q));
}

Estimate chi2_width_to_leptons(const InelasticModel &model, double lepton_mass) {
    model.validate();
    require_vector(model);
    const double charge2 = std::pow(model.charges.of_lepton(lepton_mass), 2);
    if (!(model.splitting() > 2.0 * lepton_mass) || !(charge2 > 0.0))
        return {};
    // q = 2 m_l cosh(eta): the lepton velocity is tanh(eta), and Delta - q follows from the difference of the
    // etas.
    const double eta_max = std::acosh(model.splitting() / (2.0 * lepton_mass));
    return quadrature::integrate<31>(
        [&](double eta) {
            const double q = 2.0 * lepton_mass * std::cosh(eta), velocity = std::tanh(eta);
            const double delta_minus_q =
                4.0 * lepton_mass * std::sinh(0.5 * (eta_max + eta)) * std::sinh(0.5 * (eta_max - eta));
            const double density =
                width_density(model, q * q, velocity * velocity, delta_minus_q * (model.splitting() + q));
            return charge2 * density * 4.0 * q * lepton_mass * std::sinh(eta);
        },
        {0.0, eta_max}, 1e-8, "the width of chi2");
}

Estimate chi2_width_to_neutrinos(const InelasticModel &model) {
    model.validate();
    require_vector(model);
    const double charges2 = model.charges.neutrinos2(), delta = model.splitting();
    if (!(charges2 > 0.0))
        return {};
    // q = Delta sin(a): the root of Delta^2 - q^2 at the upper end is smooth.
    return quadrature::integrate<31>(
        [&](double a) {
            const double q = delta * std::sin(a), rest = delta * std::cos(a);
            return 0.5 * charges2 * width_density(model, q * q, 1.0, rest * rest) * 2.0 * q * rest;
        },
        {0.0, 0.5 * units::pi}, 1e-8, "the width of chi2 to neutrinos");
}

double chi2_width_leading_order(const InelasticModel &model) {
    return 4.0 * model.epsilon * model.epsilon * units::alpha * model.alpha_dark *
           std::pow(model.splitting(), 5) / (15.0 * units::pi * std::pow(model.mass, 4));
}

double chi2_width(const InelasticModel &model, WidthFormula formula) {
    if (formula == WidthFormula::paper) {
        model.validate();
        require_vector(model);
        if (model.charges.electron != -1.0 || model.charges.neutrinos2() > 0.0)
            throw std::invalid_argument("the paper's width of chi2 is that of kinetic mixing");
        return model.chi2_decays() ? paper_k_factor * chi2_width_leading_order(model) : 0.0;
    }
    return chi2_width_to_leptons(model, units::electron_mass).value +
           chi2_width_to_leptons(model, units::muon_mass).value + chi2_width_to_neutrinos(model).value;
}

double chi2_branching_to_electrons(const InelasticModel &model, WidthFormula formula) {
    model.validate();
    if (!model.chi2_decays())
        return 0.0;
    if (formula == WidthFormula::paper)
        return 1.0;
    InelasticModel unit = model;
    unit.epsilon = 1.0; // the ratio does not depend on it, and it may be zero
    return chi2_width_to_leptons(unit, units::electron_mass).value / chi2_width(unit, formula);
}

double chi2_ctau(const InelasticModel &model, WidthFormula formula) {
    const double width = chi2_width(model, formula);
    return width > 0.0 ? units::hbar_c / width : std::numeric_limits<double>::infinity();
}

double chi2_k_factor(const InelasticModel &model) {
    InelasticModel unit = model;
    unit.epsilon = 1.0;
    return chi2_width_to_leptons(unit, units::electron_mass).value / chi2_width_leading_order(unit);
}

double aprime_width_to_chi(const InelasticModel &model) {
    model.validate();
    const double mass2 = model.mass * model.mass;
    const double sum = (model.chi1_mass() + model.chi2_mass());
    return model.alpha_dark * model.mass *
           pair_width(model.coupling, sum * sum / mass2, model.splitting() * model.splitting() / mass2);
}

double aprime_width_to_leptons(const InelasticModel &model, double lepton_mass) {
    model.validate();
    const double charge = model.charges.of_lepton(lepton_mass);
    const double ratio = lepton_mass * lepton_mass / (model.mass * model.mass);
    if (!(ratio < 0.25))
        return 0.0;
    return charge * charge * units::alpha * model.epsilon * model.epsilon * model.mass *
           pair_width(model.coupling, 4.0 * ratio, 0.0);
}

double aprime_width_to_neutrinos(const InelasticModel &model) {
    model.validate();
    return model.charges.neutrinos2() * units::alpha * model.epsilon * model.epsilon * model.mass / 6.0;
}

double aprime_width(const InelasticModel &model) {
    return aprime_width_to_chi(model) + aprime_width_to_leptons(model, units::electron_mass) +
           aprime_width_to_leptons(model, units::muon_mass) + aprime_width_to_neutrinos(model);
}

} // namespace na64root
