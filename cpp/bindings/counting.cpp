#include "bindings.hpp"

#include "na64root/counting.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

using Doubles = std::vector<double>;

CountingExperiment experiment(const Doubles &observed, const Doubles &background,
                              const Doubles &background_uncertainty, const Doubles &signal_fraction,
                              const std::vector<int> &group, const Doubles &bin_signal_uncertainty,
                              double signal_uncertainty, Constraint signal_constraint,
                              Constraint background_constraint, Treatment treatment) {
    const std::size_t n = observed.size();
    if (background.size() != n || background_uncertainty.size() != n || signal_fraction.size() != n ||
        group.size() != n || (!bin_signal_uncertainty.empty() && bin_signal_uncertainty.size() != n))
        throw std::invalid_argument("the lists of counts, backgrounds, uncertainties, signal and groups must "
                                    "have the same length");
    CountingModel model{{}, signal_uncertainty, signal_constraint, background_constraint};
    for (std::size_t i = 0; i < n; ++i)
        model.bins.push_back({observed[i], background[i], background_uncertainty[i], signal_fraction[i],
                              group[i], bin_signal_uncertainty.empty() ? 0.0 : bin_signal_uncertainty[i]});
    return CountingExperiment(model, treatment);
}

py::tuple bands(const ExpectedLimits &limits) {
    return py::make_tuple(limits.minus2, limits.minus1, limits.median, limits.plus1, limits.plus2);
}

} // namespace

void register_counting(py::module_ &core) {
    py::enum_<Constraint>(core, "Constraint", "How a nuisance parameter scales a yield.")
        .value("gaussian", Constraint::gaussian)
        .value("lognormal", Constraint::lognormal)
        .value("gamma", Constraint::gamma);
    py::enum_<Criterion>(core, "Criterion", "What must fall to 1 - CL at the limit.")
        .value("cls", Criterion::cls)
        .value("clsb", Criterion::clsb);
    py::enum_<Treatment>(core, "Treatment", "What an ensemble does with nuisance parameters.")
        .value("none", Treatment::none)
        .value("frequentist", Treatment::frequentist)
        .value("hybrid", Treatment::hybrid);
    const auto release = py::call_guard<py::gil_scoped_release>();
    py::class_<CountingExperiment>(core, "CountingExperiment",
                                   "Exact CLs limits of a counting experiment; see na64root.limits.")
        .def(py::init(&experiment), py::kw_only(), py::arg("observed"), py::arg("background"),
             py::arg("background_uncertainty"), py::arg("signal_fraction"), py::arg("group"),
             py::arg("bin_signal_uncertainty") = Doubles{}, py::arg("signal_uncertainty") = 0.0,
             py::arg("signal_constraint") = Constraint::lognormal,
             py::arg("background_constraint") = Constraint::gaussian,
             py::arg("treatment") = Treatment::frequentist)
        .def("statistic", py::overload_cast<double>(&CountingExperiment::statistic, py::const_),
             py::arg("mu"), release, "q(mu) of the observed data.")
        .def(
            "confidence_levels",
            [](const CountingExperiment &self, double mu) {
                const auto levels = [&] {
                    py::gil_scoped_release unlocked;
                    return self.confidence_levels(mu);
                }();
                return py::make_tuple(levels.signal_plus_background, levels.background, levels.cls);
            },
            py::arg("mu"), "(CLs+b, CLb, CLs) at mu expected signal events.")
        .def(
            "cls",
            [](const CountingExperiment &self, double mu) {
                const auto cls = [&] {
                    py::gil_scoped_release unlocked;
                    return self.cls(mu);
                }();
                return py::make_tuple(cls.value, cls.error);
            },
            py::arg("mu"), "(CLs, numerical error) at mu expected signal events.")
        .def(
            "upper_limit",
            [](const CountingExperiment &self, double cl, Criterion criterion) {
                const auto limit = [&] {
                    py::gil_scoped_release unlocked;
                    return self.upper_limit(cl, criterion);
                }();
                return py::make_tuple(limit.value, limit.error);
            },
            py::arg("cl"), py::arg("criterion") = Criterion::cls,
            "(limit, numerical error). Raises ValueError, RuntimeError.")
        .def(
            "expected_limits",
            [](const CountingExperiment &self, double cl, Criterion criterion) {
                const auto limits = [&] {
                    py::gil_scoped_release unlocked;
                    return self.expected_limits(cl, criterion);
                }();
                return bands(limits);
            },
            py::arg("cl"), py::arg("criterion") = Criterion::cls,
            "Limits at -2, -1, 0, 1, 2 standard deviations without signal; inf where there is none.")
        .def(
            "discovery",
            [](const CountingExperiment &self) {
                const auto discovery = [&] {
                    py::gil_scoped_release unlocked;
                    return self.discovery();
                }();
                return py::make_tuple(discovery.statistic, discovery.p_value);
            },
            "(q0, p-value of the background-only hypothesis).")
        .def("two_sided_p_value", &CountingExperiment::two_sided_p_value, py::arg("mu"),
             py::call_guard<py::gil_scoped_release>(),
             "Probability of counts that the Feldman-Cousins ordering puts no higher than the observed ones.")
        .def(
            "interval",
            [](const CountingExperiment &self, double cl) {
                const auto interval = [&] {
                    py::gil_scoped_release unlocked;
                    return self.interval(cl);
                }();
                return py::make_tuple(interval.low, interval.high);
            },
            py::arg("cl"), "(low, high) of the Feldman-Cousins interval.")
        .def(
            "asymptotic_confidence_levels",
            [](const CountingExperiment &self, double mu) {
                const auto levels = self.asymptotic_confidence_levels(mu);
                return py::make_tuple(levels.signal_plus_background, levels.background, levels.cls);
            },
            py::arg("mu"))
        .def(
            "asymptotic_upper_limit",
            [](const CountingExperiment &self, double cl, Criterion criterion) {
                const auto limit = self.asymptotic_upper_limit(cl, criterion);
                return py::make_tuple(limit.value, limit.error);
            },
            py::arg("cl"), py::arg("criterion") = Criterion::cls)
        .def(
            "asymptotic_expected_limits",
            [](const CountingExperiment &self, double cl, Criterion criterion) {
                return bands(self.asymptotic_expected_limits(cl, criterion));
            },
            py::arg("cl"), py::arg("criterion") = Criterion::cls);
}

} // namespace na64root::bindings
