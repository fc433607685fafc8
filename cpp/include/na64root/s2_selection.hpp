// What the selection of S2 leaves of events whose chi2 decays inside the detector.
//
// chi2 -> chi1 e e in the ECAL is an S2 event where the pair is absorbed there while both chi1 carry enough
// energy away, and a pair that leaves less than the veto thresholds behind the ECAL is one as well. Nothing
// here is a formula: the losses are tables, filled with the showers of detector.hpp and the events of
// event.hpp from a fixed seed, so that they are the same in every run and smooth in the model. They do not
// depend on the model.
#ifndef NA64ROOT_S2_SELECTION_HPP
#define NA64ROOT_S2_SELECTION_HPP

#include <cstdint>
#include <vector>

#include "na64root/decay.hpp"
#include "na64root/detector.hpp"
#include "na64root/event.hpp"
#include "na64root/thick_target.hpp"

namespace na64root {

// Energies in GeV.
struct S2Cuts {
    double ecal_max = 50.0;
    double veto_max = 0.01;
    double hcal_max = 1.0;
    double preshower_min = 0.4;
    double photomultiplier_balance = 0.3;
    double shower_chi2_max = 10.0;
    int beam_cell_x = 3, beam_cell_y = 3;
    // A shower that starts in the ECAL leaks as one that starts so much later (cm): no measurement or table
    // of late starts is known to which the profiles could be held.
    double late_shift = 0.0;
};

// The probability that a pair of an energy (GeV) that starts at z (cm) leaves VETO and HCAL below their cuts,
// whatever it leaves in the ECAL: on the axis, shared between e- and e+ at random. Read from a table, linear
// in ln(energy) and z between its points, with an error of 0.06 at most at a point in the transition.
// Thread-safe. Throws std::invalid_argument as Detector does, and for energies that are not positive.
class PairLosses {
  public:
    PairLosses(const DetectorConfig &detector, const S2Cuts &cuts, double largest_pair_energy);

    double operator()(double energy, double z) const;

    double ecal_start() const { return ecal_start_; }
    double ecal_end() const { return ecal_end_; }
    double end() const { return end_; } // of the last calorimeter

  private:
    double ecal_start_, ecal_end_, end_, late_shift_;
    double first_log_energy_, log_energy_step_;
    std::vector<double> places_; // cm
    std::vector<double> table_;  // energy, place
};

// The probability that the cuts on the beam electron keep an event: trigger, beam cell, preshower and shower
// chi2, for an A' made by an electron of `parent_energy` that is left with `recoil_energy`. Both decide how
// much reaches the preshower. The pair of a chi2 that decays in the first radiation lengths adds to it.
// Thread-safe.
class ElectronLosses {
  public:
    // Samples of A' that nothing follows (mode invisible), one for each configuration, with `events` each.
    // `parent_edges` are rising energies (GeV) between which the losses are averaged: those in which the
    // production spectrum merges its track. Throws as EventGenerator does, and std::invalid_argument without
    // configurations or with fewer than two edges.
    ElectronLosses(const std::vector<EventConfig> &configs, const S2Cuts &cuts,
                   const std::vector<double> &parent_edges, std::uint64_t events);

    // Nothing is visible but the electron's shower.
    double kept(double parent_energy, double recoil_energy) const;
    // A pair of `pair_energy` starts `distance` radiation lengths behind the place of production.
    double kept(double parent_energy, double recoil_energy, double pair_energy, double distance) const;

    // The same at all `distance_points`, rising from 0, of which the last is far behind the preshower.
    std::vector<double> kept_along(double parent_energy, double recoil_energy, double pair_energy) const;
    const std::vector<double> &distance_points() const;
    // The ECAL energy that is read, against the beam energy less that of the A': its mean shift, by cells
    // below their threshold and leakage, and its spread, by the resolution and the beam (GeV), near the ECAL
    // cut.
    double ecal_shift() const { return ecal_shift_; }
    double ecal_spread() const { return ecal_spread_; }

  private:
    struct Place {
        std::size_t bin;
        double weight;
    };
    void places(double parent_energy, double recoil_energy, Place (&found)[2]) const;

    std::vector<double> parent_edges_, recoil_logarithms_;
    double ecal_shift_ = 0.0, ecal_spread_ = 0.0;
    double other_ = 1.0;                 // what beam cell and shower chi2 keep
    std::vector<double> lost_;           // parent, recoil: by trigger and preshower
    std::vector<double> lost_with_pair_; // parent, recoil, pair energy, distance
};

// Expected S2 events per electron on target against c tau, with the decays inside the detector.
//
// Those of `all`, decays behind the detector and inside, weighted with what the cuts on electron, VETO, HCAL
// and ECAL leave of them. What the cuts on the electron keep where nothing else is visible is divided out, on
// average over A' above the ECAL cut: it belongs to the residual efficiency. So for a long-lived chi2 this is
// the number of decays behind the detector, as decays_between gives it.
class InclusiveS2 {
  public:
    // `fluxes` for epsilon = 1; `branching` of chi2 to electrons, for decays inside the detector; `decayer`
    // null where chi2 is stable. `aprime_threshold` (GeV) is the beam energy less the ECAL cut, `depth_scale`
    // in cm per radiation length.
    InclusiveS2(const std::vector<Chi2Flux> &fluxes, const Chi2Decayer *decayer, double branching,
                double aprime_threshold, double depth_scale, const PairLosses &pairs,
                const ElectronLosses &electrons);

    // For each c tau (cm, may be infinite), for epsilon = 1.
    std::vector<double> operator()(const std::vector<double> &ctau) const;

    // What the cuts on the electron keep of A' above the ECAL cut.
    double electrons_kept() const { return electrons_kept_; }

  private:
    double electrons_kept_ = 1.0;
    double end_;
    std::vector<double> gamma_beta_; // of the bins
    std::vector<double> edges_;      // cm from the place of production
    std::vector<double> inside_;     // weight of a decay in a bin and between two edges
    std::vector<double> beyond_gamma_beta_, beyond_distance_, beyond_weight_;
};

} // namespace na64root

#endif
