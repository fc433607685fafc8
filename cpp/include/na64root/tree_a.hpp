// One event of the reconstruction dump of 2016-2018 (tree A): GeV, ns, mm; the members have the names of the
// branches.
#ifndef NA64ROOT_TREE_A_HPP
#define NA64ROOT_TREE_A_HPP

#include <cstdint>
#include <vector>

namespace na64root {

struct TreeAEvent {
    std::uint32_t run, spill, spillevent, runevent;
    bool isPhysics, isCalibration, isOnSpill;
    bool isTriggerPhysics, isTriggerBeam, isTriggerRandom, isTriggerECAL, isTriggerMuonInv;
    double masterTime;
    double S0_amp, S1_amp, S2_amp, S0_t0, S1_t0, S2_t0;
    double ecalTotal, ecal0, ecal1;
    double ECAL_ene[2][6][6], ECAL_t0[2][6][6]; // preshower and main part, x, y
    double hcal0, hcal1, hcal2, hcal3;          // HCAL1, HCAL2, HCAL3, zero-degree module
    double HCAL_ene[4][3][3], HCAL_t0[4][3][3]; // module, x, y
    double srdTotal, SRD_ene[4], SRD_t0[4];
    double VETO_ene[6], VETO_t0[6]; // photomultipliers, two of each counter after another
    double showerChi2;
    double HOD2_x_ene[16];
    bool HOD2_x_hit[16];
    std::vector<int> hod2_xhits_reco;
    double trackMomentum, trackChi2;
    std::int32_t nTracks, straw3X, straw3Y;
    double ecalTotalNoTimecut;
    // Simulation only.
    double mcWeight;
    std::int32_t mc_class;
    double mc_beam_momentum_GeV, mc_missing_energy_GeV, mc_x_mm, mc_y_mm;
};

// Call `visit(name, member, dimensions)` for each branch, `dimensions` in the form of a leaf list
// ("[2][6][6]" or "").
template <class Event, class Visitor> void for_each_branch(Event &event, Visitor &&visit) {
    visit("run", event.run, "");
    visit("spill", event.spill, "");
    visit("spillevent", event.spillevent, "");
    visit("runevent", event.runevent, "");
    visit("isPhysics", event.isPhysics, "");
    visit("isCalibration", event.isCalibration, "");
    visit("isOnSpill", event.isOnSpill, "");
    visit("isTriggerPhysics", event.isTriggerPhysics, "");
    visit("isTriggerBeam", event.isTriggerBeam, "");
    visit("isTriggerRandom", event.isTriggerRandom, "");
    visit("isTriggerECAL", event.isTriggerECAL, "");
    visit("isTriggerMuonInv", event.isTriggerMuonInv, "");
    visit("masterTime", event.masterTime, "");
    visit("S0_amp", event.S0_amp, "");
    visit("S1_amp", event.S1_amp, "");
    visit("S2_amp", event.S2_amp, "");
    visit("S0_t0", event.S0_t0, "");
    visit("S1_t0", event.S1_t0, "");
    visit("S2_t0", event.S2_t0, "");
    visit("ecalTotal", event.ecalTotal, "");
    visit("ecal0", event.ecal0, "");
    visit("ecal1", event.ecal1, "");
    visit("ECAL_ene", event.ECAL_ene, "[2][6][6]");
    visit("ECAL_t0", event.ECAL_t0, "[2][6][6]");
    visit("hcal0", event.hcal0, "");
    visit("hcal1", event.hcal1, "");
    visit("hcal2", event.hcal2, "");
    visit("hcal3", event.hcal3, "");
    visit("HCAL_ene", event.HCAL_ene, "[4][3][3]");
    visit("HCAL_t0", event.HCAL_t0, "[4][3][3]");
    visit("srdTotal", event.srdTotal, "");
    visit("SRD_ene", event.SRD_ene, "[4]");
    visit("SRD_t0", event.SRD_t0, "[4]");
    visit("VETO_ene", event.VETO_ene, "[6]");
    visit("VETO_t0", event.VETO_t0, "[6]");
    visit("showerChi2", event.showerChi2, "");
    visit("HOD2_x_ene", event.HOD2_x_ene, "[16]");
    visit("HOD2_x_hit", event.HOD2_x_hit, "[16]");
    visit("hod2_xhits_reco", event.hod2_xhits_reco, "");
    visit("trackMomentum", event.trackMomentum, "");
    visit("trackChi2", event.trackChi2, "");
    visit("nTracks", event.nTracks, "");
    visit("straw3X", event.straw3X, "");
    visit("straw3Y", event.straw3Y, "");
    visit("ecalTotalNoTimecut", event.ecalTotalNoTimecut, "");
    visit("mcWeight", event.mcWeight, "");
    visit("mc_class", event.mc_class, "");
    visit("mc_beam_momentum_GeV", event.mc_beam_momentum_GeV, "");
    visit("mc_missing_energy_GeV", event.mc_missing_energy_GeV, "");
    visit("mc_x_mm", event.mc_x_mm, "");
    visit("mc_y_mm", event.mc_y_mm, "");
}

} // namespace na64root

#endif
