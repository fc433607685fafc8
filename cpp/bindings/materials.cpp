#include "bindings.hpp"

#include "na64root/materials.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_materials(py::module_ &core) {
    py::class_<Element>(core, "Element", "A chemical element: symbol, atomic number, atomic mass (g/mol).")
        .def(py::init([](const std::string &symbol, double atomic_number, double atomic_mass) {
                 const Element element{symbol, atomic_number, atomic_mass};
                 if (!(atomic_number > 0.0) || !(atomic_mass > 0.0))
                     throw std::domain_error("element " + symbol + " needs a positive Z and A");
                 return element;
             }),
             py::arg("symbol"), py::arg("atomic_number"), py::arg("atomic_mass"),
             "Any element; raises ValueError unless Z and A are positive.")
        .def_readonly("symbol", &Element::symbol)
        .def_readonly("atomic_number", &Element::atomic_number)
        .def_readonly("atomic_mass", &Element::atomic_mass)
        .def("nuclear_mass", &Element::nuclear_mass, "Mass of the nucleus in GeV.");
    py::class_<Component>(core, "Component", "An element of a material and its mass fraction.")
        .def_readonly("element", &Component::element)
        .def_readonly("mass_fraction", &Component::mass_fraction);
    py::class_<Material>(core, "Material", "Density in g/cm^3, radiation length in g/cm^2.")
        .def_readonly("name", &Material::name)
        .def_readonly("density", &Material::density)
        .def_readonly("radiation_length", &Material::radiation_length)
        .def_readonly("components", &Material::components)
        .def("radiation_length_cm", &Material::radiation_length_cm);
    core.def("material", &material, py::arg("name"), py::return_value_policy::reference,
             "A material by name (PDG 2020). Raises ValueError naming the known ones.");
    core.def("material_names", &material_names);
    core.def("element", &element, py::arg("symbol"), py::return_value_policy::reference,
             "An element by symbol. Raises ValueError naming the known ones.");
    core.def("compound", &compound, py::arg("name"), py::arg("density"), py::arg("atoms"),
             "A compound of (symbol, number of atoms) pairs; density in g/cm^3. Raises ValueError.");
}

} // namespace na64root::bindings
