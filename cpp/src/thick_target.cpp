#include "na64root/thick_target.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "gauss_nodes.hpp"

#include "na64root/decay.hpp"

namespace na64root {
namespace {

struct Group {
    double energy, depth, length;
};

// Merges the bins of the track between neighbouring edges into groups with their mean energy and depth.
std::vector<Group> merge(const TrackLength &track, const std::vector<double> &edges, std::size_t groups) {
    const std::vector<double> bounds = group_bounds(edges, groups);
    std::vector<Group> merged(bounds.size(), {0.0, 0.0, 0.0});
    for (std::size_t i = 0; i < track.all.size(); ++i) {
        const double energy = std::sqrt(track.edges[i] * track.edges[i + 1]);
        const auto above = std::upper_bound(bounds.begin(), bounds.end(), energy);
        if (above == bounds.begin())
            continue;
        Group &group = merged[static_cast<std::size_t>(above - bounds.begin()) - 1];
        group.length += track.all[i];
        group.energy += track.all[i] * energy;
        group.depth += track.depth_moment[i];
    }
    for (auto &group : merged)
        if (group.length > 0.0) {
            group.energy /= group.length;
            group.depth /= group.length;
        }
    return merged;
}

} // namespace

std::vector<double> group_bounds(const std::vector<double> &edges, std::size_t groups) {
    std::vector<double> bounds;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i)
        for (std::size_t j = 0; j < groups; ++j)
            bounds.push_back(edges[i] * std::pow(edges[i + 1] / edges[i], static_cast<double>(j) / groups));
    return bounds;
}

std::vector<ProductionPoint> production_spectrum(const DarkBremsstrahlung &cross_section,
                                                 const TrackLength &track, double atoms_per_radiation_length,
                                                 const std::vector<double> &energy_edges,
                                                 std::size_t groups) {
    if (energy_edges.empty() || groups == 0 ||
        std::any_of(energy_edges.begin(), energy_edges.end(), [](double e) { return !(e > 0.0); }))
        throw std::invalid_argument(
            "a production spectrum needs positive energy edges and at least one group");
    if (*std::min_element(energy_edges.begin(), energy_edges.end()) < track.edges.back() * (1.0 - 1e-9))
        throw std::invalid_argument(
            "a production spectrum cannot start below the threshold of the track length");
    std::vector<double> edges;
    for (const double edge : energy_edges)
        if (edge < track.beam_energy)
            edges.push_back(edge);
    if (edges.empty())
        return {};
    edges.push_back(track.beam_energy);
    std::sort(edges.begin(), edges.end());

    std::vector<ProductionPoint> points;
    for (const Group &group : merge(track, edges, groups)) {
        if (!(group.length > 0.0))
            continue;
        const auto [x_low, x_high] = cross_section.x_range(group.energy);
        const auto integrate = [&](double from, double to) {
            from = std::max(from, x_low);
            to = std::min(to, x_high);
            if (!(from < to))
                return;
            const double y_low = -std::log1p(-from), y_high = -std::log1p(-to);
            const auto use = [&](double y, double weight) {
                const double one_minus_x = std::exp(-y), x = 1.0 - one_minus_x;
                const double sigma = cross_section.dsigma_dx(group.energy, x).value;
                points.push_back({x * group.energy, group.depth,
                                  sigma * one_minus_x * weight * group.length * atoms_per_radiation_length *
                                      units::pb_in_cm2,
                                  cross_section.mass(), ProductionProcess::dark_bremsstrahlung,
                                  group.energy});
            };
            if (y_high - y_low < 1.0) {
                gauss_nodes<10>(y_low, y_high, use);
            } else { // the last piece, up to x = 1: the cross section rises over several decades of 1 - x
                const double middle = y_low + 0.37 * (y_high - y_low);
                gauss_nodes<15>(y_low, middle, use);
                gauss_nodes<15>(middle, y_high, use);
            }
        };
        for (std::size_t i = 0; i + 1 < edges.size(); ++i)
            integrate(edges[i] / group.energy, i + 2 < edges.size() ? edges[i + 1] / group.energy : 1.0);
    }
    return points;
}

std::vector<ProductionPoint> annihilation_spectrum(const ResonantAnnihilation &cross_section,
                                                   const TrackLength &track,
                                                   double atoms_per_radiation_length,
                                                   const std::vector<double> &energy_edges) {
    if (energy_edges.empty())
        throw std::invalid_argument("a production spectrum needs energy edges");
    const double lowest = *std::min_element(energy_edges.begin(), energy_edges.end());
    std::vector<double> edges; // of the positron: E_A' = E+ + m_e
    for (const double edge : energy_edges)
        edges.push_back(edge - units::electron_mass);
    std::vector<ProductionPoint> points;
    for (const AnnihilationPoint &point : cross_section.track_points(track, edges)) {
        const double energy = point.energy + units::electron_mass;
        if (energy > lowest)
            points.push_back(
                {energy, point.depth, point.weight * atoms_per_radiation_length * units::pb_in_cm2,
                 std::sqrt(cross_section.s(point.energy)), ProductionProcess::annihilation, point.energy});
    }
    return points;
}

Chi2Flux chi2_flux(const InelasticModel &model, const std::vector<ProductionPoint> &production,
                   double depth_scale, double target_start) {
    model.validate();
    const double m1 = model.chi1_mass(), m2 = model.chi2_mass();
    Chi2Flux flux;
    for (const auto &point : production) {
        const double momentum = two_body_momentum(point.mass, m1, m2), p2 = momentum * momentum;
        const double energy = std::hypot(momentum, m2);
        // An A' made by annihilation is polarised across the beam: E1 E2 + m1 m2 + p^2 cos^2, of axial
        // vectors with -m1 m2; what has no spin has no direction.
        const bool polarised =
            point.process == ProductionProcess::annihilation && !is_spinless(model.coupling);
        const double masses = model.coupling == Coupling::axial ? -m1 * m2 : m1 * m2;
        const double flat = std::hypot(momentum, m1) * energy + masses;
        const double gamma = point.energy / point.mass;
        const double gamma_beta = std::sqrt(std::max(0.0, (gamma - 1.0) * (gamma + 1.0)));
        gauss_nodes<16>(-1.0, 1.0, [&](double cosine, double weight) {
            const double chi2_energy = gamma * energy + gamma_beta * momentum * cosine;
            const double chi2_gamma = chi2_energy / m2;
            flux.aprime_energy.push_back(point.energy);
            flux.parent_energy.push_back(point.parent_energy);
            flux.chi2_energy.push_back(chi2_energy);
            flux.gamma_beta.push_back(std::sqrt(std::max(0.0, (chi2_gamma - 1.0) * (chi2_gamma + 1.0))));
            flux.origin.push_back(target_start + depth_scale * point.depth);
            const double shape = polarised ? (flat + p2 * cosine * cosine) / (flat + p2 / 3.0) : 1.0;
            flux.weight.push_back(0.5 * shape * weight * point.weight);
        });
    }
    return flux;
}

std::vector<double> decays_between(const Chi2Flux &flux, const std::vector<double> &acceptance,
                                   const std::vector<double> &ctau, double start, double end) {
    if (acceptance.size() != flux.weight.size())
        throw std::invalid_argument("the acceptance needs one value for each entry of the flux");
    if (!(start <= end))
        throw std::invalid_argument("decays between start and end need start <= end");
    std::vector<double> expected(ctau.size(), 0.0);
    for (std::size_t i = 0; i < flux.weight.size(); ++i) {
        const double weight = flux.weight[i] * acceptance[i];
        if (weight == 0.0)
            continue;
        const double near = std::max(0.0, start - flux.origin[i]), far = std::max(0.0, end - flux.origin[i]);
        for (std::size_t j = 0; j < ctau.size(); ++j) {
            const double length = flux.gamma_beta[i] * ctau[j]; // zero only for a chi2 at rest
            const auto survives = [&](double distance) {
                if (!(distance > 0.0))
                    return 1.0;
                if (!(length > 0.0))
                    return 0.0;
                if (std::isinf(length))
                    return 1.0;
                return std::exp(-distance / length);
            };
            expected[j] += weight * (survives(near) - (std::isinf(end) ? 0.0 : survives(far)));
        }
    }
    return expected;
}

} // namespace na64root
