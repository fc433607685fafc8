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
    module.attr("proton_mass") = units::proton_mass;
    module.attr("atomic_mass_unit") = units::atomic_mass_unit;
}

} // namespace na64root::bindings
