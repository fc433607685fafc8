#include "bindings.hpp"

#include "na64root/thick_target.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

py::array_t<double> to_array(const std::vector<double> &values) {
    return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
}

} // namespace

void register_cascade(py::module_ &core) {
    py::class_<TrackLength>(
        core, "TrackLength",
        "Mean track length of e- and e+ in a shower, in radiation lengths per bin of energy (GeV).")
        .def_readonly("beam_energy", &TrackLength::beam_energy)
        .def_property_readonly("edges", [](const TrackLength &self) { return to_array(self.edges); })
        .def_property_readonly("primary", [](const TrackLength &self) { return to_array(self.primary); })
        .def_property_readonly("all", [](const TrackLength &self) { return to_array(self.all); })
        .def_property_readonly("depth_moment",
                               [](const TrackLength &self) { return to_array(self.depth_moment); })
        .def_property_readonly("primary_depth_moment",
                               [](const TrackLength &self) { return to_array(self.primary_depth_moment); });
    core.def("track_length", &track_length, py::arg("material"), py::arg("beam_energy"), py::arg("threshold"),
             py::arg("bins") = 200, py::arg("beam_charge") = -1, py::call_guard<py::gil_scoped_release>(),
             "Solves the transport equation of the cascade above `threshold` (GeV); see cascade.hpp.");
    core.def(
        "radiation_coefficient",
        [](const Material &material) { return CascadeCoefficients::of(material).linear(); },
        py::arg("material"), "4/3 + c of the photon spectrum at complete screening (PDG 2020, Eq. 34.28).");
    core.def(
        "sample_cascade",
        [](const Material &material, double beam_energy, double threshold, std::uint64_t seed,
           std::uint64_t first_entry, py::ssize_t showers) {
            std::vector<double> entry, energy, depth, length;
            std::vector<int> charge;
            std::vector<bool> primary;
            {
                py::gil_scoped_release release;
                const CascadeSampler sampler(material, threshold);
                for (py::ssize_t i = 0; i < showers; ++i) {
                    Random random(seed, first_entry + static_cast<std::uint64_t>(i), Stream::cascade);
                    for (const auto &step : sampler(beam_energy, random)) {
                        entry.push_back(static_cast<double>(i));
                        energy.push_back(step.energy);
                        depth.push_back(step.depth);
                        length.push_back(step.length);
                        charge.push_back(step.charge);
                        primary.push_back(step.primary);
                    }
                }
            }
            py::dict steps;
            steps["shower"] = to_array(entry);
            steps["energy"] = to_array(energy);
            steps["depth"] = to_array(depth);
            steps["length"] = to_array(length);
            steps["charge"] = py::array_t<int>(static_cast<py::ssize_t>(charge.size()), charge.data());
            py::array_t<bool> flags(static_cast<py::ssize_t>(primary.size()));
            for (std::size_t i = 0; i < primary.size(); ++i)
                flags.mutable_at(i) = primary[i];
            steps["primary"] = flags;
            return steps;
        },
        py::arg("material"), py::arg("beam_energy"), py::arg("threshold"), py::arg("seed"),
        py::arg("first_entry"), py::arg("showers"),
        "Monte Carlo showers above `threshold`: arrays shower, energy (GeV), depth and length (X0), charge, "
        "primary.");
}

void register_thick_target(py::module_ &core) {
    py::class_<Chi2Flux>(core, "Chi2Flux",
                         "Quadrature points of the chi2 behind the target; arrays of one length.")
        .def_property_readonly("aprime_energy",
                               [](const Chi2Flux &self) { return to_array(self.aprime_energy); })
        .def_property_readonly("parent_energy",
                               [](const Chi2Flux &self) { return to_array(self.parent_energy); })
        .def_property_readonly("chi2_energy", [](const Chi2Flux &self) { return to_array(self.chi2_energy); })
        .def_property_readonly("gamma_beta", [](const Chi2Flux &self) { return to_array(self.gamma_beta); })
        .def_property_readonly("origin", [](const Chi2Flux &self) { return to_array(self.origin); })
        .def_property_readonly("weight", [](const Chi2Flux &self) { return to_array(self.weight); });
    py::class_<ProductionPoint>(core, "ProductionPoint",
                                "A' energy (GeV), depth (X0), weight per electron and mass (GeV).")
        .def(py::init([](double energy, double depth, double weight, double mass) {
                 return ProductionPoint{energy, depth, weight, mass, ProductionProcess::dark_bremsstrahlung};
             }),
             py::arg("energy"), py::arg("depth"), py::arg("weight"), py::arg("mass"),
             "An A' of bremsstrahlung that others made.")
        .def_readonly("energy", &ProductionPoint::energy)
        .def_readonly("depth", &ProductionPoint::depth)
        .def_readonly("weight", &ProductionPoint::weight)
        .def_readonly("mass", &ProductionPoint::mass);
    core.def("production_spectrum", &production_spectrum, py::arg("cross_section"), py::arg("track"),
             py::arg("atoms_per_radiation_length"), py::arg("energy_edges"), py::arg("groups") = 12,
             py::call_guard<py::gil_scoped_release>(), "A' per electron on target; see thick_target.hpp.");
    core.def("group_bounds", &group_bounds, py::arg("edges"), py::arg("groups") = 12,
             "Energies between which a production spectrum merges the track, rising (GeV).");
    core.def("annihilation_spectrum", &annihilation_spectrum, py::arg("cross_section"), py::arg("track"),
             py::arg("atoms_per_radiation_length"), py::arg("energy_edges"),
             py::call_guard<py::gil_scoped_release>(),
             "A' of annihilation per electron on target at epsilon = 1; see thick_target.hpp.");
    core.def("chi2_flux", &chi2_flux, py::arg("model"), py::arg("production"), py::arg("depth_scale"),
             py::arg("target_start"), py::call_guard<py::gil_scoped_release>(),
             "The chi2 from the A' of a production spectrum; depth_scale in cm per X0, target_start in cm.");
    core.def(
        "decays_between",
        [](const Chi2Flux &flux, const std::vector<double> &acceptance, const std::vector<double> &ctau,
           double start, double end) {
            std::vector<double> expected;
            {
                py::gil_scoped_release release;
                expected = decays_between(flux, acceptance, ctau, start, end);
            }
            return to_array(expected);
        },
        py::arg("flux"), py::arg("acceptance"), py::arg("ctau"), py::arg("start"), py::arg("end"),
        "Expected decays in [start, end] (cm) per electron on target, (n_ctau,); end = inf counts all beyond "
        "start.");
}

} // namespace na64root::bindings
