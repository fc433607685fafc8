#include "na64root/magnetic_moment.hpp"

#include "na64root/units.hpp"
#include "quadrature.hpp"

namespace na64root {

double magnetic_moment(double lepton_mass, double mass, double epsilon) {
    if (!(lepton_mass > 0.0) || !(mass > 0.0) || !std::isfinite(mass) || !std::isfinite(epsilon))
        throw std::domain_error("the magnetic moment needs positive, finite masses and a finite epsilon");
    const double ratio2 = mass * mass / (lepton_mass * lepton_mass);
    // z = s^2 smooths the corner at z = 0 that a light vector has.
    const auto loop = quadrature::integrate<31>(
        [&](double s) {
            const double z = s * s, rest = 1.0 - z;
            return 2.0 * s * 2.0 * z * rest * rest / (rest * rest + ratio2 * z);
        },
        {0.0, 1.0}, 1e-8, "the loop integral of the magnetic moment");
    return units::alpha * epsilon * epsilon / (2.0 * units::pi) * loop.value;
}

double epsilon_of_magnetic_moment(double lepton_mass, double mass, double moment) {
    if (!(moment > 0.0))
        throw std::domain_error("no epsilon gives a magnetic moment that is not positive");
    return std::sqrt(moment / magnetic_moment(lepton_mass, mass, 1.0));
}

} // namespace na64root
