// A particle gun: one electron or e+e- pair in a chosen calorimeter, with the truth that a comparison with
// another simulation needs.
#ifndef NA64ROOT_GUN_HPP
#define NA64ROOT_GUN_HPP

#include <cstdint>
#include <string>

#include "na64root/cascade.hpp"
#include "na64root/detector.hpp"

namespace na64root {

enum class GunParticle : int {
    electron, // enters through the front of the volume
    pair,     // e+e- from a state of mass `pair_mass` that decays isotropically, at a uniform depth
};
enum class GunVolume : int { ecal, hcal1, hcal2, hcal3 };

// By the names of the command line, "e-" and "pair", "ecal" to "hcal3"; throws std::invalid_argument with
// the known ones.
GunParticle gun_particle(const std::string &name);
GunVolume gun_volume(const std::string &name);

struct GunConfig {
    DetectorConfig detector;
    GunParticle particle = GunParticle::electron;
    double energy = 100.0;  // GeV, of the pair its sum
    double pair_mass = 0.0; // GeV
    GunVolume volume = GunVolume::ecal;
    // cm, from the middle of the cell (3,3) of the ECAL or (1,1) of the HCAL module
    double offset_x = 0.0, offset_y = 0.0;
};

// The run of the events, in no period of a card, so that an analysis does not take them for data.
inline constexpr std::uint32_t gun_run = 999999;

// Thresholds of the track lengths (GeV).
inline constexpr int track_thresholds = 3;
inline constexpr double track_threshold[track_thresholds] = {1.0, 10.0, 50.0};

struct GunEvent : CalorimeterEvent {
    double mc_energy_GeV, mc_pair_mass_GeV;
    double mc_start_x_mm, mc_start_y_mm, mc_start_z_mm;
    double mc_depth_X0; // of the start, from the front of the volume
    double
        mc_profile_GeV[Detector::profile_bins]; // all deposited energy, per X0 from the front of the volume
    double mc_track_electron_X0[track_thresholds], mc_track_positron_X0[track_thresholds];
    double mc_r50_mm, mc_r90_mm; // around the axis, visible energy
    double mc_leakage_GeV;       // behind the ECAL
};

template <class Visitor> void for_each_branch(GunEvent &event, Visitor &&visit) {
    for_each_branch(static_cast<CalorimeterEvent &>(event), visit);
    visit("mc_energy_GeV", event.mc_energy_GeV, "");
    visit("mc_pair_mass_GeV", event.mc_pair_mass_GeV, "");
    visit("mc_start_x_mm", event.mc_start_x_mm, "");
    visit("mc_start_y_mm", event.mc_start_y_mm, "");
    visit("mc_start_z_mm", event.mc_start_z_mm, "");
    visit("mc_depth_X0", event.mc_depth_X0, "");
    visit("mc_profile_GeV", event.mc_profile_GeV, "[41]");
    visit("mc_track_electron_X0", event.mc_track_electron_X0, "[3]");
    visit("mc_track_positron_X0", event.mc_track_positron_X0, "[3]");
    visit("mc_r50_mm", event.mc_r50_mm, "");
    visit("mc_r90_mm", event.mc_r90_mm, "");
    visit("mc_leakage_GeV", event.mc_leakage_GeV, "");
}

// Events by number, each the same wherever and in whatever order it is made. The track lengths come from the
// cascade above 1 GeV, followed particle by particle; the energies come from the profile of the whole shower,
// drawn apart: in one event the two are not correlated. In the HCAL the cascade is not followed: lengths 0.
class GunGenerator {
  public:
    // Throws std::domain_error for an energy not between m_e and largest_energy, or a pair below 2 m_e or not
    // lighter than its energy; std::invalid_argument for an offset that is not finite.
    explicit GunGenerator(const GunConfig &config);

    const Detector &detector() const { return detector_; }

    void operator()(std::uint64_t seed, std::uint64_t entry, GunEvent &event) const;
    GunEvent operator()(std::uint64_t seed, std::uint64_t entry) const;

  private:
    void follow(double energy, int charge, GunEvent &event, Random &random) const;

    GunConfig config_;
    Detector detector_;
    CascadeSampler cascade_;
};

} // namespace na64root

#endif
