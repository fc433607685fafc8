#include "bindings.hpp"

#include "na64root/annihilation.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_annihilation(py::module_ &core) {
    py::class_<ResonantAnnihilation>(
        core, "ResonantAnnihilation",
        "Cross sections of e+ e- -> A' -> chi1 chi2 on atomic electrons, per atom in pb.\n\n"
        "Raises ValueError for an unphysical model, an atomic number that is not positive, and energies "
        "below "
        "the electron mass.")
        .def(py::init<const InelasticModel &, double>(), py::arg("model"), py::arg("atomic_number"))
        .def_property_readonly("resonance_energy", &ResonantAnnihilation::resonance_energy)
        .def(
            "cross_section",
            [](const ResonantAnnihilation &self, const py::array_t<double> &positron_energy) {
                return py::vectorize([&](double energy) { return self.cross_section(energy); })(
                    positron_energy);
            },
            py::arg("positron_energy"), "pb per atom for energies in GeV; any shape.")
        .def(
            "track_integral", &ResonantAnnihilation::track_integral, py::arg("track"),
            py::arg("relative_tolerance") = 1e-6, py::call_guard<py::gil_scoped_release>(),
            "Cross section times track length of the positrons, pb times radiation lengths, as an Estimate.");
}

} // namespace na64root::bindings
