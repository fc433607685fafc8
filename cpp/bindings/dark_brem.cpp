#include "bindings.hpp"

#include "na64root/dark_brem.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

using Doubles = py::array_t<double>;
using List = py::array_t<double, py::array::c_style | py::array::forcecast>;

Doubles differential(const DarkBremsstrahlung &self, double energy, const Doubles &x, const Doubles &theta) {
    return py::vectorize([&](double a, double b) { return self.differential(energy, a, b).value; })(x, theta);
}

Doubles dsigma_dx(const DarkBremsstrahlung &self, const Doubles &energy, const Doubles &x,
                  double relative_tolerance) {
    return py::vectorize([&](double a, double b) { return self.dsigma_dx(a, b, relative_tolerance).value; })(
        energy, x);
}

py::tuple total_cross_section(const List &mass, const List &energy, const Element &element,
                              Approximation approximation, double epsilon, double relative_tolerance,
                              Coupling coupling) {
    if (mass.ndim() != 1 || energy.ndim() != 1)
        throw std::invalid_argument("mass and energy must be one-dimensional");
    const py::ssize_t rows = mass.size(), columns = energy.size();
    Doubles value({rows, columns}), error({rows, columns});
    const double *masses = mass.data(), *energies = energy.data();
    double *values = value.mutable_data(), *errors = error.mutable_data();
    {
        py::gil_scoped_release release;
        for (py::ssize_t i = 0; i < rows; ++i) {
            const DarkBremsstrahlung formula(masses[i], element, approximation, epsilon, coupling);
            for (py::ssize_t j = 0; j < columns; ++j) {
                const Estimate total = formula.total(energies[j], relative_tolerance);
                values[i * columns + j] = total.value;
                errors[i * columns + j] = total.error;
            }
        }
    }
    return py::make_tuple(value, error);
}

// The arrays x and theta of n entries, each from `draw` with the random numbers of its entry.
template <class Draw>
py::tuple samples(std::uint64_t seed, std::uint64_t first_entry, py::ssize_t n, const Draw &draw) {
    Doubles x(n), theta(n);
    double *xs = x.mutable_data(), *thetas = theta.mutable_data();
    {
        py::gil_scoped_release release;
        for (py::ssize_t i = 0; i < n; ++i) {
            Random random(seed, first_entry + static_cast<std::uint64_t>(i), Stream::dark_bremsstrahlung);
            const DarkBremSample sample = draw(random);
            xs[i] = sample.x;
            thetas[i] = sample.theta;
        }
    }
    return py::make_tuple(x, theta);
}

void register_form_factor(py::module_ &core) {
    py::class_<FormFactor>(core, "FormFactor", "G2(t) of arXiv:0906.0580, App. A; t in GeV^2.")
        .def_static("of", &FormFactor::of, py::arg("element"))
        .def_readwrite("atomic_number", &FormFactor::atomic_number)
        .def_readwrite("screening2", &FormFactor::screening2)
        .def_readwrite("nuclear_size", &FormFactor::nuclear_size)
        .def_readwrite("inelastic_screening2", &FormFactor::inelastic_screening2)
        .def_readwrite("inelastic", &FormFactor::inelastic)
        .def("__call__", [](const FormFactor &self, const py::array_t<double> &t) {
            return py::vectorize([&](double value) { return self(value); })(t);
        });
}

void register_cross_sections(py::module_ &core) {
    py::class_<Estimate>(core, "Estimate", "A numerical result and the absolute error of its quadrature.")
        .def_readonly("value", &Estimate::value)
        .def_readonly("error", &Estimate::error);
    py::enum_<Approximation>(core, "Approximation", "Approximations of dark bremsstrahlung.")
        .value("etl", Approximation::etl)
        .value("ww", Approximation::ww)
        .value("iww", Approximation::iww);
    py::class_<DarkBremsstrahlung>(
        core, "DarkBremsstrahlung",
        "Cross sections of e Z -> e Z A' per atom in pb, for an A' of `mass` (GeV) and coupling epsilon "
        "e on electrons, by default a vector.\n\n"
        "x = E_A'/E in [M/E, 1 - m_e/E]; closed channels give 0. Valid for 1 MeV to 3 GeV and beams of 1 to "
        "300 GeV.\n"
        "Raises ValueError for masses or energies that are not positive, and for ww and iww with another "
        "coupling "
        "than vector; RuntimeError without convergence.")
        .def(py::init<double, const Element &, Approximation, double, Coupling>(), py::arg("mass"),
             py::arg("element"), py::arg("approximation") = Approximation::etl, py::arg("epsilon") = 1.0,
             py::arg("coupling") = Coupling::vector)
        .def(py::init<double, const FormFactor &, double, Approximation, double, Coupling>(), py::arg("mass"),
             py::arg("form_factor"), py::arg("nuclear_mass"), py::arg("approximation") = Approximation::etl,
             py::arg("epsilon") = 1.0, py::arg("coupling") = Coupling::vector)
        .def_property_readonly("mass", &DarkBremsstrahlung::mass)
        .def_property_readonly("approximation", &DarkBremsstrahlung::approximation)
        .def_property_readonly("coupling", &DarkBremsstrahlung::coupling)
        .def("x_range", &DarkBremsstrahlung::x_range, py::arg("energy"))
        .def("differential", &differential, py::arg("energy"), py::arg("x"), py::arg("theta"),
             "d2 sigma/dx dtheta in pb per radian; x and theta broadcast.")
        .def("dsigma_dx", &dsigma_dx, py::arg("energy"), py::arg("x"), py::arg("relative_tolerance") = 1e-3,
             "dsigma/dx in pb; energy (GeV) and x broadcast.")
        .def("total", &DarkBremsstrahlung::total, py::arg("energy"), py::arg("relative_tolerance") = 1e-3,
             py::arg("x_min") = 0.0, py::call_guard<py::gil_scoped_release>(),
             "Total cross section in pb as an Estimate.")
        .def("mean_x", &DarkBremsstrahlung::mean_x, py::arg("energy"), py::arg("relative_tolerance") = 1e-3,
             py::call_guard<py::gil_scoped_release>(), "Mean of x as an Estimate.")
        .def("u_range", &DarkBremsstrahlung::u_range, py::arg("energy"), py::arg("x"))
        .def("density", &DarkBremsstrahlung::density, py::arg("energy"), py::arg("x"), py::arg("u"))
        .def("angle", &DarkBremsstrahlung::angle, py::arg("energy"), py::arg("x"), py::arg("u"));
    core.def("total_cross_section", &total_cross_section, py::arg("mass"), py::arg("energy"),
             py::arg("element"), py::arg("approximation") = Approximation::etl, py::arg("epsilon") = 1.0,
             py::arg("relative_tolerance") = 1e-3, py::arg("coupling") = Coupling::vector,
             "Total cross sections in pb and their errors, each (n_mass, n_energy), for arrays (n_mass,) and "
             "(n_energy,).");
}

void register_sampler(py::module_ &core) {
    py::class_<DarkBremSampler>(core, "DarkBremSampler",
                                "Samples (x, theta) of dark bremsstrahlung at one energy.")
        .def(py::init<const DarkBremsstrahlung &, double, std::size_t, std::size_t>(),
             py::arg("cross_section"), py::arg("energy"), py::arg("x_cells") = 192,
             py::arg("angle_cells") = 64, py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("cross_section", &DarkBremSampler::cross_section)
        .def(
            "sample",
            [](const DarkBremSampler &self, std::uint64_t seed, std::uint64_t first_entry, py::ssize_t n) {
                return samples(seed, first_entry, n, self);
            },
            py::arg("seed"), py::arg("first_entry"), py::arg("n"),
            "Arrays x and theta (n,), for entries first_entry ... first_entry + n - 1.");
}

void register_sampler_table(py::module_ &core) {
    py::class_<DarkBremSamplerTable>(
        core, "DarkBremSamplerTable",
        "Cross section and samples of (x, theta) at any energy between two (GeV), interpolated.")
        .def(py::init<const DarkBremsstrahlung &, double, double, std::size_t, std::size_t, std::size_t>(),
             py::arg("cross_section"), py::arg("lowest"), py::arg("highest"), py::arg("energies") = 12,
             py::arg("x_cells") = 128, py::arg("angle_cells") = 48, py::call_guard<py::gil_scoped_release>())
        .def(
            "cross_section",
            [](const DarkBremSamplerTable &self, const py::array_t<double> &energy) {
                return py::vectorize([&](double e) { return self.cross_section(e); })(energy);
            },
            py::arg("energy"), "pb; 0 below the lowest energy; any shape.")
        .def(
            "sample",
            [](const DarkBremSamplerTable &self, double energy, std::uint64_t seed, std::uint64_t first_entry,
               py::ssize_t n) {
                return samples(seed, first_entry, n, [&](Random &random) { return self(energy, random); });
            },
            py::arg("energy"), py::arg("seed"), py::arg("first_entry"), py::arg("n"),
            "Arrays x and theta (n,) at one energy, for entries first_entry ... first_entry + n - 1.");
}

} // namespace

void register_dark_brem(py::module_ &core) {
    register_form_factor(core);
    register_cross_sections(core);
    register_sampler(core);
    register_sampler_table(core);
}

} // namespace na64root::bindings
