// The form factor of an atom in dark bremsstrahlung.
#ifndef NA64ROOT_FORM_FACTOR_HPP
#define NA64ROOT_FORM_FACTOR_HPP

#include <cmath>
#include <stdexcept>

#include "na64root/materials.hpp"

namespace na64root {

// G2(t) of arXiv:0906.0580, App. A: elastic (screening, nuclear size) and inelastic (atomic electrons,
// dipole) parts, t = -q^2 in GeV^2. The members are public so that a limit (no nuclear size, no inelastic
// part) can be made for a test.
struct FormFactor {
    double atomic_number = 0.0;
    double screening2 = 0.0;           // a^2 (GeV^-2), a = 111 Z^(-1/3)/m_e
    double nuclear_size = 0.0;         // d (GeV^2) = 0.164 A^(-2/3)
    double inelastic_screening2 = 0.0; // a'^2 (GeV^-2), a' = 773 Z^(-2/3)/m_e
    bool inelastic = true;

    static FormFactor of(const Element &element) {
        if (!(element.atomic_number > 0.0) || !(element.atomic_mass > 0.0))
            throw std::domain_error("a form factor needs positive Z and A");
        const double z = element.atomic_number;
        const double a = 111.0 / std::cbrt(z) / units::electron_mass;
        const double a_prime = 773.0 / std::cbrt(z * z) / units::electron_mass;
        return {z, a * a, 0.164 / std::cbrt(element.atomic_mass * element.atomic_mass), a_prime * a_prime,
                true};
    }

    double elastic_part(double t) const {
        const double scaled = screening2 * t;
        const double root = atomic_number * scaled * nuclear_size / ((1.0 + scaled) * (nuclear_size + t));
        return root * root;
    }

    double inelastic_part(double t) const {
        constexpr double magnetic_moment = 2.79; // of the proton, nuclear magnetons (arXiv:0906.0580)
        constexpr double dipole = 0.71;          // GeV^2 (arXiv:0906.0580)
        constexpr double magnetic =
            (magnetic_moment * magnetic_moment - 1.0) / (4.0 * units::proton_mass * units::proton_mass);
        const double scaled = inelastic_screening2 * t;
        const double base = 1.0 + t * (1.0 / dipole);
        const double base2 = base * base;
        const double root = scaled * (1.0 + t * magnetic) / ((1.0 + scaled) * base2 * base2);
        return atomic_number * root * root;
    }

    double operator()(double t) const { return elastic_part(t) + (inelastic ? inelastic_part(t) : 0.0); }
};

} // namespace na64root

#endif
