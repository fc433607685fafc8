#include "bindings.hpp"

#include "na64root/s2_selection.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_s2_selection(py::module_ &core) {
    py::class_<S2Cuts>(core, "S2Cuts", "The thresholds of S2 in GeV; see s2_selection.hpp.")
        .def(py::init<>())
        .def_readwrite("ecal_max", &S2Cuts::ecal_max)
        .def_readwrite("veto_max", &S2Cuts::veto_max)
        .def_readwrite("hcal_max", &S2Cuts::hcal_max)
        .def_readwrite("preshower_min", &S2Cuts::preshower_min)
        .def_readwrite("photomultiplier_balance", &S2Cuts::photomultiplier_balance)
        .def_readwrite("shower_chi2_max", &S2Cuts::shower_chi2_max)
        .def_readwrite("beam_cell_x", &S2Cuts::beam_cell_x)
        .def_readwrite("beam_cell_y", &S2Cuts::beam_cell_y)
        .def_readwrite("late_shift", &S2Cuts::late_shift);
    py::class_<PairLosses>(core, "PairLosses",
                           "Probability that a pair leaves VETO and HCAL below their cuts of S2.\n\n"
                           "Raises ValueError for calorimeters out of order; see s2_selection.hpp.")
        .def(py::init<const DetectorConfig &, const S2Cuts &, double>(), py::arg("detector"), py::arg("cuts"),
             py::arg("largest_pair_energy"), py::call_guard<py::gil_scoped_release>())
        .def("__call__", py::vectorize(&PairLosses::operator()), py::arg("energy"), py::arg("z"),
             "Probability for pair energies (GeV) and places (cm), broadcast against each other.");
    py::class_<ElectronLosses>(core, "ElectronLosses",
                               "What the cuts on the beam electron keep; see s2_selection.hpp. GeV, X0.")
        .def(py::init<const std::vector<EventConfig> &, const S2Cuts &, const std::vector<double> &,
                      std::uint64_t>(),
             py::arg("configs"), py::arg("cuts"), py::arg("parent_edges"), py::arg("events"),
             py::call_guard<py::gil_scoped_release>())
        .def("kept", py::vectorize([](const ElectronLosses *self, double parent, double recoil) {
                 return self->kept(parent, recoil);
             }),
             py::arg("parent_energy"), py::arg("recoil_energy"), "Nothing is visible but the shower.")
        .def("kept_with_pair",
             py::vectorize([](const ElectronLosses *self, double parent, double recoil, double pair,
                              double distance) { return self->kept(parent, recoil, pair, distance); }),
             py::arg("parent_energy"), py::arg("recoil_energy"), py::arg("pair_energy"), py::arg("distance"),
             "A pair starts `distance` radiation lengths behind the place of production.");
    py::class_<InclusiveS2>(core, "InclusiveS2",
                            "Expected S2 with the decays inside the detector; see s2_selection.hpp.")
        .def(py::init([](const std::vector<Chi2Flux> &fluxes, const Chi2Decayer *decayer, double branching,
                         double aprime_threshold, double depth_scale, const PairLosses &pairs,
                         const ElectronLosses &electrons) {
                 py::gil_scoped_release release;
                 return InclusiveS2(fluxes, decayer, branching, aprime_threshold, depth_scale, pairs,
                                    electrons);
             }),
             py::arg("fluxes"), py::arg("decayer").none(true), py::arg("branching"),
             py::arg("aprime_threshold"), py::arg("depth_scale"), py::arg("pairs"), py::arg("electrons"))
        .def_property_readonly("electrons_kept", &InclusiveS2::electrons_kept,
                               "What the cuts on the electron keep of A' above the ECAL cut.")
        .def(
            "__call__",
            [](const InclusiveS2 &self, const std::vector<double> &ctau) {
                std::vector<double> expected;
                {
                    py::gil_scoped_release release;
                    expected = self(ctau);
                }
                return py::array_t<double>(static_cast<py::ssize_t>(expected.size()), expected.data());
            },
            py::arg("ctau"), "Events per electron on target at epsilon = 1 for each c tau (cm).");
}

} // namespace na64root::bindings
