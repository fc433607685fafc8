#include "bindings.hpp"

#include "na64root/selection.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

// One event of an array of events, as the templates of selection.hpp want it.
struct Row {
    const double *first;
    std::size_t count;
    std::size_t size() const { return count; }
    double operator[](std::size_t i) const { return first[i]; }
};

// Apply `function` to each row of an array whose first axis counts the events, and to the row's number.
template <class Result, class Function>
py::array_t<Result> per_event(const Array &array, std::size_t length, const char *name, Function &&function) {
    const std::size_t events = array.ndim() > 0 ? static_cast<std::size_t>(array.shape(0)) : 0;
    if (array.ndim() < 2 || static_cast<std::size_t>(array.size()) != events * length)
        throw std::invalid_argument(std::string(name) + " needs shape (events, ...) with " +
                                    std::to_string(length) + " values per event");
    py::array_t<Result> result(static_cast<py::ssize_t>(events));
    const double *data = array.data();
    Result *out = result.mutable_data();
    py::gil_scoped_release release;
    for (std::size_t event = 0; event < events; ++event)
        out[event] = function(Row{data + event * length, length}, event);
    return result;
}

} // namespace

void register_selection(py::module_ &core) {
    core.def("passes_trigger", py::vectorize(&passes_trigger), py::arg("is_physics"),
             py::arg("is_trigger_physics"), py::arg("is_on_spill"), py::arg("is_calibration"));
    core.def("out_of_time_energy", py::vectorize(&out_of_time_energy), py::arg("total_without_time_cut"),
             py::arg("total"));
    core.def("passes_pile_up", py::vectorize(&passes_pile_up), py::arg("out_of_time"),
             py::arg("out_of_time_max"));
    core.def("passes_straw", py::vectorize(&passes_straw), py::arg("hits_x"), py::arg("hits_y"),
             py::arg("hits_min"), py::arg("hits_max"));
    core.def(
        "leading_ecal_cell",
        [](const Array &energies) {
            return per_event<int>(energies, 72, "ECAL_ene",
                                  [](const Row &row, std::size_t) { return leading_ecal_cell(row); });
        },
        py::arg("ecal_energies"),
        "Cell x * 6 + y with the largest energy, shape (events,), from (events, 2, 6, 6) GeV; -1 where there "
        "is none.");
    core.def("passes_beam_cell", py::vectorize(&passes_beam_cell), py::arg("leading_cell"), py::arg("x"),
             py::arg("y"));
    core.def("passes_srd", py::vectorize(&passes_srd), py::arg("module0"), py::arg("module1"),
             py::arg("module2"), py::arg("module_min"), py::arg("module_max"), py::arg("modules_below_max"));
    core.def("passes_momentum", py::vectorize(&passes_momentum), py::arg("momentum"), py::arg("nominal"),
             py::arg("window"));
    core.def("passes_preshower", py::vectorize(&passes_preshower), py::arg("energy"), py::arg("energy_min"));
    core.def("passes_ecal", py::vectorize(&passes_ecal), py::arg("energy"), py::arg("energy_max"));
    core.def(
        "veto_energy",
        [](const Array &photomultipliers, const Array &balance) {
            const bool one = balance.size() == 1;
            if (!one && (photomultipliers.ndim() == 0 || balance.size() != photomultipliers.shape(0)))
                throw std::invalid_argument("balance needs one value, or one per event");
            const double *balances = balance.data();
            return per_event<double>(photomultipliers, 6, "VETO_ene", [&](const Row &row, std::size_t event) {
                return veto_energy(row, balances[one ? 0 : event]);
            });
        },
        py::arg("photomultipliers"), py::arg("balance"),
        "VETO sum in GeV, shape (events,), from (events, 6) GeV and one balance for all or each; NaN where "
        "one energy is not finite.");
    core.def("passes_veto", py::vectorize(&passes_veto), py::arg("energy"), py::arg("energy_max"));
    core.def("passes_hcal_s1", py::vectorize(&passes_hcal_s1), py::arg("hcal1"), py::arg("hcal2"),
             py::arg("hcal3"), py::arg("hcal1_max"), py::arg("signal_min"));
    core.def("passes_hcal_s2", py::vectorize(&passes_hcal_s2), py::arg("hcal1"), py::arg("hcal2"),
             py::arg("hcal3"), py::arg("total_max"));
    core.def(
        "hcal_r",
        [](const Array &energies, const HcalCore &hcal_core) {
            return per_event<double>(energies, 36, "HCAL_ene",
                                     [&](const Row &row, std::size_t) { return hcal_r(row, hcal_core); });
        },
        py::arg("hcal_energies"), py::arg("core"),
        "R over HCAL2 and HCAL3, shape (events,), from (events, 4, 3, 3) GeV and the core cells, bit x * 3 + "
        "y of each "
        "of three modules; NaN where the energy is not positive or not finite.");
    core.def("passes_r", py::vectorize(&passes_r), py::arg("r"), py::arg("r_max"));
    core.def("passes_shower_chi2", py::vectorize(&passes_shower_chi2), py::arg("chi2"), py::arg("chi2_max"));
    core.def("showers_in_hcal1", py::vectorize(&showers_in_hcal1), py::arg("hcal1"), py::arg("hcal2"),
             py::arg("hcal1_max"), py::arg("signal_min"));
    core.def("passes_dimuon", py::vectorize(&passes_dimuon), py::arg("hcal3"), py::arg("centre1"),
             py::arg("centre2"), py::arg("hcal3_min"), py::arg("hcal3_with_centres_min"),
             py::arg("centre_min"));
}

} // namespace na64root::bindings
