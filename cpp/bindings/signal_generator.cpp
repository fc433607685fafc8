#include <algorithm>

#include "bindings.hpp"

#include "na64root/parallel.hpp"
#include "na64root/signal_generator.hpp"

namespace py = pybind11;

namespace na64root::bindings {
namespace {

// Columns of one event each, filled from any thread; Python gets them under their names.
class Columns {
  public:
    explicit Columns(py::ssize_t events) : events_(events) {}

    double *add(const char *name, py::ssize_t width = 1) {
        py::array_t<double> column(width == 1 ? std::vector<py::ssize_t>{events_}
                                              : std::vector<py::ssize_t>{events_, width});
        double *data = column.mutable_data();
        columns_[name] = column;
        return data;
    }
    std::int32_t *add_integers(const char *name) {
        py::array_t<std::int32_t> column(events_);
        std::int32_t *data = column.mutable_data();
        columns_[name] = column;
        return data;
    }
    py::dict columns() const { return columns_; }

  private:
    py::ssize_t events_;
    py::dict columns_;
};

py::dict generate(const SignalGenerator &self, std::uint64_t seed, std::uint64_t first_entry, py::ssize_t n,
                  int threads) {
    if (n < 0)
        throw std::invalid_argument("the number of events cannot be negative");
    struct Scalar {
        const char *name;
        double SignalTruth::*member;
        double *data = nullptr;
    };
    struct Vector {
        const char *name;
        FourVector SignalTruth::*member;
        double *data = nullptr;
    };
    struct Point {
        const char *name;
        Position SignalTruth::*member;
        double *data = nullptr;
    };
    Scalar scalars[] = {{"parent_energy", &SignalTruth::parent_energy},
                        {"depth", &SignalTruth::depth},
                        {"recoil_energy", &SignalTruth::recoil_energy},
                        {"ecal_energy", &SignalTruth::ecal_energy},
                        {"flight_length", &SignalTruth::flight_length},
                        {"gamma_beta", &SignalTruth::gamma_beta},
                        {"production_weight", &SignalTruth::production_weight},
                        {"epsilon2", &SignalTruth::epsilon2},
                        {"aprime_branching", &SignalTruth::aprime_branching},
                        {"decay_weight", &SignalTruth::decay_weight},
                        {"branching_to_electrons", &SignalTruth::branching_to_electrons},
                        {"weight", &SignalTruth::weight}};
    Vector vectors[] = {{"aprime", &SignalTruth::aprime},     {"chi1", &SignalTruth::chi1},
                        {"chi2", &SignalTruth::chi2},         {"chi1_of_chi2", &SignalTruth::chi1_of_chi2},
                        {"electron", &SignalTruth::electron}, {"positron", &SignalTruth::positron}};
    Point points[] = {{"production", &SignalTruth::production}, {"decay", &SignalTruth::decay}};
    Columns columns(n);
    std::int32_t *process = columns.add_integers("process");
    std::int32_t *charge = columns.add_integers("parent_charge");
    std::int32_t *decayed = columns.add_integers("decayed");
    for (Scalar &column : scalars)
        column.data = columns.add(column.name);
    for (Vector &column : vectors)
        column.data = columns.add(column.name, 4);
    for (Point &column : points)
        column.data = columns.add(column.name, 3);
    {
        py::gil_scoped_release release;
        in_parts(n, threads, [&](py::ssize_t begin, py::ssize_t end) {
            for (py::ssize_t i = begin; i < end; ++i) {
                const SignalTruth event = self(seed, first_entry + static_cast<std::uint64_t>(i));
                process[i] = static_cast<std::int32_t>(event.process);
                charge[i] = event.parent_charge;
                decayed[i] = event.decayed ? 1 : 0;
                for (const Scalar &column : scalars)
                    column.data[i] = event.*column.member;
                for (const Vector &column : vectors) {
                    const FourVector &v = event.*column.member;
                    const double values[] = {v.energy, v.x, v.y, v.z};
                    std::copy(values, values + 4, column.data + 4 * i);
                }
                for (const Point &column : points) {
                    const Position &v = event.*column.member;
                    const double values[] = {v.x, v.y, v.z};
                    std::copy(values, values + 3, column.data + 3 * i);
                }
            }
        });
    }
    return columns.columns();
}

} // namespace

void register_signal_generator(py::module_ &core) {
    py::enum_<SignalMode>(core, "SignalMode", "What the A' decays to.")
        .value("semivisible", SignalMode::semivisible)
        .value("invisible", SignalMode::invisible)
        .value("visible", SignalMode::visible);
    py::enum_<Annihilation>(core, "Annihilation", "Whether resonant annihilation makes A' as well.")
        .value("off", Annihilation::off)
        .value("on", Annihilation::on);
    const double infinity = std::numeric_limits<double>::infinity();
    py::class_<SignalGenerator>(
        core, "SignalGenerator",
        "Truth of signal events from (seed, entry); see signal_generator.hpp. Energies in GeV, lengths in "
        "cm.\n\n"
        "Raises ValueError for an unphysical model, a closed channel or a bad configuration.")
        .def(
            py::init([](const InelasticModel &model, const Material &material, double beam_energy,
                        double threshold, double atoms_per_radiation_length, double depth_scale,
                        double target_start, SignalMode mode, Approximation approximation, DecayModel decay,
                        WidthFormula width, Annihilation annihilation, double decay_start, double decay_end) {
                return std::make_unique<SignalGenerator>(SignalGeneratorConfig{
                    model, material, beam_energy, threshold, atoms_per_radiation_length, depth_scale, 0.0,
                    target_start, mode, approximation, decay, width, annihilation, decay_start, decay_end});
            }),
            py::arg("model"), py::kw_only(), py::arg("material"), py::arg("beam_energy"),
            py::arg("threshold"), py::arg("atoms_per_radiation_length"), py::arg("depth_scale"),
            py::arg("target_start") = 0.0, py::arg("mode") = SignalMode::semivisible,
            py::arg("approximation") = Approximation::etl, py::arg("decay") = DecayModel::matrix_element,
            py::arg("width") = WidthFormula::exact, py::arg("annihilation") = Annihilation::off,
            py::arg("decay_start") = -infinity, py::arg("decay_end") = infinity,
            py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("ctau", &SignalGenerator::ctau,
                               "c tau of chi2 (visible mode: of the A') in cm.")
        .def(
            "cross_section",
            [](const SignalGenerator &self, const py::array_t<double> &energy, int charge) {
                return py::vectorize([&](double e) { return self.cross_section(e, charge); })(energy);
            },
            py::arg("energy"), py::arg("charge") = -1,
            "pb per atom at epsilon = 1, as interpolated in making events; any shape of energy.")
        .def("generate", &generate, py::arg("seed"), py::arg("first_entry"), py::arg("n"),
             py::arg("threads") = 1,
             "Arrays by name for entries first_entry ... first_entry + n - 1: (n,) scalars, (n, 4) "
             "four-vectors (E, x, y, z), (n, 3) positions.")
        .def(
            "shower_particles",
            [](const SignalGenerator &self, std::uint64_t seed, std::uint64_t entry) {
                std::vector<ShowerParticle> particles;
                self(seed, entry, particles);
                const auto n = static_cast<py::ssize_t>(particles.size());
                py::array_t<double> energy(n), depth(n);
                py::array_t<std::int32_t> charge(n);
                for (py::ssize_t i = 0; i < n; ++i) {
                    const ShowerParticle &particle = particles[static_cast<std::size_t>(i)];
                    energy.mutable_at(i) = particle.energy;
                    depth.mutable_at(i) = particle.depth;
                    charge.mutable_at(i) = particle.charge;
                }
                return py::make_tuple(energy, depth, charge);
            },
            py::arg("seed"), py::arg("entry"),
            "What showers on in the ECAL in one event: energies (GeV), depths (X0), charges.");
}

} // namespace na64root::bindings
