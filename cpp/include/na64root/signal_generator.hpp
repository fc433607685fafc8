// The truth of a signal event: from the beam electron to the e+ e- pair, before any detector.
#ifndef NA64ROOT_SIGNAL_GENERATOR_HPP
#define NA64ROOT_SIGNAL_GENERATOR_HPP

#include <limits>
#include <optional>
#include <vector>

#include "na64root/annihilation.hpp"
#include "na64root/cascade.hpp"
#include "na64root/dark_brem.hpp"
#include "na64root/decay.hpp"
#include "na64root/materials.hpp"
#include "na64root/model.hpp"
#include "na64root/random.hpp"
#include "na64root/widths.hpp"

namespace na64root {

enum class SignalMode {
    semivisible, // A' -> chi1 chi2, chi2 -> chi1 e+ e-
    invisible,   // A' -> chi1 chi2, nothing decays further
    visible,     // A' -> e+ e-, no dark states: its width is that to leptons
};

enum class Annihilation { off, on };

// An A' that another generator made of an electron of the beam, which goes along z.
struct GivenAprime {
    FourVector momentum;            // GeV
    double production_weight = 0.0; // as in SignalTruth
};

struct SignalGeneratorConfig {
    // To be given; what is left out is refused.
    InelasticModel model{};
    Material material{};                     // of the target, one element
    double beam_energy = 0.0;                // GeV, an electron
    double threshold = 0.0;                  // GeV: electrons below make no A'; complete for A' above it
    double atoms_per_radiation_length = 0.0; // cm^-2, as in thick_target.hpp
    double depth_scale = 0.0;                // cm per radiation length

    double largest_beam_energy = 0.0; // GeV, of events with an energy of their own; 0: beam_energy
    double target_start = 0.0;        // cm
    SignalMode mode = SignalMode::semivisible;
    Approximation approximation = Approximation::etl;
    DecayModel decay = DecayModel::matrix_element;
    WidthFormula width = WidthFormula::exact;
    Annihilation annihilation = Annihilation::off; // beyond the paper; not in visible mode
    // The range of z (cm) in which decays are made, weighted with their probability. Everywhere, the default,
    // is the unforced decay with weight 1. An infinite end counts all that pass the start, as in
    // thick_target.hpp.
    double decay_start = -std::numeric_limits<double>::infinity();
    double decay_end = std::numeric_limits<double>::infinity();
    // With any, A' are not produced here: entry i takes the i-th, over and over. Energies are between
    // threshold and beam energy and grow with that of the event's own electron; directions are kept. Each is
    // made on the track of an electron or positron of more energy, what that has left showers on.
    std::vector<GivenAprime> aprimes{};
};

struct Position {
    double x, y, z; // cm
};

// Weights are means per electron on target: summed over events and divided by their number they are the
// yield. A weight of 0 stands for an event that cannot be, for example a chi2 that flies away from the forced
// range. To another epsilon, alpha_D or lifetime without new events: multiply by the ratios of epsilon2 and
// of the branching ratios and by d(new)/d(old), d = exp(-flight_length/l)/l, l = gamma_beta c tau; masses are
// fixed. Annihilation follows epsilon^2 only while alpha_D stays, since its line has the width of the A'.
struct SignalTruth {
    ProductionProcess process;
    double parent_energy; // GeV, of the e- or e+ that made the A', where it did
    int parent_charge;
    double depth;         // of production, radiation lengths
    double recoil_energy; // GeV, of the e- or e+ after it; 0 for annihilation
    double ecal_energy;   // GeV, beam energy - E_A': what the shower leaves in the ECAL
    FourVector aprime;
    FourVector chi1, chi2;         // of the A'; zero in visible mode
    FourVector chi1_of_chi2;       // zero unless chi2 decays
    FourVector electron, positron; // zero where nothing decays to them
    Position production, decay;    // the second infinite in z where nothing decays
    double flight_length;          // cm, of chi2 (visible: of the A'); infinite where nothing decays
    double gamma_beta;             // of what flies
    bool decayed;

    // The parts of the weight:
    double production_weight;      // A' per electron at epsilon = 1
    double epsilon2;               // epsilon^2
    double aprime_branching;       // to what the mode says
    double decay_weight;           // probability of the forced range
    double branching_to_electrons; // of chi2; 1 where it does not decay
    double weight;                 // their product
};

// Makes events one by one from (seed, entry), whatever the order, thread or range:
// a shower (CascadeSampler) and a point on its track, chosen with the cross section there, so that the weight
// is the shower's own sum of track length times cross section; (x, theta) at the energy of that point
// (DarkBremSamplerTable); decays in flight. Tracks go along the beam: multiple scattering above the threshold
// (1 mrad) and the size of the beam are left to the detector.
// Thread-safe. The constructor takes about 0.1 s. Throws std::domain_error for an unphysical model or a
// closed channel, std::invalid_argument for a bad configuration.
class SignalGenerator {
  public:
    explicit SignalGenerator(const SignalGeneratorConfig &config);

    SignalTruth operator()(std::uint64_t seed, std::uint64_t entry) const;

    // The same event, with the particles that go on showering in the ECAL (replacing what was in
    // `particles`): those below the threshold, the recoil electron at any energy, and one photon for the
    // energy radiated in soft photons, at their mean depth. Their energies add up to the beam energy - E_A'.
    // `parent` is -1.
    SignalTruth operator()(std::uint64_t seed, std::uint64_t entry,
                           std::vector<ShowerParticle> &particles) const;

    // The event of a beam electron of `beam_energy` (GeV). Throws std::domain_error unless it is between the
    // threshold and the largest beam energy.
    SignalTruth operator()(std::uint64_t seed, std::uint64_t entry, double beam_energy,
                           std::vector<ShowerParticle> &particles) const;

    const SignalGeneratorConfig &config() const { return config_; }
    // Of chi2 (visible: of the A'), cm; infinite where it is stable.
    double ctau() const { return ctau_; }

    // pb per atom at epsilon = 1, interpolated as events are made.
    double cross_section(double energy, int charge) const;

  private:
    SignalTruth generate(std::uint64_t seed, std::uint64_t entry, double beam_energy,
                         std::vector<ShowerParticle> *particles) const;
    void produce(SignalTruth &event, const TrackStep &step, Random &random) const;
    void take(SignalTruth &event, const GivenAprime &given, double scale) const;
    void decay_in_range(SignalTruth &event, const FourVector &particle, double mass, Random &random) const;

    SignalGeneratorConfig config_;
    CascadeSampler cascade_;
    DarkBremSamplerTable bremsstrahlung_;
    std::optional<ResonantAnnihilation> annihilation_;
    std::optional<Chi2Decayer> chi2_decayer_;
    double ctau_, aprime_branching_, branching_to_electrons_;
};

} // namespace na64root

#endif
