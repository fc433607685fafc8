#include "bindings.hpp"
#include "interruptible.hpp"

#include "na64root/profile_likelihood.hpp"
#include "na64root/toy_ensemble.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

using Doubles = std::vector<double>;

py::tuple in_python(const ProfileLikelihood::Fit &fit) {
    return py::make_tuple(fit.value, fit.mu, fit.parameters, fit.converged);
}

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

Array rates(const ProfileLikelihood &self, const Array &mu, const Array &parameters) {
    if (mu.ndim() != 1 || parameters.ndim() != 2 || parameters.shape(0) != mu.size() ||
        parameters.shape(1) != static_cast<py::ssize_t>(self.parameters()))
        throw std::invalid_argument("rates need mu of shape (n,) and parameters of shape (n, parameters)");
    const auto n = static_cast<std::size_t>(mu.size()), width = static_cast<std::size_t>(parameters.shape(1));
    Array found({n, self.bins()});
    const double *at = parameters.data();
    double *values = found.mutable_data();
    for (std::size_t i = 0; i < n; ++i) {
        const Doubles point(at + i * width, at + (i + 1) * width);
        for (std::size_t bin = 0; bin < self.bins(); ++bin)
            *values++ = self.rate(bin, mu.data()[i], point);
    }
    return found;
}

void register_profile_likelihood(py::module_ &core) {
    py::class_<ProfileLikelihood> known(
        core, "ProfileLikelihood",
        "The profile likelihood of a counting model; see na64root.limits.likelihood.");
    py::enum_<ProfileLikelihood::Join>(known, "Join", "How the two sides of a factor are joined.")
        .value("power", ProfileLikelihood::Join::power)
        .value("linear", ProfileLikelihood::Join::linear)
        .value("logarithm", ProfileLikelihood::Join::logarithm);
    known.def(py::init<>())
        .def("add_parameter", &ProfileLikelihood::add_parameter, py::arg("lowest"), py::arg("highest"),
             py::arg("count") = 0.0,
             "A nuisance parameter with its range; its auxiliary measurement is a count.")
        .def("add_bin", &ProfileLikelihood::add_bin, py::arg("signal"), py::arg("background"),
             "A bin that expects mu * signal + background events.")
        .def("add_power", &ProfileLikelihood::add_power, py::arg("of_signal"), py::arg("parameter"),
             py::arg("slope"), "The yield of the last bin follows a parameter as exp(slope x).")
        .def("add_linear", &ProfileLikelihood::add_linear, py::arg("of_signal"), py::arg("parameter"),
             py::arg("slope"), py::arg("offset"),
             "The yield of the last bin follows a parameter as offset + slope x.")
        .def("add_process", &ProfileLikelihood::add_process, py::arg("of_signal"), py::arg("constant"),
             "One more process of the last bin.")
        .def("add_joined", &ProfileLikelihood::add_joined, py::arg("of_signal"), py::arg("parameter"),
             py::arg("join"), py::arg("up"), py::arg("down"),
             "The yield of the last process follows a parameter with two slopes.")
        .def("rate", &ProfileLikelihood::rate, py::arg("bin"), py::arg("mu"), py::arg("parameters"),
             "Expected events of a bin.")
        .def(
            "rates", &rates, py::arg("mu"), py::arg("parameters"),
            "Expected events, shape (n, bins), for mu of shape (n,) and parameters of shape (n, parameters).")
        .def(
            "conditional",
            [](const ProfileLikelihood &self, double mu, const Doubles &counts, const Doubles &auxiliaries) {
                return in_python(self.conditional(mu, counts, auxiliaries));
            },
            py::arg("mu"), py::arg("counts"), py::arg("auxiliaries"),
            "(-ln L, mu, parameters, converged) of the maximum at mu.")
        .def(
            "free",
            [](const ProfileLikelihood &self, const Doubles &counts, const Doubles &auxiliaries) {
                return in_python(self.free(counts, auxiliaries));
            },
            py::arg("counts"), py::arg("auxiliaries"),
            "(-ln L, mu, parameters, converged) of the maximum with mu >= 0.")
        .def("ratio", &ProfileLikelihood::ratio, py::arg("mu"), py::arg("counts"), py::arg("auxiliaries"),
             py::arg("one_sided") = true, "-ln [L(mu)/L(best mu)]; NaN where a fit does not converge.");
}

} // namespace

void register_toy_ensemble(py::module_ &core) {
    register_profile_likelihood(core);
    py::class_<ToyEnsemble>(core, "ToyEnsemble", "Toys of a counting model; see na64root.limits.own_toys.")
        .def(py::init<ProfileLikelihood, Doubles, Doubles, Treatment>(), py::arg("likelihood"),
             py::arg("counts"), py::arg("auxiliaries"), py::arg("treatment"))
        .def("observed", &ToyEnsemble::observed, py::arg("mu"), "-ln [L(mu)/L(best mu)] of the data.")
        .def(
            "statistics",
            [](const ToyEnsemble &self, double mu, double true_mu, std::uint64_t seed, std::uint64_t first,
               std::size_t toys, int threads) {
                const ToyStatistics found =
                    interruptible([&] { return self.statistics(mu, true_mu, seed, first, toys, threads); });
                const Doubles &values = found.values;
                return py::make_tuple(
                    py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data()),
                    found.failed);
            },
            py::arg("mu"), py::arg("true_mu"), py::arg("seed"), py::arg("first"), py::arg("toys"),
            py::arg("threads") = 1,
            "The same of toys with a true signal, shape (toys,), and how many are left out since their fits "
            "fail.");
}

} // namespace na64root::bindings
