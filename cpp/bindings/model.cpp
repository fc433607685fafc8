#include "bindings.hpp"

#include "na64root/magnetic_moment.hpp"
#include "na64root/widths.hpp"

namespace py = pybind11;

namespace na64root::bindings {

void register_model(py::module_ &core) {
    py::enum_<Coupling>(core, "Coupling", "How a mediator couples to fermions.")
        .value("vector", Coupling::vector)
        .value("axial", Coupling::axial)
        .value("scalar", Coupling::scalar)
        .value("pseudoscalar", Coupling::pseudoscalar);
    py::class_<MediatorCharges>(
        core, "MediatorCharges",
        "Charges of a mediator, which couples to a fermion by epsilon e times its charge.")
        .def(py::init([](double electron, double muon, double tau, double electron_neutrino,
                         double muon_neutrino, double tau_neutrino, double up, double down, double strange) {
                 return MediatorCharges{
                     electron, muon, tau, electron_neutrino, muon_neutrino, tau_neutrino, up, down, strange};
             }),
             py::kw_only(), py::arg("electron"), py::arg("muon"), py::arg("tau"),
             py::arg("electron_neutrino"), py::arg("muon_neutrino"), py::arg("tau_neutrino"), py::arg("up"),
             py::arg("down"), py::arg("strange"));
    py::class_<InelasticModel>(
        core, "InelasticModel",
        "The inelastic dark-matter model A' -> chi1 chi2, chi2 -> chi1 l l; masses in GeV.\n\n"
        "Raises ValueError unless 0 < Delta < m_A' - 2 m_chi1 and all are positive.")
        .def(py::init([](double mass, double epsilon, double alpha_dark, double mass_ratio,
                         double relative_splitting, const MediatorCharges &charges, Coupling coupling) {
                 InelasticModel model{mass,    epsilon, alpha_dark, mass_ratio, relative_splitting,
                                      charges, coupling};
                 model.validate();
                 return model;
             }),
             py::arg("mass"), py::arg("epsilon"), py::kw_only(), py::arg("alpha_dark"), py::arg("mass_ratio"),
             py::arg("relative_splitting"), py::arg_v("charges", MediatorCharges{}, "MediatorCharges()"),
             py::arg_v("coupling", Coupling::vector, "Coupling.vector"))
        .def_readonly("mass", &InelasticModel::mass)
        .def_readonly("epsilon", &InelasticModel::epsilon)
        .def_readonly("alpha_dark", &InelasticModel::alpha_dark)
        .def_readonly("mass_ratio", &InelasticModel::mass_ratio)
        .def_readonly("relative_splitting", &InelasticModel::relative_splitting)
        .def_readonly("coupling", &InelasticModel::coupling)
        .def_property_readonly("chi1_mass", &InelasticModel::chi1_mass)
        .def_property_readonly("chi2_mass", &InelasticModel::chi2_mass)
        .def_property_readonly("splitting", &InelasticModel::splitting)
        .def_property_readonly("chi2_decays", &InelasticModel::chi2_decays);
    core.def("landau_pole_bound", py::vectorize(&landau_pole_bound), py::arg("mass"),
             py::arg("scale") = 1000.0,
             "Largest alpha_D without a Landau pole below `scale` (GeV); any shape.");
}

void register_widths(py::module_ &core) {
    py::enum_<WidthFormula>(core, "WidthFormula", "How the width of chi2 is computed.")
        .value("exact", WidthFormula::exact)
        .value("paper", WidthFormula::paper);
    core.def(
        "chi2_width_density",
        [](const InelasticModel &model, double lepton_mass, const py::array_t<double> &q2) {
            return py::vectorize([&](double value) { return chi2_width_density(model, lepton_mass, value); })(
                q2);
        },
        py::arg("model"), py::arg("lepton_mass"), py::arg("q2"),
        "dGamma(chi2 -> chi1 l l)/dq^2 in 1/GeV; any shape of q2 (GeV^2).");
    core.def("chi2_width", &chi2_width, py::arg("model"), py::arg("formula") = WidthFormula::exact,
             "Total width of chi2 in GeV; 0 where it is stable.");
    core.def("chi2_branching_to_electrons", &chi2_branching_to_electrons, py::arg("model"),
             py::arg("formula") = WidthFormula::exact,
             "Branching ratio chi2 -> chi1 e e; 0 where it is stable.");
    core.def("chi2_ctau", &chi2_ctau, py::arg("model"), py::arg("formula") = WidthFormula::exact,
             "c tau of chi2 in cm; infinity where it is stable.");
    core.def("chi2_k_factor", &chi2_k_factor, py::arg("model"),
             "K of the paper's Eq. 2, from the exact width to electrons.");
    core.def("aprime_width_to_chi", &aprime_width_to_chi, py::arg("model"), "Gamma(A' -> chi1 chi2) in GeV.");
    core.def("aprime_width_to_leptons", &aprime_width_to_leptons, py::arg("model"), py::arg("lepton_mass"),
             "Gamma(A' -> l l) in GeV.");
    core.def(
        "chi2_width_to_neutrinos",
        [](const InelasticModel &model) { return chi2_width_to_neutrinos(model).value; }, py::arg("model"),
        "Gamma(chi2 -> chi1 nu nubar) in GeV, of all neutrinos.");
    core.def("aprime_width_to_neutrinos", &aprime_width_to_neutrinos, py::arg("model"),
             "Gamma(A' -> nu nubar) in GeV, of all neutrinos.");
    core.def("aprime_width", &aprime_width, py::arg("model"), "Total width of the A' in GeV.");
}

void register_magnetic_moment(py::module_ &core) {
    using Doubles = py::array_t<double>;
    core.def(
        "magnetic_moment",
        [](const Doubles &lepton_mass, const Doubles &mass, const Doubles &epsilon, Coupling coupling) {
            return py::vectorize([=](double lepton, double m, double e) {
                return magnetic_moment(lepton, m, e, coupling);
            })(lepton_mass, mass, epsilon);
        },
        py::arg("lepton_mass"), py::arg("mass"), py::arg("epsilon"),
        py::arg_v("coupling", Coupling::vector, "Coupling.vector"),
        "Shift of a lepton's anomalous magnetic moment; any shapes, masses in GeV.");
    core.def(
        "epsilon_of_magnetic_moment",
        [](const Doubles &lepton_mass, const Doubles &mass, const Doubles &moment, Coupling coupling) {
            return py::vectorize([=](double lepton, double m, double a) {
                return epsilon_of_magnetic_moment(lepton, m, a, coupling);
            })(lepton_mass, mass, moment);
        },
        py::arg("lepton_mass"), py::arg("mass"), py::arg("moment"),
        py::arg_v("coupling", Coupling::vector, "Coupling.vector"),
        "The epsilon that gives `moment`; any shapes. Raises ValueError where it has the other sign.");
}

} // namespace na64root::bindings
