#include "bindings.hpp"

#include "na64root/units.hpp"

namespace na64root::bindings {

void register_units(pybind11::module_ &core) {
    auto module = core.def_submodule("units", "Constants and units; native units are GeV and cm.");
    module.attr("cm") = units::cm;
    module.attr("hbar_c") = units::hbar_c;
    module.attr("inverse_GeV2_in_pb") = units::inverse_GeV2_in_pb;
    module.attr("alpha") = units::alpha;
    module.attr("avogadro") = units::avogadro;
    module.attr("pb_in_cm2") = units::pb_in_cm2;
    module.attr("electron_mass") = units::electron_mass;
    module.attr("muon_mass") = units::muon_mass;
    module.attr("tau_mass") = units::tau_mass;
    module.attr("proton_mass") = units::proton_mass;
    module.attr("atomic_mass_unit") = units::atomic_mass_unit;
    module.attr("pion_mass") = units::pion_mass;
    module.attr("neutral_pion_mass") = units::neutral_pion_mass;
    module.attr("neutral_pion_to_photons") = units::neutral_pion_to_photons;
    module.attr("eta_mass") = units::eta_mass;
    module.attr("eta_to_photons") = units::eta_to_photons;
    module.attr("rho_mass") = units::rho_mass;
    module.attr("rho_width") = units::rho_width;
    module.attr("rho_1450_mass") = units::rho_1450_mass;
    module.attr("rho_1450_width") = units::rho_1450_width;
    module.attr("omega_mass") = units::omega_mass;
    module.attr("omega_width") = units::omega_width;
    module.attr("omega_to_electrons") = units::omega_to_electrons;
    module.attr("phi_mass") = units::phi_mass;
    module.attr("phi_width") = units::phi_width;
    module.attr("phi_to_electrons") = units::phi_to_electrons;
    module.attr("planck_mass") = units::planck_mass;
    module.attr("entropy_today") = units::entropy_today;
    module.attr("critical_density") = units::critical_density;
    module.attr("dark_matter_density") = units::dark_matter_density;
}

} // namespace na64root::bindings
