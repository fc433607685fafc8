// One register_* per public header; the files in this folder are the only ones that know pybind11.
#ifndef NA64ROOT_BINDINGS_HPP
#define NA64ROOT_BINDINGS_HPP

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace na64root::bindings {

void register_units(pybind11::module_ &core);
void register_materials(pybind11::module_ &core);
void register_counting(pybind11::module_ &core);
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
void register_detector(pybind11::module_ &core);
void register_event(pybind11::module_ &core);

// Calls work(begin, end) on `threads` parts of [0, n); an exception of any of them comes out.
template <class Work> void in_parts(pybind11::ssize_t n, int threads, const Work &work) {
    if (threads < 1)
        throw std::invalid_argument("give at least one thread");
    const auto parts = std::max<pybind11::ssize_t>(1, std::min<pybind11::ssize_t>(threads, n));
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(parts));
    const auto part = [&](pybind11::ssize_t i) {
        try {
            work(n * i / parts, n * (i + 1) / parts);
        } catch (...) {
            errors[static_cast<std::size_t>(i)] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (pybind11::ssize_t i = 1; i < parts; ++i)
        others.emplace_back(part, i);
    part(0);
    for (std::thread &other : others)
        other.join();
    for (const std::exception_ptr &error : errors)
        if (error)
            std::rethrow_exception(error);
}

} // namespace na64root::bindings

#endif
