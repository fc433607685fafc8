#include "na64root/magnetic_moment.hpp"

#include "na64root/units.hpp"
#include "quadrature.hpp"

namespace na64root {
namespace {

// N(z) of the header, rest = 1 - z.
double numerator(Coupling coupling, double z, double rest, double ratio2) {
    switch (coupling) {
    case Coupling::axial: // the longitudinal part is the pseudoscalar with 2 m/M
        return -2.0 * z * rest * (3.0 + z) - 4.0 * rest * rest * rest / ratio2;
    case Coupling::scalar:
        return rest * rest * (1.0 + z);
    case Coupling::pseudoscalar:
        return -rest * rest * rest;
    case Coupling::vector:
        break;
    }
    return 2.0 * z * rest * rest;
}

} // namespace

double magnetic_moment(double lepton_mass, double mass, double epsilon, Coupling coupling) {
    if (!(lepton_mass > 0.0) || !(mass > 0.0) || !std::isfinite(mass) || !std::isfinite(epsilon))
        throw std::domain_error("the magnetic moment needs positive, finite masses and a finite epsilon");
    const double ratio2 = mass * mass / (lepton_mass * lepton_mass);
    // z = s^2 smooths the corner at z = 0 that a light mediator has.
    const auto loop = quadrature::integrate<31>(
        [&](double s) {
            const double z = s * s, rest = 1.0 - z;
            return 2.0 * s * numerator(coupling, z, rest, ratio2) / (rest * rest + ratio2 * z);
        },
        {0.0, 1.0}, 1e-8, "the loop integral of the magnetic moment");
    return units::alpha * epsilon * epsilon / (2.0 * units::pi) * loop.value;
}

double epsilon_of_magnetic_moment(double lepton_mass, double mass, double moment, Coupling coupling) {
    const double of_one = magnetic_moment(lepton_mass, mass, 1.0, coupling);
    if (!(moment / of_one > 0.0))
        throw std::domain_error("no epsilon gives a magnetic moment of zero or of this sign");
    return std::sqrt(moment / of_one);
}

} // namespace na64root
