#include "bindings.hpp"
#include "columns.hpp"

#include "na64root/gun.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_detector(py::module_ &core) {
    py::enum_<Noise>(core, "Noise").value("off", Noise::off).value("on", Noise::on);
    py::enum_<LateralProfile>(core, "LateralProfile")
        .value("off", LateralProfile::off)
        .value("on", LateralProfile::on);
    py::class_<DetectorConfig>(core, "DetectorConfig", "Geometry and response; see detector.hpp. GeV, cm.")
        .def(py::init<>())
        .def_readwrite("ecal_start", &DetectorConfig::ecal_start)
        .def_readwrite("ecal_end", &DetectorConfig::ecal_end)
        .def_readwrite("ecal_layers", &DetectorConfig::ecal_layers)
        .def_readwrite("ecal_preshower_layers", &DetectorConfig::ecal_preshower_layers)
        .def_readwrite("ecal_lead_layer", &DetectorConfig::ecal_lead_layer)
        .def_readwrite("ecal_scintillator_layer", &DetectorConfig::ecal_scintillator_layer)
        .def_readwrite("ecal_cell", &DetectorConfig::ecal_cell)
        .def_readwrite("veto_start", &DetectorConfig::veto_start)
        .def_readwrite("veto_thickness", &DetectorConfig::veto_thickness)
        .def_readwrite("hcal_start", &DetectorConfig::hcal_start)
        .def_readwrite("hcal_end", &DetectorConfig::hcal_end)
        .def_readwrite("hcal_centre_x", &DetectorConfig::hcal_centre_x)
        .def_readwrite("hcal_centre_y", &DetectorConfig::hcal_centre_y)
        .def_readwrite("hcal_layers", &DetectorConfig::hcal_layers)
        .def_readwrite("hcal_iron_layer", &DetectorConfig::hcal_iron_layer)
        .def_readwrite("hcal_scintillator_layer", &DetectorConfig::hcal_scintillator_layer)
        .def_readwrite("hcal_cell_x", &DetectorConfig::hcal_cell_x)
        .def_readwrite("hcal_cell_y", &DetectorConfig::hcal_cell_y)
        .def_readwrite("ecal_stochastic", &DetectorConfig::ecal_stochastic)
        .def_readwrite("hcal_stochastic", &DetectorConfig::hcal_stochastic)
        .def_readwrite("ecal_noise", &DetectorConfig::ecal_noise)
        .def_readwrite("hcal_noise", &DetectorConfig::hcal_noise)
        .def_readwrite("veto_noise", &DetectorConfig::veto_noise)
        .def_readwrite("ecal_threshold", &DetectorConfig::ecal_threshold)
        .def_readwrite("hcal_threshold", &DetectorConfig::hcal_threshold)
        .def_readwrite("veto_threshold", &DetectorConfig::veto_threshold)
        .def_readwrite("noise", &DetectorConfig::noise)
        .def_readwrite("lateral_profile", &DetectorConfig::lateral_profile);
    py::enum_<GunParticle>(core, "GunParticle")
        .value("electron", GunParticle::electron)
        .value("pair", GunParticle::pair);
    py::enum_<GunVolume>(core, "GunVolume")
        .value("ecal", GunVolume::ecal)
        .value("hcal1", GunVolume::hcal1)
        .value("hcal2", GunVolume::hcal2)
        .value("hcal3", GunVolume::hcal3);
    py::class_<GunConfig>(core, "GunConfig", "What the particle gun shoots; see gun.hpp. GeV, cm.")
        .def(py::init<>())
        .def_readwrite("detector", &GunConfig::detector)
        .def_readwrite("particle", &GunConfig::particle)
        .def_readwrite("energy", &GunConfig::energy)
        .def_readwrite("pair_mass", &GunConfig::pair_mass)
        .def_readwrite("volume", &GunConfig::volume)
        .def_readwrite("offset_x", &GunConfig::offset_x)
        .def_readwrite("offset_y", &GunConfig::offset_y);
    core.def("gun_particle", &gun_particle, py::arg("name"), "Particle by name: e-, pair.");
    core.def("gun_volume", &gun_volume, py::arg("name"), "Volume by name: ecal, hcal1, hcal2, hcal3.");
    core.def(
        "simulate_gun",
        [](const GunConfig &config, std::uint64_t seed, std::uint64_t first_entry, py::ssize_t events) {
            if (events < 0)
                throw std::invalid_argument("a number of events is not negative");
            const GunGenerator generator(config);
            return columns_of<GunEvent>(events, 1, {}, [&](py::ssize_t i, GunEvent &event) {
                generator(seed, first_entry + static_cast<std::uint64_t>(i), event);
            });
        },
        py::arg("config"), py::arg("seed"), py::arg("first_entry"), py::arg("events"),
        "Events of the particle gun: a column (events, ...) for each branch of numbers; energies in GeV.");
}

} // namespace na64root::bindings
