#include "bindings.hpp"

#include "na64root/systematics.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_systematics(py::module_ &core) {
    core.def("event_normal", py::vectorize(&event_normal), py::arg("seed"), py::arg("run"), py::arg("spill"),
             py::arg("spillevent"), py::arg("source"),
             "Standard normal of an event and a source of smearing, by seed and the event's numbers.");
}

} // namespace na64root::bindings
