// One register_* per public header; the files in this folder are the only ones that know pybind11.
#ifndef NA64ROOT_BINDINGS_HPP
#define NA64ROOT_BINDINGS_HPP

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace na64root::bindings {

void register_units(pybind11::module_ &core);
void register_materials(pybind11::module_ &core);
void register_counting(pybind11::module_ &core);
void register_toy_ensemble(pybind11::module_ &core);
void register_model(pybind11::module_ &core);
void register_widths(pybind11::module_ &core);
void register_magnetic_moment(pybind11::module_ &core);
void register_dark_brem(pybind11::module_ &core);
void register_decay(pybind11::module_ &core);
void register_cascade(pybind11::module_ &core);
void register_thick_target(pybind11::module_ &core);
void register_annihilation(pybind11::module_ &core);
void register_signal_generator(pybind11::module_ &core);
void register_selection(pybind11::module_ &core);
void register_systematics(pybind11::module_ &core);
void register_detector(pybind11::module_ &core);
void register_event(pybind11::module_ &core);
void register_s2_selection(pybind11::module_ &core);

} // namespace na64root::bindings

#endif
