#include "na64root/detector.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include "na64root/materials.hpp"

namespace na64root {
namespace {

// Longitudinal profile of one medium: `peak` (radiation lengths) and `shape` of the gamma distribution, the
// relative spread of both from event to event, as value at 10 GeV plus slope per decade of energy.
struct Longitudinal {
    double peak, peak_slope, shape, shape_slope;
    double spread_factor;
    double tail_share, tail_rate; // of the energy, per radiation length
};

// Derived: fits to the Geant4 tables of e- in the ECAL (10, 100 GeV; mean and rms of each radiation length)
// and of e+e- pairs at the front of an HCAL module (10, 40, 80 GeV; light of each layer). The two media come
// out alike, as they should: depths in radiation lengths depend on E over the critical energy alone.
constexpr Longitudinal ecal_profile{6.407, 2.478, 5.058, 1.2375, 1.0, 0.0195, 0.316};
constexpr Longitudinal hcal_profile{5.550, 2.226, 5.248, 1.200, 1.28, 0.0100, 0.483};
constexpr double peak_spread = 0.1347, peak_spread_slope = -0.0416;
constexpr double shape_spread = 0.128, shape_spread_slope = 0.0;
constexpr double correlation = 0.322; // of ln(peak) and ln(shape)
// The energy grows from the first radiation length on as if the shower were this old (radiation lengths).
constexpr double age_at_start = 0.457;
// Photons near the minimum of their cross section make the tail; it begins at this multiple of the mean peak.
constexpr double tail_start = 1.8;
// Where Gaussian spreads would leave the range of the fit.
constexpr double smallest_peak = 0.5, smallest_shape = 1.3, smallest_spread = 0.05;

// The scintillator sees a shower earlier in depth than the absorber, by this factor (derived: the same
// tables, energy in the scintillator against all energy).
constexpr double ecal_visible_depth = 0.96;

// A deposit far behind the maximum is made by single photons: this energy each (derived: energy and number
// of particles behind the ECAL; it also gives the rms of each radiation length in the tail).
constexpr double deposit_per_photon = 0.0024; // GeV
// Near the maximum the parts of the shower that fluctuate apart are larger (derived: the rms there).
constexpr double deposit_in_body = 0.0065; // GeV
// The same in the VETO (derived: mean and rms of the energy there).
constexpr double veto_deposit = 0.0012; // GeV

// A plate of scintillator 5 cm thick behind the ECAL takes the energy of these radiation lengths of ECAL
// (derived: energy in the VETO over the energy behind the ECAL); more than its own 0.12, since a particle
// loses more by ionisation per radiation length there.
constexpr double veto_depth_per_cm = 0.75 / 5.0;
// Photons that leave the ECAL through its sides reach VETO and HCAL1 in proportion to the energy (derived:
// the part of their energy that does not follow the energy behind the ECAL).
constexpr double veto_from_sides = 3.1e-5, hcal1_from_sides = 6.0e-5;

// Radial profile at the maximum of the shower: weights of Gaussians of growing width (cm), derived: fits to
// the visible energy in rings around an e+e- pair in the HCAL, and to the shares of cells of the ECAL. The
// media have nearly the same Moliere radius.
constexpr int gaussians = 7;
struct Radial {
    double weight[gaussians], sigma[gaussians];
};
constexpr Radial hcal_radial{{0.1207, 0.0869, 0.2334, 0.2546, 0.1906, 0.0842, 0.0296},
                             {0.060, 0.132, 0.2904, 0.6389, 1.4055, 3.0922, 6.8028}};
constexpr Radial ecal_radial{{0.1225, 0.0882, 0.2370, 0.2585, 0.1935, 0.0718, 0.0285},
                             {0.0653, 0.1437, 0.3161, 0.6955, 1.5300, 3.3660, 7.4054}};
// A shower widens with its age, depth over peak (assumed: linear, as the core of Grindhammer and Peters).
constexpr double width_at_start = 0.5, width_growth = 0.4545, mean_age = 1.1;
// Relative spread of the width from event to event (at 1 GeV, falling as E^-1/2), and widening over the air
// between modules (cm of air that adds as much as there is). Derived: R of the Geant4 pairs, its rms and its
// growth for late starts.
constexpr double hcal_width_spread = 0.39, ecal_width_spread = 0.19, widest_spread = 0.4;
constexpr double gap_length = 18.0;
// Energy (GeV) behind a section that is not followed further: far below the noise of every detector.
constexpr double negligible = 1e-5;

using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

// To eight digits, far below every fluctuation of a shower: half the terms of the series.
double gamma_distribution(double shape, double x) {
    using EightDigits = boost::math::policies::policy<boost::math::policies::promote_double<false>,
                                                      boost::math::policies::digits10<8>>;
    return x > 0.0 ? boost::math::gamma_p(shape, x, EightDigits()) : 0.0;
}

// An energy with the fluctuations of a sum of Poisson many exponential parts, variance = mean * scale: never
// negative, zero where nothing arrived. Above a few parts the cube of a normal (Wilson and Hilferty 1931).
double fluctuated(double mean, double scale, Random &random) {
    if (!(mean > 1e-6)) // GeV, far below any noise: not worth a random number
        return 0.0;
    if (!(scale > 0.0))
        return mean;
    const double k = mean / scale;
    if (k > 1.0) {
        const double third = 1.0 / 3.0,
                     root = 1.0 - third * third / k + third / std::sqrt(k) * random.normal();
        return root > 0.0 ? mean * root * root * root : 0.0;
    }
    const std::uint64_t parts = random.poisson(2.0 * k);
    if (parts == 0)
        return 0.0;
    double product = 1.0;
    for (std::uint64_t i = 0; i < parts; ++i)
        product *= random.uniform();
    return -0.5 * scale * std::log(product);
}

// Beyond this many sigma lies nothing of a Gaussian (4e-8).
constexpr double gaussian_end = 5.5;

// Share of a Gaussian around zero between neighbouring edges, which start at `first`.
template <int N> void shares(double first, double pitch, double sigma, double (&share)[N]) {
    const double scale = 1.0 / (sigma * std::sqrt(2.0)), end = gaussian_end * sigma;
    // The error function is a tenth of an event's time if each edge asks for it; most are far from the axis.
    const auto error_function = [&](double edge) {
        return edge >= end ? 1.0 : edge <= -end ? -1.0 : std::erf(edge * scale);
    };
    double below = error_function(first);
    for (int i = 0; i < N; ++i) {
        const double above = error_function(first + (i + 1) * pitch);
        share[i] = 0.5 * (above - below);
        below = above;
    }
}

// The cell that holds all of a narrow Gaussian around zero; -1 when none does.
template <int N> int only_cell(double first, double pitch, double sigma) {
    const double place = -first / pitch, cell = std::floor(place), margin = gaussian_end * sigma / pitch;
    const bool alone = place - cell > margin && cell + 1.0 - place > margin && cell >= 0.0 && cell < N;
    return alone ? static_cast<int>(cell) : -1;
}

// Adds `energy`, spread around the axis; the cells start at (first_x, first_y) from the axis.
template <int N>
void spread(const Radial &radial, double width, double energy, double first_x, double pitch_x, double first_y,
            double pitch_y, double (&cells)[N][N]) {
    for (int g = 0; g < gaussians; ++g) {
        const double sigma = radial.sigma[g] * width, weight = energy * radial.weight[g];
        const int only_x = only_cell<N>(first_x, pitch_x, sigma),
                  only_y = only_cell<N>(first_y, pitch_y, sigma);
        if (only_x >= 0 && only_y >= 0) {
            cells[only_x][only_y] += weight;
            continue;
        }
        double x[N], y[N];
        shares(first_x, pitch_x, sigma, x);
        shares(first_y, pitch_y, sigma, y);
        for (int i = 0; i < N; ++i) {
            const double column = weight * x[i];
            for (int j = 0; j < N; ++j)
                cells[i][j] += column * y[j];
        }
    }
}

template <int N>
void concentrate(double energy, double first_x, double pitch_x, double first_y, double pitch_y,
                 double (&cells)[N][N]) {
    const double i = std::floor(-first_x / pitch_x), j = std::floor(-first_y / pitch_y);
    if (i >= 0.0 && i < N && j >= 0.0 && j < N)
        cells[static_cast<int>(i)][static_cast<int>(j)] += energy;
}

bool in_ecal(Section section) {
    return section == Section::preshower || section == Section::ecal_main;
}

bool with_ecal_profile(Section section) {
    return in_ecal(section) || section == Section::veto;
}

} // namespace

void CalorimeterEvent::set_visible(const CellEnergies &cells) {
    const auto sum = [](const double *first, int cells) {
        return std::accumulate(first, first + cells, 0.0);
    };
    mc_ecal_GeV = sum(&cells.ecal[0][0][0], 2 * ecal_side * ecal_side);
    mc_veto_GeV = cells.veto;
    for (int module = 0; module < hcal_modules; ++module)
        mc_hcal_GeV[module] = sum(&cells.hcal[module][0][0], hcal_side * hcal_side);
}

double Shower::developed(double depth) const {
    if (!(depth > 0.0))
        return 0.0;
    const auto &medium = with_ecal_profile(section) ? ecal_profile : hcal_profile;
    const double age = rate * (depth + age_at_start);
    const double body = (gamma_distribution(shape, age) - before_start) / (1.0 - before_start);
    const double x = medium.tail_rate * std::max(0.0, depth - tail_begin);
    return body + medium.tail_share * ((1.0 - body) - (1.0 + x) * std::exp(-x));
}

Detector::Detector(const DetectorConfig &config) : config_(config) {
    const auto &c = config_;
    const double ecal_step = (c.ecal_end - c.ecal_start) / c.ecal_layers;
    const double preshower_end = c.ecal_start + c.ecal_preshower_layers * ecal_step;
    start_ = {c.ecal_start, preshower_end, c.veto_start, c.hcal_start[0], c.hcal_start[1], c.hcal_start[2]};
    end_ = {preshower_end, c.ecal_end,    c.veto_start + c.veto_thickness,
            c.hcal_end[0], c.hcal_end[1], c.hcal_end[2]};
    for (int i = 0; i < sections; ++i) {
        const bool ordered = i == 0 || start_[i] >= end_[i - 1] - 1e-9;
        if (!std::isfinite(start_[i]) || !std::isfinite(end_[i]) || !(end_[i] > start_[i]) || !ordered)
            throw std::invalid_argument("the calorimeters are not in the order of the beam (section " +
                                        std::to_string(i) + "): correct the geometry");
    }
    for (const double positive :
         {c.ecal_layers, c.ecal_lead_layer, c.ecal_scintillator_layer, c.ecal_cell, c.hcal_layers,
          c.hcal_iron_layer, c.hcal_scintillator_layer, c.hcal_cell_x, c.hcal_cell_y})
        if (!(positive > 0.0) || !std::isfinite(positive))
            throw std::invalid_argument("a number of layers, a thickness or a cell is not positive: correct "
                                        "the geometry of the detector");
    for (const double size : {c.ecal_stochastic, c.hcal_stochastic, c.ecal_noise, c.hcal_noise, c.veto_noise})
        if (!(size >= 0.0) || !std::isfinite(size))
            throw std::invalid_argument("a sampling term or a noise is not 0 or positive: correct the card");

    const auto lengths = [](double thickness, const char *name) {
        return thickness / material(name).radiation_length_cm();
    };
    const double ecal_layer =
        lengths(c.ecal_lead_layer, "Pb") + lengths(c.ecal_scintillator_layer, "polystyrene");
    const double hcal_layer =
        lengths(c.hcal_iron_layer, "Fe") + lengths(c.hcal_scintillator_layer, "polystyrene");
    depth_ = {c.ecal_preshower_layers * ecal_layer, (c.ecal_layers - c.ecal_preshower_layers) * ecal_layer,
              c.veto_thickness * veto_depth_per_cm, c.hcal_layers * hcal_layer,
              c.hcal_layers * hcal_layer,           c.hcal_layers * hcal_layer};

    double cells[ecal_side][ecal_side] = {};
    spread(ecal_radial, 1.0, 1.0, -3.5 * c.ecal_cell, c.ecal_cell, -3.5 * c.ecal_cell, c.ecal_cell, cells);
    ecal_contained_ = 0.0;
    for (const auto &row : cells)
        for (const double share : row)
            ecal_contained_ += share;
}

double Detector::depth_at(Section section, double z) const {
    const int i = static_cast<int>(section);
    return depth_[i] * std::clamp((z - start_[i]) / (end_[i] - start_[i]), 0.0, 1.0);
}

Shower Detector::shower(const FourVector &momentum, const Point &start, Random &random) const {
    Shower shower;
    shower.energy = momentum.energy;
    if (!(shower.energy > 0.0 && shower.energy <= largest_energy))
        throw std::domain_error("a shower needs an energy above zero and up to 1000 GeV");
    shower.start = start;
    if (momentum.z > 0.0) {
        shower.slope_x = momentum.x / momentum.z;
        shower.slope_y = momentum.y / momentum.z;
    }
    int first = 0;
    while (first < sections && start.z >= end_[first])
        ++first;
    shower.inside = first < sections;
    if (shower.inside) {
        shower.section = static_cast<Section>(first);
        shower.start_depth = depth_at(shower.section, start.z);
    }

    const auto &medium = with_ecal_profile(shower.section) ? ecal_profile : hcal_profile;
    const double decades = std::log10(shower.energy / 10.0);
    const auto spread_of = [&](double value, double slope) {
        return medium.spread_factor * std::max(smallest_spread, value + slope * decades);
    };
    const double first_normal = random.normal(), second_normal = random.normal();
    const double mean_peak = std::max(smallest_peak, medium.peak + medium.peak_slope * decades);
    shower.tail_begin = tail_start * mean_peak;
    shower.peak = mean_peak * std::exp(spread_of(peak_spread, peak_spread_slope) * first_normal);
    const double shape_normal =
        correlation * first_normal + std::sqrt(1.0 - correlation * correlation) * second_normal;
    shower.shape = std::max(smallest_shape, medium.shape + medium.shape_slope * decades) *
                   std::exp(spread_of(shape_spread, shape_spread_slope) * shape_normal);
    shower.shape = std::max(smallest_shape, shower.shape);
    shower.rate = (shower.shape - 1.0) / (shower.peak + age_at_start);
    shower.before_start = gamma_distribution(shower.shape, shower.rate * age_at_start);
    const double spread_of_width =
        std::min(widest_spread, (with_ecal_profile(shower.section) ? ecal_width_spread : hcal_width_spread) /
                                    std::sqrt(shower.energy));
    shower.width = std::exp(spread_of_width * (random.normal() - 0.5 * spread_of_width));
    return shower;
}

void Detector::add_sections(const Shower &shower, SectionEnergy (&sums)[sections]) const {
    if (!shower.inside)
        return;
    const bool ecal_scale = with_ecal_profile(shower.section);
    const int first = static_cast<int>(shower.section);
    const double hcal_scale = ecal_scale ? ecal_profile.peak / hcal_profile.peak : 1.0;
    // Light of an HCAL layer samples the shower in the middle of its iron: half a layer more of depth.
    const double half_layer = 0.5 * depth_[sections - 1] / config_.hcal_layers;

    double from = 0.0, developed = 0.0, gaps = 0.0;
    for (int i = first; i < sections && shower.energy * (1.0 - developed) > negligible; ++i) {
        if (i > first && i != 1)
            gaps += start_[i] - end_[i - 1];
        const double scale = i >= static_cast<int>(Section::hcal1) ? hcal_scale : 1.0;
        double to = from + depth_[i] * scale;
        if (i == first)
            to -= shower.start_depth;
        double seen = to;
        if (ecal_scale)
            seen /= ecal_visible_depth;
        else
            seen += half_layer;
        const double share = shower.developed(seen) - developed;
        developed += share;
        const double energy = shower.energy * share;

        // The axis where the shower is on average in this section.
        const double depth = std::clamp(mean_age * shower.peak, from, to);
        const double begin = i == first ? std::max(shower.start.z, start_[i]) : start_[i];
        // A start at the very end of a section leaves no depth to divide by.
        const double part = to > from ? (depth - from) / (to - from) : 0.0;
        const double z = begin + part * (end_[i] - begin);
        const double x = shower.start.x + shower.slope_x * (z - shower.start.z);
        const double y = shower.start.y + shower.slope_y * (z - shower.start.z);
        const double width = shower.width * (width_at_start + width_growth * depth / shower.peak) *
                             (ecal_scale ? 1.0 : 1.0 + gaps / gap_length);
        from = to;
        sums[i].energy += energy;
        sums[i].x += energy * x;
        sums[i].y += energy * y;
        sums[i].width += energy * width;
    }
}

void Detector::deposit(const Shower *showers, std::size_t count, CellEnergies &cells) const {
    const auto &c = config_;
    SectionEnergy sums[sections] = {};
    for (std::size_t i = 0; i < count; ++i)
        add_sections(showers[i], sums);
    for (int i = 0; i < sections; ++i) {
        const double energy = sums[i].energy;
        if (!(energy > 0.0))
            continue;
        if (i == static_cast<int>(Section::veto)) {
            cells.veto += energy;
            continue;
        }
        const double x = sums[i].x / energy, y = sums[i].y / energy, width = sums[i].width / energy;
        if (i < static_cast<int>(Section::veto)) {
            const double first_x = -3.5 * c.ecal_cell - x, first_y = -3.5 * c.ecal_cell - y;
            if (c.lateral_profile == LateralProfile::on)
                spread(ecal_radial, width, energy / ecal_contained_, first_x, c.ecal_cell, first_y,
                       c.ecal_cell, cells.ecal[i]);
            else
                concentrate(energy, first_x, c.ecal_cell, first_y, c.ecal_cell, cells.ecal[i]);
            cells.veto += veto_from_sides * energy;
            cells.hcal[0][1][1] += hcal1_from_sides * energy;
            continue;
        }
        const int module = i - static_cast<int>(Section::hcal1);
        const double first_x = c.hcal_centre_x[module] - 1.5 * c.hcal_cell_x - x;
        const double first_y = c.hcal_centre_y[module] - 1.5 * c.hcal_cell_y - y;
        if (c.lateral_profile == LateralProfile::on)
            spread(hcal_radial, width, energy, first_x, c.hcal_cell_x, first_y, c.hcal_cell_y,
                   cells.hcal[module]);
        else
            concentrate(energy, first_x, c.hcal_cell_x, first_y, c.hcal_cell_y, cells.hcal[module]);
    }
}

void Detector::read_out(const CellEnergies &cells, TreeAEvent &event, Random &random) const {
    const auto &c = config_;
    const auto read = [&](double energy, double scale, double noise, double threshold, double above) {
        energy = fluctuated(energy, scale, random);
        if (c.noise == Noise::on && noise > 0.0) {
            if (energy > 0.0 || !(threshold > 0.0)) {
                energy += noise * random.normal();
            } else { // most cells: the quantile is needed for the few that noise lifts above the threshold
                const double u = random.uniform();
                if (u < above)
                    energy = noise * std::sqrt(2.0) * boost::math::erfc_inv(2.0 * u, Policy());
            }
        }
        return energy < threshold ? 0.0 : energy;
    };
    const auto share_above = [](double noise, double threshold) {
        return noise > 0.0 ? 0.5 * std::erfc(threshold / noise / std::sqrt(2.0)) : 0.0;
    };
    const double ecal_above = share_above(c.ecal_noise, c.ecal_threshold),
                 hcal_above = share_above(c.hcal_noise, c.hcal_threshold),
                 veto_above = share_above(c.veto_noise, c.veto_threshold);
    const double ecal_scale = c.ecal_stochastic * c.ecal_stochastic;
    const double hcal_scale = c.hcal_stochastic * c.hcal_stochastic;
    double *parts[2] = {&event.ecal0, &event.ecal1};
    for (int part = 0; part < 2; ++part) {
        *parts[part] = 0.0;
        for (int i = 0; i < ecal_side; ++i)
            for (int j = 0; j < ecal_side; ++j) {
                const double energy =
                    read(cells.ecal[part][i][j], ecal_scale, c.ecal_noise, c.ecal_threshold, ecal_above);
                event.ECAL_ene[part][i][j] = energy;
                event.ECAL_t0[part][i][j] = 0.0;
                *parts[part] += energy;
            }
    }
    event.ecalTotal = event.ecal0 + event.ecal1;
    double *modules[4] = {&event.hcal0, &event.hcal1, &event.hcal2, &event.hcal3};
    for (int module = 0; module < 4; ++module) {
        *modules[module] = 0.0;
        for (int i = 0; i < hcal_side; ++i)
            for (int j = 0; j < hcal_side; ++j) {
                const double deposited = module < hcal_modules ? cells.hcal[module][i][j] : 0.0;
                const double energy = read(deposited, hcal_scale, c.hcal_noise, c.hcal_threshold, hcal_above);
                event.HCAL_ene[module][i][j] = energy;
                event.HCAL_t0[module][i][j] = 0.0;
                *modules[module] += energy;
            }
    }
    // The middle one of the three counters stands in the beam; both its photomultipliers see the same light.
    const double veto = fluctuated(cells.veto, 2.0 * veto_deposit, random);
    for (int i = 0; i < 6; ++i) {
        event.VETO_ene[i] = read(i / 2 == 1 ? veto : 0.0, 0.0, c.veto_noise, c.veto_threshold, veto_above);
        event.VETO_t0[i] = 0.0;
    }
}

double Detector::leakage(const Shower &shower) const {
    if (!in_ecal(shower.section) || !shower.inside)
        return 0.0;
    double depth = depth_[1] - shower.start_depth;
    if (shower.section == Section::preshower)
        depth += depth_[0];
    return shower.energy * ecal_contained_ * (1.0 - shower.developed(depth));
}

double Detector::radius(const Shower &shower, double fraction) const {
    if (!(fraction > 0.0 && fraction < 1.0))
        throw std::invalid_argument("a share of the energy lies between 0 and 1");
    const auto &radial = with_ecal_profile(shower.section) ? ecal_radial : hcal_radial;
    const double width = shower.width * (width_at_start + width_growth * mean_age);
    const auto inside = [&](double radius) {
        double share = 0.0;
        for (int g = 0; g < gaussians; ++g) {
            const double ratio = radius / (width * radial.sigma[g]);
            share -= radial.weight[g] * std::expm1(-0.5 * ratio * ratio);
        }
        return share;
    };
    double low = 0.0, high = 100.0; // cm
    while (high - low > 1e-4) {
        const double middle = 0.5 * (low + high);
        (inside(middle) < fraction ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

void Detector::profile(const Shower &shower, double (&bins)[profile_bins], Random &random) const {
    std::fill_n(bins, profile_bins, 0.0);
    if (!shower.inside)
        return;
    const bool ecal = in_ecal(shower.section);
    const double start = shower.start_depth + (shower.section == Section::ecal_main ? depth_[0] : 0.0);
    const double end = ecal ? depth_[0] + depth_[1] : depth_of(shower.section);
    double mean_sum = 0.0, sum = 0.0, before = 0.0;
    for (int i = 0; i < profile_bins; ++i) {
        const double after = shower.developed(std::min(i + 1.0, end) - start);
        const double mean = shower.energy * (ecal ? ecal_contained_ : 1.0) * (after - before);
        before = after;
        const bool tail = i + 1.0 - start > shower.tail_begin;
        bins[i] = fluctuated(mean, 2.0 * (tail ? deposit_per_photon : deposit_in_body), random);
        mean_sum += mean;
        sum += bins[i];
    }
    if (sum > 0.0) // energy is conserved, whatever the number of particles
        for (double &bin : bins)
            bin *= mean_sum / sum;
}

} // namespace na64root
