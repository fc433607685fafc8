// A complete signal event: from the electron of the beam to the branches of an ntuple, with its truth.
#ifndef NA64ROOT_EVENT_HPP
#define NA64ROOT_EVENT_HPP

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "na64root/detector.hpp"
#include "na64root/pseudodata.hpp"
#include "na64root/signal_generator.hpp"

namespace na64root {

// The branch mc_class of a signal event, behind the classes of pseudo-data.
inline constexpr int signal_class = pseudodata_classes;

// Signal events count from here in their spill: no background event has the same run, spill and number.
inline constexpr std::uint32_t first_signal_number = 1000000000;

// Where a decay happened, along the beam; a gap belongs to what stands behind it.
enum class DecayVolume : int { none = -1, ecal, veto, hcal1, hcal2, hcal3, beyond };

struct EventPeriod {
    std::uint32_t first_run = 0, last_run = 0;
    double electrons = 0.0;                          // on target, times the residual efficiency
    double hcal3_shift_x = 0.0, hcal3_shift_y = 0.0; // cm, of HCAL3 against its place in the configuration
};

enum class Angles { off, on }; // off: A' and what it decays to stay on the axis of the beam electron

struct EventConfig {
    InelasticModel model{};
    SignalMode mode = SignalMode::semivisible;
    Approximation approximation = Approximation::etl;
    DecayModel decay = DecayModel::matrix_element;
    WidthFormula width = WidthFormula::exact;
    Annihilation annihilation = Annihilation::off;
    double decay_start = -std::numeric_limits<double>::infinity(); // cm, as in SignalGeneratorConfig
    double decay_end = std::numeric_limits<double>::infinity();
    std::vector<GivenAprime> aprimes; // as in SignalGeneratorConfig

    std::string target = "Pb";               // name of the material
    double threshold = 0.0;                  // GeV, of A'
    double atoms_per_radiation_length = 0.0; // cm^-2
    double depth_scale = 0.0;                // cm per radiation length
    DetectorConfig detector;

    double beam_energy = 100.0;           // GeV
    double beam_momentum_spread = 0.01;   // relative, standard deviation
    double beam_spot = 0.8;               // cm, standard deviation at the ECAL
    double beam_divergence = 0.0;         // radian, standard deviation
    double trigger_ecal_max = 90.0;       // GeV
    double trigger_ecal_resolution = 3.0; // GeV
    Angles angles = Angles::on;

    std::vector<EventPeriod> periods;
    double events = 1.0; // in the sample, for mcWeight

    void add_period(const EventPeriod &period) { periods.push_back(period); }
};

// Four-vectors are (E, x, y, z) in GeV, positions x, y, z in cm, z from the front of the ECAL.
struct SignalEvent : CalorimeterEvent {
    double mc_weight_per_electron;             // expected events of this kind per electron on target
    double mc_production_weight;               // the part of it of production, at epsilon = 1
    double mc_decay_weight;                    // the part of a forced decay
    std::int32_t mc_process;                   // ProductionProcess
    std::int32_t mc_decay_volume;              // DecayVolume
    double mc_parent_energy_GeV;               // of the e- or e+ that made the A'
    double mc_depth_X0;                        // of production
    double mc_flight_length_cm, mc_gamma_beta; // of what decays
    double mc_aprime_GeV[4], mc_chi1_GeV[4], mc_chi2_GeV[4], mc_chi1_of_chi2_GeV[4];
    double mc_electron_GeV[4], mc_positron_GeV[4];
    double mc_production_cm[3], mc_decay_cm[3];
    double mc_beam_slope[2]; // dx/dz, dy/dz of the beam electron
};

template <class Visitor> void for_each_branch(SignalEvent &event, Visitor &&visit) {
    for_each_branch(static_cast<CalorimeterEvent &>(event), visit);
    visit("mc_weight_per_electron", event.mc_weight_per_electron, "");
    visit("mc_production_weight", event.mc_production_weight, "");
    visit("mc_decay_weight", event.mc_decay_weight, "");
    visit("mc_process", event.mc_process, "");
    visit("mc_decay_volume", event.mc_decay_volume, "");
    visit("mc_parent_energy_GeV", event.mc_parent_energy_GeV, "");
    visit("mc_depth_X0", event.mc_depth_X0, "");
    visit("mc_flight_length_cm", event.mc_flight_length_cm, "");
    visit("mc_gamma_beta", event.mc_gamma_beta, "");
    visit("mc_aprime_GeV", event.mc_aprime_GeV, "[4]");
    visit("mc_chi1_GeV", event.mc_chi1_GeV, "[4]");
    visit("mc_chi2_GeV", event.mc_chi2_GeV, "[4]");
    visit("mc_chi1_of_chi2_GeV", event.mc_chi1_of_chi2_GeV, "[4]");
    visit("mc_electron_GeV", event.mc_electron_GeV, "[4]");
    visit("mc_positron_GeV", event.mc_positron_GeV, "[4]");
    visit("mc_production_cm", event.mc_production_cm, "[3]");
    visit("mc_decay_cm", event.mc_decay_cm, "[3]");
    visit("mc_beam_slope", event.mc_beam_slope, "[2]");
}

// Makes events one by one from (seed, entry), whatever the order, thread or range.
//
// The electron is one that DAQ, pile-up, tracking and SRD have kept: what they lose is the residual
// efficiency of a card, a factor in `electrons`, and is not made again here. So a signal event is on spill,
// has one track with few straw hits, synchrotron radiation in all modules, no second electron, and its
// momentum lies in the central part of the beam's and the spectrometer's distributions. The trigger on the
// ECAL sum, the size of the beam in the beam cell, showerChi2 and all calorimeters are simulated.
//
// mcWeight: expected events of the periods' electrons, shared over `events`; the sum over a sample of that
// size is the expected number of A' events above the threshold, and after cuts the expected signal.
//
// Thread-safe. The constructor takes about 0.1 s. Throws as SignalGenerator and Detector do, and
// std::invalid_argument without a period that has electrons.
class EventGenerator {
  public:
    explicit EventGenerator(const EventConfig &config);

    void operator()(std::uint64_t seed, std::uint64_t entry, SignalEvent &event) const;
    SignalEvent operator()(std::uint64_t seed, std::uint64_t entry) const;

    // The weight per electron on target alone, of the same event: takes a sixth of the time.
    double weight(std::uint64_t seed, std::uint64_t entry) const;

    // On target, all periods, times their residual efficiencies.
    double electrons() const { return cumulative_electrons_.back(); }
    // c tau of what decays, cm.
    double ctau() const { return signal_.ctau(); }

  private:
    struct Beam {
        std::size_t period;
        double energy, x, y, slope_x, slope_y; // GeV, cm
    };
    Beam beam(Random &random) const;
    void upstream(const Beam &beam, SignalEvent &event, Random &random) const;
    void ecal_showers(const Beam &beam, const Detector &detector,
                      const std::vector<ShowerParticle> &particles, CellEnergies &cells,
                      Random &random) const;
    DecayVolume volume_at(double z) const;

    EventConfig config_;
    SignalGenerator signal_;
    std::vector<Detector> detectors_; // of each period
    std::vector<double> cumulative_electrons_;
};

// The unweighted events of a signal of given strength: their number is Poisson-drawn from the expected one,
// each is an event of EventGenerator. Events by number, as from PseudodataGenerator.
class InjectedSignal {
  public:
    static constexpr double most_events = 1e6;

    // Throws std::invalid_argument where more than most_events are expected, and as EventGenerator.
    InjectedSignal(const EventConfig &config, std::uint64_t seed);

    std::uint64_t size() const { return entries_.size(); }
    double expected() const { return expected_; } // before all cuts, statistical error 0.5 % at most
    void generate(std::uint64_t number, SignalEvent &event) const;

  private:
    EventGenerator generator_;
    std::uint64_t seed_;
    double expected_ = 0.0;
    std::vector<std::uint64_t> entries_;
};

} // namespace na64root

#endif
