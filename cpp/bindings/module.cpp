#include "bindings.hpp"

#include <stdexcept>

PYBIND11_MODULE(_core, core) {
    core.doc() = "The C++ core of na64root. Native units: GeV, cm.";
    // Told from std::invalid_argument, whose messages also say what to do.
    pybind11::register_exception<std::domain_error>(core, "UnphysicalError", PyExc_ValueError);
    na64root::bindings::register_units(core);
    na64root::bindings::register_materials(core);
    na64root::bindings::register_counting(core);
    na64root::bindings::register_toy_ensemble(core);
    na64root::bindings::register_model(core);
    na64root::bindings::register_widths(core);
    na64root::bindings::register_magnetic_moment(core);
    na64root::bindings::register_dark_brem(core);
    na64root::bindings::register_decay(core);
    na64root::bindings::register_cascade(core);
    na64root::bindings::register_annihilation(core);
    na64root::bindings::register_thick_target(core);
    na64root::bindings::register_signal_generator(core);
    na64root::bindings::register_selection(core);
    na64root::bindings::register_systematics(core);
    na64root::bindings::register_detector(core);
    na64root::bindings::register_event(core);
    na64root::bindings::register_s2_selection(core);
}
