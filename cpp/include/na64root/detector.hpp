// The calorimeters and what electrons leave in them: a fast simulation without transport of particles.
//
// A shower is a profile along the beam that fluctuates from event to event, in the spirit of Grindhammer and
// Peters (hep-ex/0001020), times a radial profile, a sum of Gaussians so that the energy of a cell is a
// product of error functions. The numbers of the profiles are fits to Geant4 11.4 (electromagnetic physics,
// production cut 0.7 mm) of the structure in cards/geant4_reference.toml; they follow log(E) and hold from
// about 0.3 to 300 GeV. Hadrons, light collection and cracks are not simulated.
#ifndef NA64ROOT_DETECTOR_HPP
#define NA64ROOT_DETECTOR_HPP

#include <array>
#include <cstddef>

#include "na64root/decay.hpp"
#include "na64root/random.hpp"
#include "na64root/tree_a.hpp"

namespace na64root {

inline constexpr int hcal_modules = 3;
inline constexpr int ecal_side = 6, hcal_side = 3; // cells of a calorimeter along x and y

// The profiles are not used above this energy (GeV).
inline constexpr double largest_energy = 1000.0;

enum class Noise { off, on };
enum class LateralProfile { off, on }; // off: all energy on the axis of the shower

// Lengths in cm, z from the front of the ECAL along the beam, x and y from the beam; energies in GeV.
struct DetectorConfig {
    double ecal_start = 0.0, ecal_end = 45.0;
    double ecal_layers = 150.0, ecal_preshower_layers = 16.0;
    double ecal_lead_layer = 0.15, ecal_scintillator_layer = 0.15;
    double ecal_cell = 3.82; // pitch; the beam hits the middle of cell (3,3)
    double veto_start = 50.0, veto_thickness = 5.0;
    std::array<double, hcal_modules> hcal_start{60.0, 220.0, 380.0};
    std::array<double, hcal_modules> hcal_end{210.0, 370.0, 530.0};
    std::array<double, hcal_modules> hcal_centre_x{}, hcal_centre_y{}; // of each module
    double hcal_layers = 48.0;
    double hcal_iron_layer = 2.5, hcal_scintillator_layer = 0.4;
    double hcal_cell_x = 19.4, hcal_cell_y = 19.2;               // pitch
    double ecal_stochastic = 0.081;                              // sigma/E = this/sqrt(E/GeV), of electrons
    double hcal_stochastic = 0.23;                               // of electrons
    double ecal_noise = 0.0, hcal_noise = 0.0, veto_noise = 0.0; // per cell or photomultiplier
    double ecal_threshold = 0.0, hcal_threshold = 0.0, veto_threshold = 0.0; // a lower cell reads 0
    Noise noise = Noise::on;
    LateralProfile lateral_profile = LateralProfile::on;
};

// Visible energy of each cell on the calibrated scale (an electron shower inside reads its energy), before
// sampling fluctuations and noise.
struct CellEnergies {
    double ecal[2][ecal_side][ecal_side]; // preshower and main part, x, y
    double veto;
    double hcal[hcal_modules][hcal_side][hcal_side];
};

// An event whose calorimeters are simulated, with the visible energies of CellEnergies in sum.
struct CalorimeterEvent : TreeAEvent {
    double mc_ecal_GeV, mc_veto_GeV, mc_hcal_GeV[hcal_modules];

    void set_visible(const CellEnergies &cells);
};

template <class Visitor> void for_each_branch(CalorimeterEvent &event, Visitor &&visit) {
    for_each_branch(static_cast<TreeAEvent &>(event), visit);
    visit("mc_ecal_GeV", event.mc_ecal_GeV, "");
    visit("mc_veto_GeV", event.mc_veto_GeV, "");
    visit("mc_hcal_GeV", event.mc_hcal_GeV, "[3]");
}

struct Point {
    double x, y, z; // cm
};

// The calorimeters in the order of the beam.
enum class Section { preshower, ecal_main, veto, hcal1, hcal2, hcal3 };
inline constexpr int sections = 6;

// One shower with its fluctuations drawn: the share of the energy deposited down to a depth (radiation
// lengths of the medium in which it starts) is developed(depth), a gamma distribution that starts `offset`
// before the particle, and a tail of photons.
struct Shower {
    double energy = 0.0; // GeV
    Point start{};
    double slope_x = 0.0, slope_y = 0.0;
    Section section = Section::preshower; // where it starts; a start behind all of them leaves nothing
    bool inside = false;
    double start_depth = 0.0; // from the front of that section, in its radiation lengths
    double peak = 0.0, shape = 0.0, rate = 0.0, before_start = 0.0; // of the gamma distribution
    double tail_begin = 0.0;
    double width = 1.0; // factor on the radial profile

    double developed(double depth) const;
};

// Thread-safe: all methods are const and take their random numbers.
class Detector {
  public:
    // Throws std::invalid_argument for sections out of order or numbers that are not finite and positive.
    explicit Detector(const DetectorConfig &config);

    const DetectorConfig &config() const { return config_; }

    // The shower of an electron or positron of `momentum` from `start` on: it begins in the section that
    // holds `start`, or in the next one along the beam. Throws std::domain_error for an energy that is not
    // between zero and largest_energy.
    Shower shower(const FourVector &momentum, const Point &start, Random &random) const;

    // Adds the energies of a shower to the cells.
    void deposit(const Shower &shower, CellEnergies &cells) const { deposit(&shower, 1, cells); }
    // The same for showers on one axis, which share their mean radial profile in each section: faster.
    void deposit(const Shower *showers, std::size_t count, CellEnergies &cells) const;

    // Sampling fluctuations, noise and thresholds: fills the energies of the ECAL, VETO and HCAL cells and
    // their sums; all cell times are zero.
    void read_out(const CellEnergies &cells, TreeAEvent &event, Random &random) const;

    // Radiation lengths of a section (the VETO: those of the ECAL that take as much energy).
    double depth_of(Section section) const { return depth_[static_cast<int>(section)]; }
    // Radiation lengths from the front of a section to a position along z, between zero and its depth.
    double depth_at(Section section, double z) const;

    // Energy that a shower from the ECAL carries behind it, mean of this shower (GeV).
    double leakage(const Shower &shower) const;
    // Radius (cm) around the axis that holds `fraction` of the visible energy of a shower that does not leave
    // its section.
    double radius(const Shower &shower, double fraction) const;

    // Energy (GeV) deposited in bins of one radiation length, the last shorter where the depth ends, from the
    // front of the section of the shower; fluctuations of the number of particles included.
    static constexpr int profile_bins = 41;
    void profile(const Shower &shower, double (&bins)[profile_bins], Random &random) const;

  private:
    // What showers leave in a section: place and width are sums weighted with the energy.
    struct SectionEnergy {
        double energy, x, y, width;
    };
    void add_sections(const Shower &shower, SectionEnergy (&sums)[sections]) const;

    DetectorConfig config_;
    std::array<double, sections> start_{}, end_{}; // cm
    std::array<double, sections> depth_{};         // radiation lengths
    double ecal_contained_ = 1.0;                  // share of a central shower inside the cells
};

} // namespace na64root

#endif
