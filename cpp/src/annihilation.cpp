#include "na64root/annihilation.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gauss_nodes.hpp"
#include "quadrature.hpp"

#include "na64root/widths.hpp"

namespace na64root {
namespace {

constexpr double me = units::electron_mass;

} // namespace

ResonantAnnihilation::ResonantAnnihilation(const InelasticModel &model, double atomic_number)
    : model_(model), atomic_number_(atomic_number), width_(aprime_width(model)) { // validates
    if (!(atomic_number > 0.0) || !std::isfinite(atomic_number))
        throw std::domain_error("annihilation needs a positive, finite atomic number");
}

double ResonantAnnihilation::resonance_energy() const {
    return (model_.mass * model_.mass - 2.0 * me * me) / (2.0 * me);
}

double ResonantAnnihilation::s(double energy) const {
    if (!(energy >= me) || !std::isfinite(energy))
        throw std::domain_error("a positron has a finite energy, at least that of its mass");
    return 2.0 * me * (me + energy);
}

double ResonantAnnihilation::smooth_part(double s) const {
    const double root = std::sqrt(s), beta2 = 1.0 - 4.0 * me * me / s;
    const double m1 = model_.chi1_mass(), m2 = model_.chi2_mass();
    if (!(beta2 > 0.0) || !(root > (m1 + m2) * (1.0 + 1e-12)))
        return 0.0;
    InelasticModel off_shell = model_; // the same chi1 and chi2 from a mediator of mass sqrt(s)
    off_shell.mass = root;
    off_shell.mass_ratio = root / m1;
    off_shell.epsilon = 1.0;
    const double spin = is_spinless(model_.coupling) ? 1.0 : 3.0;
    return spin * 4.0 * units::pi / beta2 * aprime_width_to_leptons(off_shell, me) *
           aprime_width_to_chi(off_shell) * units::inverse_GeV2_in_pb * atomic_number_;
}

double ResonantAnnihilation::reduced_cross_section(double positron_energy) const {
    const double s = this->s(positron_energy), root = std::sqrt(s);
    const double off = (root - model_.mass) * (root + model_.mass), half = model_.mass * width_;
    return smooth_part(s) / (off * off + half * half);
}

double ResonantAnnihilation::cross_section(double positron_energy) const {
    return model_.epsilon * model_.epsilon * reduced_cross_section(positron_energy);
}

Estimate ResonantAnnihilation::track_integral(const TrackLength &track, double relative_tolerance) const {
    const double mass2 = model_.mass * model_.mass, half = model_.mass * width_;
    const double threshold = std::pow(std::max(model_.chi1_mass() + model_.chi2_mass(), 2.0 * me), 2);
    Estimate sum{0.0, 0.0};
    for (std::size_t i = 0; i + 1 < track.edges.size(); ++i) {
        // The track is flat in ln E within a bin.
        const double per_log = track.positron(i) / std::log(track.edges[i] / track.edges[i + 1]);
        const double low = std::max(s(track.edges[i + 1]), threshold), high = s(track.edges[i]);
        if (!(high > low) || !(per_log > 0.0))
            continue;
        // s = M^2 + M Gamma sinh(v): the denominator is (M Gamma cosh v)^2, and neither the peak nor a far
        // wing loses digits, whatever the width. dE/E = ds/(s - 2 m_e^2).
        const double start = std::asinh((low - mass2) / half), end = std::asinh((high - mass2) / half);
        const double peak = std::clamp(0.0, start, end);
        const Estimate part = quadrature::integrate<31>(
            [&](double v) {
                const double s = std::clamp(mass2 + half * std::sinh(v), low, high);
                return smooth_part(s) / (half * std::cosh(v) * (s - 2.0 * me * me));
            },
            {start, peak, end}, relative_tolerance, "the integral of annihilation over the track");
        sum.value += part.value * per_log;
        sum.error += part.error * per_log;
    }
    const double epsilon2 = model_.epsilon * model_.epsilon;
    return {sum.value * epsilon2, sum.error * epsilon2};
}

std::vector<AnnihilationPoint>
ResonantAnnihilation::track_points(const TrackLength &track, const std::vector<double> &energy_edges) const {
    const double mass2 = model_.mass * model_.mass, half = model_.mass * width_;
    const double threshold = std::pow(std::max(model_.chi1_mass() + model_.chi2_mass(), 2.0 * me), 2);
    std::vector<AnnihilationPoint> points;
    const auto add = [&](double low, double high, double per_log, double depth) {
        // The variable of track_integral. A distant resonance is smooth within a piece, a near one needs
        // points on its own scale, one in v.
        const double start = std::asinh((low - mass2) / half), end = std::asinh((high - mass2) / half);
        const auto use = [&](double v, double weight) {
            const double s = std::clamp(mass2 + half * std::sinh(v), low, high);
            const double value = smooth_part(s) / (half * std::cosh(v) * (s - 2.0 * me * me));
            if (value > 0.0)
                points.push_back({s / (2.0 * me) - me, depth, value * weight * per_log});
        };
        if (end - start < 0.05 && low > threshold) { // above it the width rises like a square root
            gauss_nodes<2>(start, end, use);
            return;
        }
        const double parts = std::ceil(0.5 * (end - start)), step = (end - start) / parts;
        for (double part = 0.0; part < parts; ++part)
            gauss_nodes<8>(start + part * step, start + (part + 1.0) * step, use);
    };
    for (std::size_t i = 0; i + 1 < track.edges.size(); ++i) {
        const double per_log = track.positron(i) / std::log(track.edges[i] / track.edges[i + 1]);
        const double low = std::max(s(track.edges[i + 1]), threshold), high = s(track.edges[i]);
        if (!(high > low) || !(per_log > 0.0))
            continue;
        std::vector<double> bounds{low, high};
        for (const double edge : energy_edges)
            if (edge >= me && s(edge) > low && s(edge) < high)
                bounds.push_back(s(edge));
        std::sort(bounds.begin(), bounds.end());
        for (std::size_t j = 0; j + 1 < bounds.size(); ++j)
            add(bounds[j], bounds[j + 1], per_log, track.positron_depth(i));
    }
    return points;
}

} // namespace na64root
