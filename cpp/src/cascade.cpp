#include "na64root/cascade.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <boost/math/quadrature/gauss.hpp>

#include "quadrature.hpp"

namespace na64root {
namespace {

// Tsai's radiation logarithms; f is the Coulomb correction (PDG 2020, Eqs. 34.25, 34.26, Table 34.2).
struct RadiationLogarithms {
    double elastic, inelastic, coulomb;
};

RadiationLogarithms radiation_logarithms(double z) {
    const double a2 = (units::alpha * z) * (units::alpha * z);
    const double coulomb =
        a2 * (1.0 / (1.0 + a2) + 0.20206 - 0.0369 * a2 + 0.0083 * a2 * a2 - 0.002 * a2 * a2 * a2);
    static constexpr double light[4][2] = {{5.31, 6.144}, {4.79, 5.621}, {4.74, 5.805}, {4.71, 5.924}};
    const int index = static_cast<int>(std::lround(z)) - 1;
    if (index < 4)
        return {light[index][0], light[index][1], coulomb};
    return {std::log(184.15 / std::cbrt(z)), std::log(1194.0 / std::cbrt(z * z)), coulomb};
}

double photon_spectrum(const CascadeCoefficients &c, double y) {
    return c.linear() * (1.0 - y) + y * y;
}

// W(u): rate at which an electron loses more than u in ln E at once.
double fall_rate(const CascadeCoefficients &c, double u) {
    const double y = -std::expm1(-u), rest = std::exp(-u);
    return c.linear() * (-std::log(y) - rest) + 0.5 * rest * (1.0 + y);
}

// V(u): electrons and positrons made above E e^-u per radiation length of an electron of energy E,
// 2 int_xi^1 dy phi(y)/y P(x > xi/y) with xi = e^-u, a sum of powers of y integrated in closed form.
double creation_rate(const CascadeCoefficients &c, double u) {
    const double xi = std::exp(-u), linear = c.linear();
    double power[5] = {}; // power[k] = int_xi^1 dy y^(1-k), k = 0 ... 4
    power[0] = 0.5 * (1.0 - xi * xi);
    power[1] = 1.0 - xi;
    power[2] = u;
    power[3] = 1.0 / xi - 1.0;
    power[4] = 0.5 * (1.0 / (xi * xi) - 1.0);
    const double power5 = (1.0 / (xi * xi * xi) - 1.0) / 3.0;
    const auto moment = [&](double first, double second, double third) {
        return linear * third - linear * second + first;
    };
    const double all = moment(power[0], power[1], power[2]);
    const double one = moment(power[1], power[2], power[3]);
    const double two = moment(power[2], power[3], power[4]);
    const double three = moment(power[3], power[4], power5);
    const double below = xi * one - linear * xi * xi * (0.5 * two - xi * three / 3.0);
    return 2.0 * (all - below / c.conversion_rate());
}

// Edges in l = ln(E0/E): the track length near E0 behaves like 1/(l ln^2 l), so the first uniform bin is
// divided geometrically.
std::vector<double> logarithmic_edges(double range, std::size_t bins) {
    constexpr double smallest = 1e-8, growth = 1.5;
    const double step = range / static_cast<double>(bins);
    std::vector<double> edges{0.0};
    for (double edge = smallest * step; edge < step / growth; edge *= growth)
        edges.push_back(edge);
    for (std::size_t i = 1; i <= bins; ++i)
        edges.push_back(step * static_cast<double>(i));
    return edges;
}

// int of a kernel K(u) over [low, high]; u = s^3 tames the logarithm of W where the interval touches zero.
template <class Kernel> double kernel_integral(const Kernel &kernel, double low, double high) {
    if (low < 1e-3 * (high - low)) {
        const auto cubed = [&](double s) { return 3.0 * s * s * kernel(s * s * s); };
        return quadrature::apply_rule<21>(cubed, std::cbrt(std::max(0.0, low)), std::cbrt(high)).value;
    }
    if (low < 3.0 * (high - low))
        return quadrature::apply_rule<15>(kernel, low, high).value;
    return boost::math::quadrature::gauss<double, 5>::integrate(kernel, low, high);
}

} // namespace

CascadeCoefficients CascadeCoefficients::of(const Material &material) {
    double numerator = 0.0, denominator = 0.0;
    for (const auto &[element, fraction] : material.components) {
        const double z = element.atomic_number;
        const auto logarithms = radiation_logarithms(z);
        const double atoms = fraction / element.atomic_mass;
        numerator += atoms * (z * z + z);
        denominator += atoms * (z * z * (logarithms.elastic - logarithms.coulomb) + z * logarithms.inelastic);
    }
    return {numerator / denominator / 9.0};
}

TrackLength track_length(const Material &material, double beam_energy, double threshold, std::size_t bins,
                         int beam_charge) {
    if (beam_charge != -1 && beam_charge != 1)
        throw std::invalid_argument("the particle of a beam has charge -1 or 1");
    if (!(threshold > 0.0) || !(beam_energy > threshold) || !std::isfinite(beam_energy) || bins == 0)
        throw std::invalid_argument("a track length needs 0 < threshold < beam energy and at least one bin");
    const auto coefficients = CascadeCoefficients::of(material);
    const std::vector<double> edges = logarithmic_edges(std::log(beam_energy / threshold), bins);
    const std::size_t count = edges.size() - 1;

    TrackLength result;
    result.beam_energy = beam_energy;
    result.beam_charge = beam_charge;
    result.edges.resize(count + 1);
    for (auto *column : {&result.primary, &result.all, &result.depth_moment, &result.primary_depth_moment})
        column->resize(count);
    for (std::size_t i = 0; i <= count; ++i)
        result.edges[i] = beam_energy * std::exp(-edges[i]);
    result.edges.back() = threshold;

    // Densities in l, constant in each bin; the equation holds at the far edge of each bin: a lower
    // triangular system, solved forward.
    double covered = 0.0, primary_covered = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const double far = edges[i + 1];
        double primary = 1.0, all = 1.0, moment = 0.0, created = 0.0, fall = 0.0, creation = 0.0;
        double primary_moment = 0.0;
        for (std::size_t j = 0; j <= i; ++j) {
            const double low = std::max(0.0, far - edges[j + 1]), high = far - edges[j];
            fall = kernel_integral([&](double u) { return fall_rate(coefficients, u); }, low, high);
            creation = kernel_integral([&](double u) { return creation_rate(coefficients, u); }, low, high);
            if (j == i)
                break;
            primary -= result.primary[j] * fall;
            all -= result.all[j] * (fall - creation);
            moment -= result.depth_moment[j] * (fall - creation);
            primary_moment -= result.primary_depth_moment[j] * fall;
            created += result.all[j] * creation;
        }
        result.primary[i] = primary / fall;
        result.all[i] = all / (fall - creation);
        // The first moment in depth obeys the same equation; its source is the track length above l, and a
        // photon flies 1/rate before it converts.
        covered += result.all[i] * (edges[i + 1] - edges[i]);
        created += result.all[i] * creation;
        moment += covered + created / coefficients.conversion_rate();
        result.depth_moment[i] = moment / (fall - creation);
        primary_covered += result.primary[i] * (edges[i + 1] - edges[i]);
        result.primary_depth_moment[i] = (primary_moment + primary_covered) / fall;
    }
    for (std::size_t i = 0; i < count; ++i)
        for (auto *column :
             {&result.primary, &result.all, &result.depth_moment, &result.primary_depth_moment})
            (*column)[i] *= edges[i + 1] - edges[i];
    return result;
}

CascadeSampler::CascadeSampler(const Material &material, double threshold)
    : coefficients_(CascadeCoefficients::of(material)), threshold_(threshold) {
    if (!(threshold > 0.0))
        throw std::invalid_argument("a cascade needs a positive threshold");
}

std::vector<TrackStep> CascadeSampler::operator()(double beam_energy, Random &random) const {
    return shower(beam_energy, random).steps;
}

CascadeShower CascadeSampler::shower(double beam_energy, Random &random) const {
    struct Particle {
        double energy, depth;
        int charge;
        bool primary;
        int parent;
    };
    const double linear = coefficients_.linear(), soft = 0.01 * threshold_, loss = soft_loss();
    CascadeShower result;
    result.steps.reserve(32);
    result.particles.reserve(32);
    std::vector<Particle> stack;
    stack.reserve(16);
    // What stays above the threshold is followed.
    const auto add = [&](const Particle &particle) {
        if (particle.energy > threshold_)
            stack.push_back(particle);
        else
            result.particles.push_back({particle.energy, particle.depth, particle.charge, particle.parent});
    };
    add({beam_energy, 0.0, -1, true, -1});
    while (!stack.empty()) {
        Particle particle = stack.back();
        stack.pop_back();
        if (particle.charge == 0) {
            const double depth = particle.depth + random.exponential() / coefficients_.conversion_rate();
            double x;
            do // 1 - linear x(1-x) is at most 1
                x = random.uniform();
            while (random.uniform() > 1.0 - linear * x * (1.0 - x));
            add({particle.energy * x, depth, -1, false, particle.parent});
            add({particle.energy * (1.0 - x), depth, 1, false, particle.parent});
            continue;
        }
        for (;;) {
            // Rate of photons above `soft`, beside the mean loss to those below it.
            const double y_min = soft / particle.energy;
            const double rate = linear * (-std::log(y_min) - (1.0 - y_min)) + 0.5 * (1.0 - y_min * y_min);
            double length = random.exponential() / rate;
            const double until_threshold = (particle.energy - threshold_) / loss;
            const bool hard = length < until_threshold;
            length = std::min(length, until_threshold);
            result.steps.push_back({particle.energy - 0.5 * loss * length, particle.depth, length,
                                    particle.charge, particle.primary, particle.parent});
            particle.parent = static_cast<int>(result.steps.size()) - 1;
            particle.depth += length;
            particle.energy -= loss * length;
            if (hard && particle.energy > threshold_) {
                double y;
                const double log_lowest = std::log(soft / particle.energy);
                do // 1/y envelope; linear (1-y) + y^2 is at most `linear`
                    y = std::exp(random.uniform() * log_lowest);
                while (random.uniform() * linear > photon_spectrum(coefficients_, y));
                add({particle.energy * y, particle.depth, 0, false, particle.parent});
                particle.energy *= 1.0 - y;
                if (particle.energy > threshold_)
                    continue;
            }
            result.particles.push_back({particle.energy, particle.depth, particle.charge, particle.parent});
            break;
        }
    }
    return result;
}

} // namespace na64root
