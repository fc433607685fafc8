#include "bindings.hpp"
#include "interruptible.hpp"

#include "na64root/counting.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

using Doubles = std::vector<double>;
using Experiment = CountingExperiment;
using ExperimentClass = py::class_<Experiment>;

Experiment experiment(const Doubles &observed, const Doubles &background,
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
    return Experiment(model, treatment);
}

// What a method returns, as Python sees it.
double in_python(double value) {
    return value;
}
py::tuple in_python(const Estimate &estimate) {
    return py::make_tuple(estimate.value, estimate.error);
}
py::tuple in_python(const ConfidenceLevels &levels) {
    return py::make_tuple(levels.signal_plus_background, levels.background, levels.cls);
}
py::tuple in_python(const ExpectedLimits &limits) {
    return py::make_tuple(limits.minus2, limits.minus1, limits.median, limits.plus1, limits.plus2);
}
py::tuple in_python(const Discovery &discovery) {
    return py::make_tuple(discovery.statistic, discovery.p_value);
}
py::tuple in_python(const Interval &interval) {
    return py::make_tuple(interval.low, interval.high);
}

// A method that is called without the GIL, and ends where a signal is raised.
template <class Result, class... Arguments> auto unlocked(Result (Experiment::*method)(Arguments...) const) {
    return [method](const Experiment &self, Arguments... arguments) {
        return in_python(interruptible([&]() -> Result { return (self.*method)(arguments...); }));
    };
}

void register_choices(py::module_ &core) {
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
}

ExperimentClass register_experiment(py::module_ &core) {
    return ExperimentClass(core, "CountingExperiment",
                           "Exact CLs limits of a counting experiment; see na64root.limits.")
        .def(py::init(&experiment), py::kw_only(), py::arg("observed"), py::arg("background"),
             py::arg("background_uncertainty"), py::arg("signal_fraction"), py::arg("group"),
             py::arg("bin_signal_uncertainty") = Doubles{}, py::arg("signal_uncertainty") = 0.0,
             py::arg("signal_constraint") = Constraint::lognormal,
             py::arg("background_constraint") = Constraint::gaussian,
             py::arg("treatment") = Treatment::frequentist);
}

void register_limits(ExperimentClass &experiment) {
    experiment
        .def("statistic", unlocked(&Experiment::statistic), py::arg("mu"), "q(mu) of the observed data.")
        .def("confidence_levels", unlocked(&Experiment::confidence_levels), py::arg("mu"),
             "(CLs+b, CLb, CLs) at mu expected signal events.")
        .def("cls", unlocked(&Experiment::cls), py::arg("mu"),
             "(CLs, numerical error) at mu expected signal events.")
        .def("upper_limit", unlocked(&Experiment::upper_limit), py::arg("cl"),
             py::arg("criterion") = Criterion::cls, py::arg("most_fits") = 0,
             "(limit, numerical error). Raises ValueError, RuntimeError, which is after so many fits.")
        .def("expected_limits", unlocked(&Experiment::expected_limits), py::arg("cl"),
             py::arg("criterion") = Criterion::cls, py::arg("most_fits") = 0,
             "Limits at -2, -1, 0, 1, 2 standard deviations without signal; inf where there is none.");
}

void register_signals(ExperimentClass &experiment) {
    experiment
        .def("discovery", unlocked(&Experiment::discovery),
             "(q0, p-value of the background-only hypothesis).")
        .def("two_sided_p_value", unlocked(&Experiment::two_sided_p_value), py::arg("mu"),
             "Probability of counts that the Feldman-Cousins ordering puts no higher than the observed ones.")
        .def("interval", unlocked(&Experiment::interval), py::arg("cl"),
             "(low, high) of the Feldman-Cousins interval.");
}

void register_asymptotics(ExperimentClass &experiment) {
    experiment
        .def("asymptotic_confidence_levels", unlocked(&Experiment::asymptotic_confidence_levels),
             py::arg("mu"), "(CLs+b, CLb, CLs) by the asymptotic formulae, too small for few events.")
        .def("asymptotic_upper_limit", unlocked(&Experiment::asymptotic_upper_limit), py::arg("cl"),
             py::arg("criterion") = Criterion::cls,
             "(limit, numerical error) by the asymptotic formulae, too strong for few events.")
        .def("asymptotic_expected_limits", unlocked(&Experiment::asymptotic_expected_limits), py::arg("cl"),
             py::arg("criterion") = Criterion::cls,
             "Limits at -2, -1, 0, 1, 2 standard deviations by the asymptotic formulae.");
}

} // namespace

void register_counting(py::module_ &core) {
    register_choices(core);
    ExperimentClass experiment = register_experiment(core);
    register_limits(experiment);
    register_signals(experiment);
    register_asymptotics(experiment);
}

} // namespace na64root::bindings
