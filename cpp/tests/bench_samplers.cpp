// Rates of the samplers on one thread, printed; nothing is asserted. Each entry has its own stream, as in
// use.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "na64root/dark_brem.hpp"
#include "na64root/decay.hpp"
#include "na64root/event.hpp"
#include "na64root/materials.hpp"
#include "na64root/signal_generator.hpp"

using namespace na64root;

namespace {

// Calls sample(entry) n times and prints the rate; the sum of what it returns keeps the calls alive.
template <class Sample> void rate(const char *name, std::uint64_t n, Sample &&sample) {
    double sum = 0.0, best = 0.0;
    for (int round = 0; round < 5; ++round) {
        const std::clock_t start = std::clock(); // processor time: the machine may be shared
        for (std::uint64_t entry = 0; entry < n; ++entry)
            sum += sample(entry);
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        best = std::max(best, static_cast<double>(n) / seconds);
    }
    std::printf("%-44s %8.3f million/s   (checksum %.6g)\n", name, 1e-6 * best, sum);
}

} // namespace

int main() {
    const InelasticModel model{0.39, 1e-3, 0.1, 3.0, 0.4};
    rate("Random, 8 uniforms", 1000000, [](std::uint64_t entry) {
        Random random(1, entry);
        double sum = 0.0;
        for (int i = 0; i < 8; ++i)
            sum += random.uniform();
        return sum;
    });
    for (const double mass : {0.01, 0.1, 0.39}) {
        const DarkBremSampler sampler(DarkBremsstrahlung(mass, element("Pb")), 100.0);
        char name[64];
        std::snprintf(name, sizeof name, "dark bremsstrahlung (x, theta), M = %g", mass);
        rate(name, 1000000, [&](std::uint64_t entry) {
            Random random(1, entry, Stream::dark_bremsstrahlung);
            const auto sample = sampler(random);
            return sample.x + sample.theta;
        });
    }
    const double energy = 40.0, m2 = model.chi2_mass();
    const FourVector chi2{energy, 0.3, -0.4, std::sqrt(energy * energy - m2 * m2 - 0.25)};
    for (const auto decay : {DecayModel::matrix_element, DecayModel::phase_space}) {
        const Chi2Decayer decayer(model, decay);
        rate(decay == DecayModel::matrix_element ? "chi2 -> chi1 e e, matrix element"
                                                 : "chi2 -> chi1 e e, phase space",
             1000000, [&](std::uint64_t entry) {
                 Random random(1, entry, Stream::chi2_decay);
                 const auto result = decayer(chi2, random);
                 return result.chi1.energy + result.lepton_minus.x + result.lepton_plus.z;
             });
    }
    rate("A' -> chi1 chi2", 1000000, [&](std::uint64_t entry) {
        Random random(1, entry, Stream::aprime_decay);
        const auto result = decay_aprime(model, {80.0, 0.0, 0.0, std::sqrt(6400.0 - 0.39 * 0.39)}, random);
        return result.chi1.energy + result.chi2.x;
    });
    const Material &lead = material("Pb");
    const CascadeSampler cascade(lead, 15.0);
    rate("showers above 15 GeV", 100000, [&](std::uint64_t entry) {
        Random random(1, entry, Stream::cascade);
        return static_cast<double>(cascade.shower(100.0, random).steps.size());
    });
    SignalGeneratorConfig config{model, lead, 100.0, 15.0, 1.8e22, 1.1};
    config.decay_start = 220.0;
    config.decay_end = 530.0;
    const SignalGenerator generator(config);
    rate("signal events, truth", 100000, [&](std::uint64_t entry) { return generator(1, entry).weight; });
    std::vector<ShowerParticle> particles;
    rate("signal events, truth and shower", 100000,
         [&](std::uint64_t entry) { return generator(1, entry, particles).weight; });
    EventConfig complete; // noise and thresholds of the default card
    complete.model = {0.39, 6e-3, 0.1, 3.0, 0.4};
    complete.threshold = 15.0;
    complete.atoms_per_radiation_length = 1.8e22;
    complete.depth_scale = 1.1;
    complete.detector.ecal_noise = 0.010;
    complete.detector.ecal_threshold = 0.050;
    complete.detector.veto_noise = 0.0002;
    complete.detector.hcal_noise = 0.050;
    complete.detector.hcal_threshold = 0.100;
    EventPeriod period;
    period.electrons = 1e11;
    complete.periods = {period};
    SignalEvent event{};
    const EventGenerator unforced(complete);
    rate("signal events, complete", 100000, [&](std::uint64_t entry) {
        unforced(1, entry, event);
        return event.ecalTotal;
    });
    complete.decay_start = 220.0;
    complete.decay_end = 530.0;
    const EventGenerator forced(complete);
    rate("signal events, complete, forced", 100000, [&](std::uint64_t entry) {
        forced(1, entry, event);
        return event.ecalTotal;
    });
    return 0;
}
