#include "na64root/signal_generator.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace na64root {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

const SignalGeneratorConfig &checked(const SignalGeneratorConfig &config) {
    config.model.validate();
    const auto positive = [](double value) { return value > 0.0 && std::isfinite(value); };
    if (config.material.components.size() != 1)
        throw std::invalid_argument("a signal generator needs a target of one element (yields are per atom)");
    if (!positive(config.threshold) || !positive(config.beam_energy) ||
        !(config.beam_energy > config.threshold))
        throw std::invalid_argument("a signal generator needs 0 < threshold < beam energy");
    if (config.largest_beam_energy != 0.0 &&
        !(config.largest_beam_energy >= config.beam_energy && std::isfinite(config.largest_beam_energy)))
        throw std::invalid_argument("the largest beam energy is below the beam energy");
    if (!positive(config.atoms_per_radiation_length) || !positive(config.depth_scale) ||
        !std::isfinite(config.target_start))
        throw std::invalid_argument(
            "a signal generator needs positive atoms per radiation length and depth scale");
    if (!(config.decay_start < config.decay_end))
        throw std::invalid_argument("a range of decays needs start < end");
    if (config.mode == SignalMode::visible && config.annihilation == Annihilation::on)
        throw std::invalid_argument("annihilation is made with dark final states only, not in visible mode");
    for (const GivenAprime &given : config.aprimes) {
        if (!(given.momentum.energy > config.threshold && given.momentum.energy < config.beam_energy &&
              given.momentum.energy > config.model.mass && given.momentum.momentum() > 0.0))
            throw std::domain_error("a given A' has no energy between threshold and beam energy");
        if (!(given.production_weight >= 0.0) || !std::isfinite(given.production_weight))
            throw std::invalid_argument("a given A' has a weight that is not 0 or positive");
    }
    if (config.model.coupling != Coupling::vector)
        throw std::invalid_argument("signal events are those of a vector mediator");
    return config;
}

// A particle of `energy` at a polar angle to the beam.
FourVector at_angle(double energy, double mass, double angle, double azimuth) {
    const double momentum = std::sqrt(std::max(0.0, (energy - mass) * (energy + mass)));
    const FourVector around = unit_vector(0.0, azimuth);
    const double transverse = momentum * std::sin(angle);
    return {energy, transverse * around.x, transverse * around.y, momentum * std::cos(angle)};
}

// Cosine of chi in e+ e- -> A' -> chi1 chi2 to the beam: the A' is polarised across it, and the vector
// current gives E1 E2 + m1 m2 + p^2 cos^2, a mixture of a flat and a squared part.
double annihilation_cosine(double mass, double mass1, double mass2, Random &random) {
    const double momentum = two_body_momentum(mass, mass1, mass2), p2 = momentum * momentum;
    const double flat = std::sqrt((p2 + mass1 * mass1) * (p2 + mass2 * mass2)) + mass1 * mass2;
    const bool squared = random.uniform() * (flat + p2 / 3.0) > flat;
    const double u = random.uniform(-1.0, 1.0);
    return squared ? std::cbrt(u) : u;
}

} // namespace

SignalGenerator::SignalGenerator(const SignalGeneratorConfig &config)
    : config_(checked(config)), cascade_(config.material, config.threshold),
      bremsstrahlung_(DarkBremsstrahlung(config.model.mass, config.material.components.front().element,
                                         config.approximation),
                      config.threshold, std::max(config.beam_energy, config.largest_beam_energy)),
      ctau_(infinity), aprime_branching_(1.0), branching_to_electrons_(1.0) {
    const InelasticModel &model = config_.model;
    if (config_.annihilation == Annihilation::on)
        annihilation_.emplace(model, config_.material.components.front().element.atomic_number);
    if (config_.mode == SignalMode::visible) {
        InelasticModel unit = model; // the branching ratio does not depend on epsilon
        unit.epsilon = 1.0;
        const double electrons = aprime_width_to_leptons(unit, units::electron_mass);
        const double leptons = electrons + aprime_width_to_leptons(unit, units::muon_mass);
        if (!(electrons > 0.0))
            throw std::domain_error("A' -> e+ e- is closed");
        aprime_branching_ = electrons / leptons;
        const double width = leptons * model.epsilon * model.epsilon;
        ctau_ = width > 0.0 ? units::hbar_c / width : infinity;
        return;
    }
    aprime_branching_ = aprime_width_to_chi(model) / aprime_width(model);
    if (config_.mode == SignalMode::semivisible && model.chi2_decays()) {
        ctau_ = chi2_ctau(model, config_.width);
        branching_to_electrons_ = chi2_branching_to_electrons(model, config_.width);
        chi2_decayer_.emplace(model, config_.decay);
    }
}

double SignalGenerator::cross_section(double energy, int charge) const {
    double sum = bremsstrahlung_.cross_section(energy);
    if (annihilation_ && charge > 0)
        sum += annihilation_->reduced_cross_section(energy);
    return sum;
}

SignalTruth SignalGenerator::operator()(std::uint64_t seed, std::uint64_t entry) const {
    return generate(seed, entry, config_.beam_energy, nullptr);
}

SignalTruth SignalGenerator::operator()(std::uint64_t seed, std::uint64_t entry,
                                        std::vector<ShowerParticle> &particles) const {
    particles.clear();
    return generate(seed, entry, config_.beam_energy, &particles);
}

SignalTruth SignalGenerator::operator()(std::uint64_t seed, std::uint64_t entry, double beam_energy,
                                        std::vector<ShowerParticle> &particles) const {
    if (!(beam_energy > config_.threshold &&
          beam_energy <= std::max(config_.beam_energy, config_.largest_beam_energy)))
        throw std::domain_error("the energy of a beam electron is not between threshold and largest energy");
    particles.clear();
    return generate(seed, entry, beam_energy, &particles);
}

// Decays `particle` in the forced range of z: the flight length is exponential between the lengths at which
// it enters and leaves the range.
void SignalGenerator::decay_in_range(SignalTruth &event, const FourVector &particle, double mass,
                                     Random &random) const {
    const double momentum = particle.momentum(), u = random.uniform();
    event.gamma_beta = momentum / mass;
    const double mean = event.gamma_beta * ctau_; // infinite for a stable one
    double near = 0.0, far = infinity;
    const double direction = momentum > 0.0 ? particle.z / momentum : 0.0;
    const double start = config_.decay_start - event.production.z,
                 end = config_.decay_end - event.production.z;
    if (direction > 0.0) {
        near = std::max(0.0, start / direction);
        far = end / direction;
    } else if (direction < 0.0) {
        near = std::max(0.0, end / direction);
        far = start / direction;
    } else if (start > 0.0 || end < 0.0) { // does not move along z, and is outside
        far = -infinity;
    }
    event.decay = {event.production.x, event.production.y, infinity};
    event.flight_length = infinity;
    event.decayed = false;
    event.decay_weight = 0.0;
    if (!(far > near))
        return;
    if (!(mean < infinity)) { // stable: it passes the start of an open range, and decays in no other
        event.decay_weight = far == infinity ? 1.0 : 0.0;
        return;
    }
    double length = 0.0;
    if (mean > 0.0) {
        const double probability = -std::expm1(-(far - near) / mean); // once at the start of the range
        event.decay_weight = std::exp(-near / mean) * probability;
        length = std::min(near - mean * std::log1p(-u * probability), far);
    } else { // at rest: decays where it is
        event.decay_weight = near > 0.0 ? 0.0 : 1.0;
        length = near;
    }
    event.flight_length = length;
    event.decayed = true;
    const double step = momentum > 0.0 ? length / momentum : 0.0;
    event.decay = {event.production.x + step * particle.x, event.production.y + step * particle.y,
                   event.production.z + step * particle.z};
}

void SignalGenerator::produce(SignalTruth &event, const TrackStep &step, Random &random) const {
    event.process = ProductionProcess::dark_bremsstrahlung;
    if (annihilation_ && step.charge > 0) {
        const double resonant = annihilation_->reduced_cross_section(step.energy);
        if (random.uniform() * cross_section(step.energy, step.charge) < resonant)
            event.process = ProductionProcess::annihilation;
    }
    if (event.process == ProductionProcess::annihilation) {
        event.aprime = at_angle(event.parent_energy + units::electron_mass,
                                std::sqrt(annihilation_->s(event.parent_energy)), 0.0, 0.0);
        event.recoil_energy = 0.0;
    } else {
        const DarkBremSample sample = bremsstrahlung_(event.parent_energy, random);
        event.aprime =
            at_angle(sample.x * event.parent_energy, config_.model.mass, sample.theta, random.uniform());
        event.recoil_energy = event.parent_energy - event.aprime.energy;
    }
}

void SignalGenerator::take(SignalTruth &event, const GivenAprime &given, double scale) const {
    const double mass = config_.model.mass, energy = scale * given.momentum.energy;
    const double factor = std::sqrt((energy - mass) * (energy + mass)) / given.momentum.momentum();
    event.process = ProductionProcess::dark_bremsstrahlung;
    event.aprime = {energy, factor * given.momentum.x, factor * given.momentum.y, factor * given.momentum.z};
    event.parent_energy = std::max(event.parent_energy, energy);
    event.recoil_energy = event.parent_energy - energy;
    event.production_weight = given.production_weight;
}

SignalTruth SignalGenerator::generate(std::uint64_t seed, std::uint64_t entry, double beam_energy,
                                      std::vector<ShowerParticle> *particles) const {
    Random random(seed, entry);
    const CascadeShower shower = cascade_.shower(beam_energy, random);

    // A point on the track. Energy and cross section are those at the middle of its step, off by 0.1 % at
    // most.
    const GivenAprime *given =
        config_.aprimes.empty() ? nullptr : &config_.aprimes[entry % config_.aprimes.size()];
    const double scale = beam_energy / config_.beam_energy;
    const double least = given ? scale * given->momentum.energy : 0.0; // none beyond: the first step of all
    std::vector<double> cumulative;
    cumulative.reserve(shower.steps.size());
    double sum = 0.0;
    for (const TrackStep &step : shower.steps) {
        if (step.energy > least)
            sum += step.length * cross_section(step.energy, step.charge);
        cumulative.push_back(sum);
    }
    const auto reached = std::upper_bound(cumulative.begin(), cumulative.end() - 1, random.uniform() * sum);
    const std::size_t chosen = sum > 0.0 ? static_cast<std::size_t>(reached - cumulative.begin()) : 0;
    const TrackStep &step = shower.steps[chosen];
    const double along = random.uniform();

    SignalTruth event{};
    event.parent_charge = step.charge;
    event.parent_energy = step.energy;
    event.depth = step.depth + along * step.length;
    event.production = {0.0, 0.0, config_.target_start + config_.depth_scale * event.depth};
    event.production_weight = sum * config_.atoms_per_radiation_length * units::pb_in_cm2;
    event.epsilon2 = config_.model.epsilon * config_.model.epsilon;
    event.aprime_branching = aprime_branching_;
    event.branching_to_electrons = branching_to_electrons_;

    const InelasticModel &model = config_.model;
    if (given)
        take(event, *given, scale);
    else
        produce(event, step, random);
    const double mass = event.process == ProductionProcess::annihilation
                            ? std::sqrt(annihilation_->s(event.parent_energy))
                            : model.mass;
    event.ecal_energy = beam_energy - event.aprime.energy;

    if (config_.mode == SignalMode::visible) {
        decay_in_range(event, event.aprime, mass, random);
        if (event.decayed) {
            const auto [electron, positron] = two_body_decay(
                event.aprime, mass, units::electron_mass, units::electron_mass, isotropic_direction(random));
            event.electron = electron;
            event.positron = positron;
        }
    } else {
        const double m1 = model.chi1_mass(), m2 = model.chi2_mass();
        FourVector direction;
        if (event.process == ProductionProcess::annihilation) {
            const double cosine = annihilation_cosine(mass, m1, m2, random);
            direction = unit_vector(cosine, random.uniform());
        } else {
            direction = isotropic_direction(random);
        }
        const auto [chi2, chi1] = two_body_decay(event.aprime, mass, m2, m1, direction);
        event.chi1 = chi1;
        event.chi2 = chi2;
        decay_in_range(event, chi2, m2, random);
        if (event.decayed) {
            const Chi2Decay products = (*chi2_decayer_)(chi2, random);
            event.chi1_of_chi2 = products.chi1;
            event.electron = products.lepton_minus;
            event.positron = products.lepton_plus;
        }
    }
    event.weight = event.production_weight * event.epsilon2 * event.aprime_branching * event.decay_weight *
                   event.branching_to_electrons;

    if (particles) {
        // What descends from the chosen step beyond the point is replaced by the recoil electron.
        std::vector<bool> removed(shower.steps.size(), false);
        double soft = 0.0, soft_depth = 0.0;
        const auto radiated = [&](const TrackStep &s, double length) {
            soft += length;
            soft_depth += length * (s.depth + 0.5 * length);
        };
        for (std::size_t i = 0; i < shower.steps.size(); ++i) {
            const int parent = shower.steps[i].parent;
            removed[i] = parent >= 0 && (removed[static_cast<std::size_t>(parent)] ||
                                         static_cast<std::size_t>(parent) == chosen);
            if (!removed[i])
                radiated(shower.steps[i], shower.steps[i].length * (i == chosen ? 0.5 : 1.0));
        }
        for (const ShowerParticle &particle : shower.particles) {
            const auto parent = static_cast<std::size_t>(particle.parent);
            if (!removed[parent] && parent != chosen)
                particles->push_back({particle.energy, particle.depth, particle.charge, -1});
        }
        if (soft > 0.0)
            particles->push_back({soft * cascade_.soft_loss(), soft_depth / soft, 0, -1});
        if (event.recoil_energy > 0.0)
            particles->push_back({event.recoil_energy, event.depth, event.parent_charge, -1});
    }
    return event;
}

} // namespace na64root
