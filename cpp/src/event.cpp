#include "na64root/event.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "beam_line.hpp"
#include "na64root/materials.hpp"

namespace na64root {
namespace {

using namespace beam_line;

// The central part of a Gaussian that is kept, in standard deviations: momentum spread and resolution of the
// default card then stay together inside its window of 3 GeV.
constexpr double kept = 1.8;
// What a module of the SRD sees of an electron that is kept (GeV).
constexpr double least_synchrotron = 0.002, most_synchrotron = 0.06;
constexpr std::uint64_t most_straw_hits = 3;

// In the ECAL each particle above this energy (GeV) makes a shower of its own; softer ones are joined to one
// for each slice of this depth (radiation lengths), a third of the cost for 2 % less energy in the preshower.
constexpr double soft_energy = 2.0, slice = 1.5;
constexpr int slices = 4;
// A photon's shower is as much later than that of an electron (radiation lengths). Derived: with it a shower
// put together from particles below 15 GeV leaves in the preshower what an electron of the whole energy does,
// as fitted to Geant4. From the maximum alone it would be 1 (PDG 2020, Eq. 34.36).
constexpr double photon_delay = 0.65;

constexpr std::uint64_t pilot_events = 10000;
constexpr std::uint64_t first_pilot = std::uint64_t{1} << 62; // entries that no sample reaches

double central_normal(Random &random) {
    double value;
    do
        value = random.normal();
    while (std::abs(value) > kept);
    return value;
}

SignalGeneratorConfig signal_config(const EventConfig &config) {
    SignalGeneratorConfig signal;
    signal.model = config.model;
    signal.material = material(config.target);
    signal.beam_energy = config.beam_energy;
    signal.threshold = config.threshold;
    signal.atoms_per_radiation_length = config.atoms_per_radiation_length;
    signal.depth_scale = config.depth_scale;
    signal.largest_beam_energy = config.beam_energy * (1.0 + kept * config.beam_momentum_spread);
    signal.target_start = config.detector.ecal_start;
    signal.mode = config.mode;
    signal.approximation = config.approximation;
    signal.annihilation = config.annihilation;
    signal.decay = config.decay;
    signal.width = config.width;
    signal.decay_start = config.decay_start;
    signal.decay_end = config.decay_end;
    signal.aprimes = config.aprimes;
    return signal;
}

EventConfig checked(const EventConfig &config) {
    for (const double size : {config.beam_momentum_spread, config.beam_spot, config.beam_divergence,
                              config.trigger_ecal_resolution})
        if (!(size >= 0.0) || !std::isfinite(size))
            throw std::invalid_argument("a spread of the beam or a resolution is not 0 or positive");
    if (!(config.events > 0.0))
        throw std::invalid_argument("a sample needs a positive number of events");
    return config;
}

void copy(const FourVector &from, double (&to)[4]) {
    to[0] = from.energy;
    to[1] = from.x;
    to[2] = from.y;
    to[3] = from.z;
}

void copy(const Position &from, double (&to)[3]) {
    to[0] = from.x;
    to[1] = from.y;
    to[2] = from.z;
}

// The beam electron is not quite along z: the rotation that takes z to its direction (Rodrigues).
void tilt(FourVector &vector, double slope_x, double slope_y) {
    const double nz = 1.0 / std::sqrt(1.0 + slope_x * slope_x + slope_y * slope_y);
    const double nx = slope_x * nz, ny = slope_y * nz;
    const double across = nx * vector.x + ny * vector.y;
    const double turned = vector.z - across / (1.0 + nz);
    vector.x += nx * turned;
    vector.y += ny * turned;
    vector.z = nz * vector.z - across;
}

void straighten(FourVector &vector) {
    vector.z = std::copysign(vector.momentum(), vector.z);
    vector.x = vector.y = 0.0;
}

} // namespace

EventGenerator::EventGenerator(const EventConfig &config)
    : config_(checked(config)), signal_(signal_config(config)) {
    double sum = 0.0;
    for (const EventPeriod &period : config_.periods) {
        if (!(period.electrons >= 0.0) || !std::isfinite(period.electrons) ||
            period.last_run < period.first_run)
            throw std::invalid_argument("a run period needs ordered runs and electrons on target");
        cumulative_electrons_.push_back(sum += period.electrons);
        DetectorConfig detector = config_.detector;
        detector.hcal_centre_x[2] += period.hcal3_shift_x;
        detector.hcal_centre_y[2] += period.hcal3_shift_y;
        detectors_.emplace_back(detector);
    }
    if (!(sum > 0.0))
        throw std::invalid_argument("no electrons on target in any run period");
}

EventGenerator::Beam EventGenerator::beam(Random &random) const {
    Beam beam{};
    const double u = random.uniform() * electrons();
    const auto found = std::upper_bound(cumulative_electrons_.begin(), cumulative_electrons_.end() - 1, u);
    beam.period = static_cast<std::size_t>(found - cumulative_electrons_.begin());
    beam.energy = config_.beam_energy * (1.0 + config_.beam_momentum_spread * central_normal(random));
    beam.x = config_.beam_spot * random.normal();
    beam.y = config_.beam_spot * random.normal();
    beam.slope_x = config_.beam_divergence * random.normal();
    beam.slope_y = config_.beam_divergence * random.normal();
    return beam;
}

double EventGenerator::weight(std::uint64_t seed, std::uint64_t entry) const {
    Random random(seed, entry, Stream::detector);
    std::vector<ShowerParticle> particles;
    return signal_(seed, entry, beam(random).energy, particles).weight;
}

// Run, trigger counters, spectrometer and SRD of an electron that is kept.
void EventGenerator::upstream(const Beam &beam, SignalEvent &event, Random &random) const {
    // The runs that pseudo-data have as well.
    const EventPeriod &period = config_.periods[beam.period];
    const std::uint32_t available = std::min<std::uint32_t>(period.last_run - period.first_run + 1, 240);
    event.run = period.last_run - static_cast<std::uint32_t>(random.uniform() * available);
    event.spill = 1 + static_cast<std::uint32_t>(random.uniform() * 25.0);

    event.mc_beam_momentum_GeV = beam.energy;
    event.mc_x_mm = beam.x / units::mm;
    event.mc_y_mm = beam.y / units::mm;
    event.masterTime = digitised(150.0 + 2.0 * random.normal(), time_step);
    event.trackMomentum = beam.energy * (1.0 + track_resolution * central_normal(random));
    event.trackChi2 = random.exponential();
    event.nTracks = 1;
    for (std::int32_t *hits : {&event.straw3X, &event.straw3Y})
        *hits =
            1 + static_cast<std::int32_t>(std::min(random.poisson(accidental_straw_hits), most_straw_hits));
    for (int module = 0; module < 3; ++module) {
        double energy;
        do
            energy = synchrotron(random);
        while (energy < least_synchrotron || energy > most_synchrotron);
        event.SRD_ene[module] = digitised(energy, srd_step);
        event.SRD_t0[module] = time_of(energy, srd_delay, event.masterTime, random);
        event.srdTotal += event.SRD_ene[module];
    }
    hodoscope(beam.x, event, random);
    beam_counters(event, random);
    event.showerChi2 = lognormal(random, electron_chi2_median, electron_chi2_sigma);
    event.isPhysics = event.isOnSpill = true;
}

// The showers of all particles, on one axis. A joined one starts at the mean depth of its particles, with
// their total energy, and develops as one of their mean logarithm of energy, on which its depth depends
// linearly.
void EventGenerator::ecal_showers(const Beam &beam, const Detector &detector,
                                  const std::vector<ShowerParticle> &particles, CellEnergies &cells,
                                  Random &random) const {
    struct Joined {
        double energy, depth, logarithm; // the latter two are sums weighted with the energy
    };
    Joined joined[slices] = {};
    std::vector<Shower> showers;
    showers.reserve(particles.size() + slices);
    const auto add = [&](double energy, double depth, double as_of) {
        const double z = config_.detector.ecal_start + config_.depth_scale * depth;
        const FourVector momentum{as_of, beam.slope_x * as_of, beam.slope_y * as_of, as_of};
        showers.push_back(
            detector.shower(momentum, {beam.x + beam.slope_x * z, beam.y + beam.slope_y * z, z}, random));
        showers.back().energy = energy;
    };
    for (const ShowerParticle &particle : particles) {
        const double depth = particle.depth + (particle.charge == 0 ? photon_delay : 0.0);
        if (particle.energy > soft_energy) {
            add(particle.energy, depth, particle.energy);
            continue;
        }
        Joined &into = joined[std::min(slices - 1, static_cast<int>(depth / slice))];
        into.energy += particle.energy;
        into.depth += particle.energy * depth;
        into.logarithm += particle.energy * std::log(particle.energy);
    }
    for (const Joined &one : joined)
        if (one.energy > 0.0)
            add(one.energy, one.depth / one.energy, std::exp(one.logarithm / one.energy));
    detector.deposit(showers.data(), showers.size(), cells);
}

DecayVolume EventGenerator::volume_at(double z) const {
    const DetectorConfig &c = config_.detector;
    if (z <= c.ecal_end)
        return DecayVolume::ecal;
    if (z <= c.veto_start + c.veto_thickness)
        return DecayVolume::veto;
    for (int module = 0; module < hcal_modules; ++module)
        if (z <= c.hcal_end[module])
            return static_cast<DecayVolume>(static_cast<int>(DecayVolume::hcal1) + module);
    return DecayVolume::beyond;
}

SignalEvent EventGenerator::operator()(std::uint64_t seed, std::uint64_t entry) const {
    SignalEvent event{};
    (*this)(seed, entry, event);
    return event;
}

void EventGenerator::operator()(std::uint64_t seed, std::uint64_t entry, SignalEvent &event) const {
    auto hits = std::move(event.hod2_xhits_reco); // keeps its memory
    event = SignalEvent{};
    hits.clear();
    event.hod2_xhits_reco = std::move(hits);

    Random random(seed, entry, Stream::detector);
    const Beam beam = this->beam(random);
    std::vector<ShowerParticle> particles;
    SignalTruth truth = signal_(seed, entry, beam.energy, particles);
    for (FourVector *vector :
         {&truth.aprime, &truth.chi1, &truth.chi2, &truth.chi1_of_chi2, &truth.electron, &truth.positron}) {
        if (config_.angles == Angles::off)
            straighten(*vector);
        tilt(*vector, beam.slope_x, beam.slope_y);
    }
    for (Position *position : {&truth.production, &truth.decay}) {
        const double z = std::isfinite(position->z) ? position->z : truth.production.z;
        if (config_.angles == Angles::off)
            position->x = position->y = 0.0;
        position->x += beam.x + beam.slope_x * (z - config_.detector.ecal_start);
        position->y += beam.y + beam.slope_y * (z - config_.detector.ecal_start);
    }
    event.runevent = event.spillevent = first_signal_number + static_cast<std::uint32_t>(entry);
    upstream(beam, event, random);

    const Detector &detector = detectors_[beam.period];
    CellEnergies cells{};
    ecal_showers(beam, detector, particles, cells, random);
    const DecayVolume volume = truth.decayed ? volume_at(truth.decay.z) : DecayVolume::none;
    if (truth.decayed && volume != DecayVolume::beyond) {
        const Point start{truth.decay.x, truth.decay.y, truth.decay.z};
        for (const FourVector *lepton : {&truth.electron, &truth.positron})
            detector.deposit(detector.shower(*lepton, start, random), cells);
    }
    detector.read_out(cells, event, random);
    const auto time_all = [&](const double *energies, double *times, int count, double delay) {
        for (int i = 0; i < count; ++i)
            times[i] = time_of(energies[i], delay, event.masterTime, random);
    };
    time_all(&event.ECAL_ene[0][0][0], &event.ECAL_t0[0][0][0], 2 * ecal_side * ecal_side, ecal_delay);
    time_all(&event.HCAL_ene[0][0][0], &event.HCAL_t0[0][0][0], 4 * hcal_side * hcal_side, hcal_delay);
    time_all(event.VETO_ene, event.VETO_t0, 6, veto_delay);
    event.ecalTotalNoTimecut =
        event.ecalTotal + digitised(beam_line::out_of_time_energy * random.exponential(), ecal_step);
    physics_trigger(config_.trigger_ecal_max, config_.trigger_ecal_resolution, event, random);
    event.isTriggerBeam = !event.isTriggerPhysics;

    event.mc_class = signal_class;
    event.mcWeight = truth.weight * electrons() / config_.events;
    event.mc_weight_per_electron = truth.weight;
    event.mc_production_weight = truth.production_weight;
    event.mc_decay_weight = truth.decay_weight;
    event.mc_process = static_cast<std::int32_t>(truth.process);
    event.mc_decay_volume = static_cast<std::int32_t>(volume);
    event.mc_missing_energy_GeV = truth.aprime.energy;
    if (volume == DecayVolume::ecal)
        event.mc_missing_energy_GeV -= truth.electron.energy + truth.positron.energy;
    event.mc_parent_energy_GeV = truth.parent_energy;
    event.mc_depth_X0 = truth.depth;
    event.mc_flight_length_cm = truth.flight_length;
    event.mc_gamma_beta = truth.gamma_beta;
    copy(truth.aprime, event.mc_aprime_GeV);
    copy(truth.chi1, event.mc_chi1_GeV);
    copy(truth.chi2, event.mc_chi2_GeV);
    copy(truth.chi1_of_chi2, event.mc_chi1_of_chi2_GeV);
    copy(truth.electron, event.mc_electron_GeV);
    copy(truth.positron, event.mc_positron_GeV);
    copy(truth.production, event.mc_production_cm);
    copy(truth.decay, event.mc_decay_cm);
    event.mc_beam_slope[0] = beam.slope_x;
    event.mc_beam_slope[1] = beam.slope_y;
    event.set_visible(cells);
}

InjectedSignal::InjectedSignal(const EventConfig &config, std::uint64_t seed)
    : generator_(config), seed_(seed) {
    // Weights differ from event to event: thinning a Poisson number of trials, each kept with its weight over
    // a bound, gives a Poisson number of events. The bound is twice the largest of a pilot sample; a larger
    // weight, of which there is less than one in 10^5, would count as the bound.
    double largest = 0.0, sum = 0.0;
    for (std::uint64_t i = 0; i < pilot_events; ++i) {
        const double weight = generator_.weight(seed, first_pilot + i);
        largest = std::max(largest, weight);
        sum += weight;
    }
    const double electrons = generator_.electrons(), bound = 2.0 * largest;
    expected_ = electrons * sum / static_cast<double>(pilot_events);
    if (!(expected_ <= most_events))
        throw std::invalid_argument("more than a million signal events are expected");
    const std::uint64_t trials = Random(seed, 0, Stream::injection_count).poisson(electrons * bound);
    for (std::uint64_t entry = 0; entry < trials; ++entry) {
        const double weight = generator_.weight(seed, entry);
        sum += weight;
        if (Random(seed, entry, Stream::injection).uniform() * bound < weight)
            entries_.push_back(entry);
    }
    expected_ = electrons * sum / static_cast<double>(pilot_events + trials);
}

void InjectedSignal::generate(std::uint64_t number, SignalEvent &event) const {
    if (number >= size())
        throw std::out_of_range("no event " + std::to_string(number) + " among " + std::to_string(size()));
    generator_(seed_, entries_[number], event);
    event.mcWeight = 1.0;
}

} // namespace na64root
