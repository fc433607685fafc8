#include "bindings.hpp"

#include "na64root/decay.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

void store(double *row, const FourVector &v) {
    row[0] = v.energy;
    row[1] = v.x;
    row[2] = v.y;
    row[3] = v.z;
}

FourVector along_beam(double energy, double mass) {
    if (!(energy >= mass))
        throw std::domain_error("a particle has at least the energy of its mass");
    return {energy, 0.0, 0.0, std::sqrt((energy - mass) * (energy + mass))};
}

} // namespace

void register_decay(py::module_ &core) {
    py::enum_<DecayModel>(core, "DecayModel", "How chi2 -> chi1 l l is distributed.")
        .value("matrix_element", DecayModel::matrix_element)
        .value("phase_space", DecayModel::phase_space);
    core.def(
        "decay_aprime",
        [](const InelasticModel &model, double energy, std::uint64_t seed, std::uint64_t first_entry,
           py::ssize_t n) {
            py::array_t<double> chi1({n, py::ssize_t{4}}), chi2({n, py::ssize_t{4}});
            double *rows1 = chi1.mutable_data(), *rows2 = chi2.mutable_data();
            const FourVector aprime = along_beam(energy, model.mass);
            {
                py::gil_scoped_release release;
                for (py::ssize_t i = 0; i < n; ++i) {
                    Random random(seed, first_entry + static_cast<std::uint64_t>(i), Stream::aprime_decay);
                    const auto decay = decay_aprime(model, aprime, random);
                    store(rows1 + 4 * i, decay.chi1);
                    store(rows2 + 4 * i, decay.chi2);
                }
            }
            return py::make_tuple(chi1, chi2);
        },
        py::arg("model"), py::arg("energy"), py::arg("seed"), py::arg("first_entry"), py::arg("n"),
        "Four-vectors (E, x, y, z) in GeV of chi1 and chi2, each (n, 4), from an A' of `energy` along z.");
    py::class_<Chi2Decayer>(core, "Chi2Decayer",
                            "chi2 -> chi1 l l at fixed masses. Raises ValueError where it is closed.")
        .def(py::init<const InelasticModel &, DecayModel, double>(), py::arg("model"),
             py::arg("decay") = DecayModel::matrix_element, py::arg("lepton_mass") = units::electron_mass)
        .def(
            "density",
            [](const Chi2Decayer &self, const py::array_t<double> &q2) {
                return py::vectorize([&](double value) { return self.density(value); })(q2);
            },
            py::arg("q2"), "Normalised density of q^2 (1/GeV^2); any shape.")
        .def("mean_q2", &Chi2Decayer::mean_q2, "Mean squared mass of the pair in GeV^2.")
        .def("mean_pair_energy", &Chi2Decayer::mean_pair_energy,
             "Mean energy of the pair in the chi2 frame, GeV.")
        .def(
            "fraction_above",
            [](const Chi2Decayer &self, double threshold, const py::array_t<double> &chi2_energy) {
                return py::vectorize([&](double value) { return self.fraction_above(threshold, value); })(
                    chi2_energy);
            },
            py::arg("threshold"), py::arg("chi2_energy"),
            "Probability that the pair's laboratory energy exceeds `threshold` (GeV); any shape of "
            "chi2_energy.")
        .def(
            "sample",
            [](const Chi2Decayer &self, double energy, std::uint64_t seed, std::uint64_t first_entry,
               py::ssize_t n) {
                py::array_t<double> chi1({n, py::ssize_t{4}}), minus({n, py::ssize_t{4}}),
                    plus({n, py::ssize_t{4}});
                double *rows[3] = {chi1.mutable_data(), minus.mutable_data(), plus.mutable_data()};
                const FourVector chi2 = along_beam(energy, self.chi2_mass());
                {
                    py::gil_scoped_release release;
                    for (py::ssize_t i = 0; i < n; ++i) {
                        Random random(seed, first_entry + static_cast<std::uint64_t>(i), Stream::chi2_decay);
                        const auto decay = self(chi2, random);
                        store(rows[0] + 4 * i, decay.chi1);
                        store(rows[1] + 4 * i, decay.lepton_minus);
                        store(rows[2] + 4 * i, decay.lepton_plus);
                    }
                }
                return py::make_tuple(chi1, minus, plus);
            },
            py::arg("energy"), py::arg("seed"), py::arg("first_entry"), py::arg("n"),
            "Four-vectors (E, x, y, z) in GeV of chi1, l-, l+, each (n, 4), from a chi2 of `energy` along "
            "z.");
}

} // namespace na64root::bindings
