#include <cstdint>

#include "bindings.hpp"
#include "columns.hpp"

#include "na64root/event.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_event(py::module_ &core) {
    core.attr("signal_class") = signal_class;
    core.attr("first_signal_number") = first_signal_number;
    py::enum_<DecayVolume>(core, "DecayVolume", "Where a decay happened, the number in mc_decay_volume.")
        .value("none", DecayVolume::none)
        .value("ecal", DecayVolume::ecal)
        .value("veto", DecayVolume::veto)
        .value("hcal1", DecayVolume::hcal1)
        .value("hcal2", DecayVolume::hcal2)
        .value("hcal3", DecayVolume::hcal3)
        .value("beyond", DecayVolume::beyond);
    py::enum_<Angles>(core, "Angles").value("off", Angles::off).value("on", Angles::on);
    py::class_<EventPeriod>(core, "EventPeriod", "Runs, electrons and place of HCAL3; see event.hpp.")
        .def(py::init<>())
        .def_readwrite("first_run", &EventPeriod::first_run)
        .def_readwrite("last_run", &EventPeriod::last_run)
        .def_readwrite("electrons", &EventPeriod::electrons)
        .def_readwrite("hcal3_shift_x", &EventPeriod::hcal3_shift_x)
        .def_readwrite("hcal3_shift_y", &EventPeriod::hcal3_shift_y);
    py::class_<EventConfig>(core, "EventConfig", "What a signal sample is made of; see event.hpp. GeV, cm.")
        .def(py::init<>())
        .def_readwrite("model", &EventConfig::model)
        .def_readwrite("mode", &EventConfig::mode)
        .def_readwrite("approximation", &EventConfig::approximation)
        .def_readwrite("annihilation", &EventConfig::annihilation)
        .def_readwrite("decay", &EventConfig::decay)
        .def_readwrite("width", &EventConfig::width)
        .def_readwrite("decay_start", &EventConfig::decay_start)
        .def_readwrite("decay_end", &EventConfig::decay_end)
        .def_readwrite("target", &EventConfig::target)
        .def_readwrite("threshold", &EventConfig::threshold)
        .def_readwrite("atoms_per_radiation_length", &EventConfig::atoms_per_radiation_length)
        .def_readwrite("depth_scale", &EventConfig::depth_scale)
        .def_readwrite("detector", &EventConfig::detector)
        .def_readwrite("beam_energy", &EventConfig::beam_energy)
        .def_readwrite("beam_momentum_spread", &EventConfig::beam_momentum_spread)
        .def_readwrite("beam_spot", &EventConfig::beam_spot)
        .def_readwrite("beam_divergence", &EventConfig::beam_divergence)
        .def_readwrite("trigger_ecal_max", &EventConfig::trigger_ecal_max)
        .def_readwrite("trigger_ecal_resolution", &EventConfig::trigger_ecal_resolution)
        .def_readwrite("angles", &EventConfig::angles)
        .def_readwrite("events", &EventConfig::events)
        .def_readwrite("periods", &EventConfig::periods)
        .def("add_period", &EventConfig::add_period, py::arg("period"))
        .def(
            "set_aprimes",
            [](EventConfig &self,
               const py::array_t<double, py::array::c_style | py::array::forcecast> &momenta,
               const py::array_t<double, py::array::c_style | py::array::forcecast> &weights) {
                if (momenta.ndim() != 2 || momenta.shape(1) != 4 || weights.ndim() != 1 ||
                    weights.shape(0) != momenta.shape(0))
                    throw std::invalid_argument("A' have momenta (n, 4) and production weights (n,)");
                self.aprimes.clear();
                for (py::ssize_t i = 0; i < weights.shape(0); ++i)
                    self.aprimes.push_back(
                        {{momenta.at(i, 0), momenta.at(i, 1), momenta.at(i, 2), momenta.at(i, 3)},
                         weights.at(i)});
            },
            py::arg("momenta"), py::arg("production_weights"),
            "A' of another generator: momenta (n, 4), (E, x, y, z) in GeV, with their weights (n,).");
    py::class_<EventGenerator>(
        core, "EventGenerator",
        "Complete signal events from (seed, entry); see event.hpp. Energies in GeV.\n\n"
        "Raises ValueError for an unphysical model, a closed channel or a bad configuration.")
        .def(py::init<const EventConfig &>(), py::arg("config"), py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("ctau", &EventGenerator::ctau, "c tau of what decays, in cm.")
        .def_property_readonly(
            "address", [](const EventGenerator &self) { return reinterpret_cast<std::uintptr_t>(&self); },
            "For C++ code of this process that uses the same library; valid while this object lives.")
        .def_property_readonly("electrons", &EventGenerator::electrons,
                               "Electrons on target times residual efficiency.")
        .def(
            "generate",
            [](const EventGenerator &self, std::uint64_t seed, std::uint64_t first_entry, py::ssize_t n,
               int threads, const std::set<std::string> &columns) {
                if (n < 0)
                    throw std::invalid_argument("the number of events cannot be negative");
                return columns_of<SignalEvent>(n, threads, columns, [&](py::ssize_t i, SignalEvent &event) {
                    self(seed, first_entry + static_cast<std::uint64_t>(i), event);
                });
            },
            py::arg("seed"), py::arg("first_entry"), py::arg("n"), py::arg("threads") = 1,
            py::arg("columns") = std::set<std::string>{},
            "Events first_entry ... first_entry + n - 1: a column (n, ...) for each branch of numbers, or "
            "for "
            "those named in `columns`.");
}

} // namespace na64root::bindings
