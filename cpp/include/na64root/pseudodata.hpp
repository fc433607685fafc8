// Pseudo-data: the backgrounds of the search as an unweighted sample in the layout of tree A.
//
// A parametrised response, no transport of particles: each class of events is drawn with the features that
// the cuts look at. It exercises an analysis; it is no estimate of a background. Rates and main response come
// from the card, shapes are the constants in pseudodata.cpp, each with its reason.
#ifndef NA64ROOT_PSEUDODATA_HPP
#define NA64ROOT_PSEUDODATA_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "na64root/detector.hpp"

namespace na64root {

// The number is the branch mc_class.
enum class PseudodataClass : int {
    beam_electron,        // beam trigger: the electron is absorbed in the ECAL
    pile_up,              // part of a shower falls out of the time window
    beam_hadron,          // hadron of the beam, no synchrotron radiation
    dimuon,               // gamma -> mu+ mu- in the ECAL: minimum ionising in all HCAL modules
    electroproduction,    // hadrons made in the ECAL, with charged ones through the VETO
    upstream_hadrons,     // electron lost before the ECAL, its energy arrives as hadrons
    neutral_hadron,       // leading neutral hadron, showers in HCAL1 before its last 1.5 interaction lengths
    neutral_leakage,      // the same, passing HCAL1 up to there: the background of S1
    large_missing_energy, // electron-hadron interaction before the ECAL, products escape: the background of
                          // S2
    calibration,          // light pulses between spills; HCAL energies are NaN
    random_trigger,       // pedestals
    number_of_classes
};

inline constexpr int pseudodata_classes = static_cast<int>(PseudodataClass::number_of_classes);

// Name of a class, as in the card; throws std::invalid_argument for a number that is none.
std::string pseudodata_class_name(int number);

struct PseudodataPeriod {
    std::uint32_t first_run, last_run;
    double hcal3_offset;             // cm, of the middle of HCAL3 against the beam
    std::vector<double> class_means; // expected events of each class
};

struct PseudodataConfig {
    std::uint64_t seed = 1;
    DetectorConfig detector;               // places and cells; the response is its own
    double beam_energy = 100.0;            // GeV
    double beam_momentum_spread = 0.01;    // relative, standard deviation
    double beam_spot = 0.8;                // cm, standard deviation at the ECAL
    double ecal_stochastic = 0.10;         // sigma/E = this/sqrt(E/GeV)
    double hcal_stochastic = 0.60;         // of hadrons
    double trigger_ecal_max = 90.0;        // GeV, threshold of the physics trigger
    double trigger_ecal_resolution = 3.0;  // GeV
    double hcal_interaction_length = 20.3; // cm of module
    double missing_energy_slope = 12.0;    // GeV, of the class large_missing_energy above 10 GeV
    std::vector<PseudodataPeriod> periods;
};

// Events by number, each the same wherever and in whatever order it is made. Throws std::invalid_argument for
// periods with another number of means than there are classes, or means that are negative or too large.
class PseudodataGenerator {
  public:
    explicit PseudodataGenerator(const PseudodataConfig &config);

    std::uint64_t size() const { return classes_.size(); }
    // Events drawn in a class, all periods.
    std::uint64_t drawn(int class_number) const;

    // Throws std::out_of_range beyond size().
    void generate(std::uint64_t entry, TreeAEvent &event) const;
    TreeAEvent generate(std::uint64_t entry) const;

  private:
    PseudodataConfig config_;
    std::vector<std::uint8_t> classes_;      // class of each event, in the order of the file
    std::vector<std::uint64_t> first_entry_; // of each period, and the end
};

} // namespace na64root

#endif
