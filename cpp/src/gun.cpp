#include "na64root/gun.hpp"

#include <cmath>
#include <stdexcept>

#include "na64root/materials.hpp"

namespace na64root {
namespace {

template <std::size_t N>
int index_of(const std::string &name, const char *const (&names)[N], const char *what) {
    std::string known;
    for (std::size_t i = 0; i < N; ++i) {
        if (name == names[i])
            return static_cast<int>(i);
        known += (i ? ", " : "") + std::string(names[i]);
    }
    throw std::invalid_argument(std::string("no ") + what + " " + name + " (known: " + known +
                                "): correct it");
}

// The leptons of a state of mass m that decays isotropically, along z.
void decay(double energy, double mass, FourVector &minus, FourVector &plus, Random &random) {
    const FourVector frame{energy, 0.0, 0.0, std::sqrt(energy * energy - mass * mass)};
    const TwoBodyDecay pair =
        two_body_decay(frame, mass, units::electron_mass, units::electron_mass, isotropic_direction(random));
    minus = pair.first;
    plus = pair.second;
}

} // namespace

GunParticle gun_particle(const std::string &name) {
    static const char *const names[] = {"e-", "pair"};
    return static_cast<GunParticle>(index_of(name, names, "particle"));
}

GunVolume gun_volume(const std::string &name) {
    static const char *const names[] = {"ecal", "hcal1", "hcal2", "hcal3"};
    return static_cast<GunVolume>(index_of(name, names, "volume"));
}

GunGenerator::GunGenerator(const GunConfig &config)
    : config_(config), detector_(config.detector), cascade_(material("Pb"), track_threshold[0]) {
    if (!(config.energy > units::electron_mass && config.energy <= largest_energy))
        throw std::domain_error("the energy of the gun is not between the electron mass and " +
                                std::to_string(static_cast<int>(largest_energy)) +
                                " GeV, where the profiles end");
    if (config.particle == GunParticle::pair &&
        !(config.pair_mass >= 2.0 * units::electron_mass && config.pair_mass < config.energy))
        throw std::domain_error("the mass of the pair is not between 2 electron masses and its energy");
    if (!std::isfinite(config.offset_x) || !std::isfinite(config.offset_y))
        throw std::domain_error("the offset of the gun is not finite");
}

void GunGenerator::follow(double energy, int charge, GunEvent &event, Random &random) const {
    if (energy <= track_threshold[0])
        return;
    for (const TrackStep &step : cascade_(energy, random)) {
        // The sampler starts with an electron; a positron differs in the charge of the first track alone.
        const int step_charge = step.primary ? charge : step.charge;
        auto &lengths = step_charge < 0 ? event.mc_track_electron_X0 : event.mc_track_positron_X0;
        for (int i = 0; i < track_thresholds; ++i)
            if (step.energy > track_threshold[i])
                lengths[i] += step.length;
    }
}

GunEvent GunGenerator::operator()(std::uint64_t seed, std::uint64_t entry) const {
    GunEvent event{};
    (*this)(seed, entry, event);
    return event;
}

void GunGenerator::operator()(std::uint64_t seed, std::uint64_t entry, GunEvent &event) const {
    event = GunEvent{};
    Random random(seed, entry, Stream::gun);
    const auto &c = config_.detector;
    const bool ecal = config_.volume == GunVolume::ecal;
    const int module = static_cast<int>(config_.volume) - 1;

    Point start{config_.offset_x, config_.offset_y, ecal ? c.ecal_start : c.hcal_start[module]};
    if (!ecal) {
        start.x += c.hcal_centre_x[module];
        start.y += c.hcal_centre_y[module];
    }
    FourVector lepton[2];
    int leptons = 1;
    if (config_.particle == GunParticle::pair) {
        start.z = random.uniform(start.z, ecal ? c.ecal_end : c.hcal_end[module]);
        decay(config_.energy, config_.pair_mass, lepton[0], lepton[1], random);
        leptons = 2;
    } else {
        const double energy = config_.energy, mass = units::electron_mass;
        lepton[0] = {energy, 0.0, 0.0, std::sqrt(energy * energy - mass * mass)};
    }

    CellEnergies cells{};
    for (int i = 0; i < leptons; ++i) {
        const Shower shower = detector_.shower(lepton[i], start, random);
        detector_.deposit(shower, cells);
        double bins[Detector::profile_bins];
        detector_.profile(shower, bins, random);
        for (int bin = 0; bin < Detector::profile_bins; ++bin)
            event.mc_profile_GeV[bin] += bins[bin];
        event.mc_leakage_GeV += detector_.leakage(shower);
        const double share = lepton[i].energy / config_.energy;
        event.mc_r50_mm += share * detector_.radius(shower, 0.5) / units::mm;
        event.mc_r90_mm += share * detector_.radius(shower, 0.9) / units::mm;
        if (i == 0) {
            event.mc_depth_X0 = shower.start_depth;
            if (shower.section == Section::ecal_main)
                event.mc_depth_X0 += detector_.depth_of(Section::preshower);
        }
        if (ecal)
            follow(lepton[i].energy, i == 0 ? -1 : 1, event, random);
    }
    event.set_visible(cells);
    detector_.read_out(cells, event, random);
    event.ecalTotalNoTimecut = event.ecalTotal;

    // What the layout asks for beside the energies: a physics trigger on the spill.
    event.run = gun_run;
    event.spill = 1;
    event.spillevent = event.runevent = static_cast<std::uint32_t>(entry) + 1;
    event.isPhysics = event.isOnSpill = event.isTriggerPhysics = true;
    event.mcWeight = 1.0;
    event.mc_class = -1;
    event.mc_energy_GeV = config_.energy;
    event.mc_pair_mass_GeV = config_.particle == GunParticle::pair ? config_.pair_mass : 0.0;
    event.mc_x_mm = event.mc_start_x_mm = start.x / units::mm;
    event.mc_y_mm = event.mc_start_y_mm = start.y / units::mm;
    event.mc_start_z_mm = start.z / units::mm;
}

} // namespace na64root
