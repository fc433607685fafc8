#include "na64root/s2_selection.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "na64root/selection.hpp"

namespace na64root {
namespace {

// Seed of the tables: theirs alone, so that no sample of a user has the same events.
constexpr std::uint64_t table_seed = 0x52b1e5;

// The table of pairs: energies (GeV) in equal steps of the logarithm, samples at each point.
constexpr std::size_t pair_energies = 20, pair_samples = 64;
constexpr double least_pair_energy = 0.1;
constexpr std::size_t ecal_places = 30;
// Distances (cm) from the back of a module at which a pair loses much behind it.
constexpr std::array<double, 8> before_end{64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1e-3};
// Visible energy (GeV) that a read-out never brings below the HCAL cut, in multiples of the cut.
constexpr double far_above = 4.0;
// The beam electron's own shower, of which little reaches the VETO: energy that is typical where the pair
// counts (assumed; the VETO sees 3e-5 of it).
constexpr double shower_beside = 4.0;

// The table of electrons: edges of the recoil energy (GeV), pair energies (GeV), distances (X0).
constexpr std::array<double, 11> recoil_edges{0.0, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0, 1e9};
constexpr std::size_t recoils = recoil_edges.size() - 1;
constexpr std::array<double, 7> electron_pair_energies{0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0};
constexpr std::array<double, 10> distances{0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.5, 5.0};
constexpr std::size_t with_pair = electron_pair_energies.size() * distances.size();
// A trigger that failed above the cut on the preshower, which is wider, misses about this much (GeV).
constexpr double trigger_misses = 0.1;

// The ECAL energy is read as it is near the cut: from this part of it on.
constexpr double near_the_cut = 0.6;

// The inclusive yield: bins of gamma beta, quantiles of the pair's share of the energy of chi2.
constexpr std::size_t speed_bins = 64, share_quantiles = 16;
constexpr double fast = 1e3; // gamma at which that share no longer depends on it

double middle(std::size_t recoil) {
    if (recoil + 1 == recoils)
        return 1.4 * recoil_edges[recoil];
    return recoil == 0 ? 0.5 * recoil_edges[1] : std::sqrt(recoil_edges[recoil] * recoil_edges[recoil + 1]);
}

// The index of the point before `value` and the part of the way to the next one; ends hold outside.
template <class Points> std::pair<std::size_t, double> between(const Points &points, double value) {
    if (!(value > points.front()))
        return {0, 0.0};
    const auto above = std::upper_bound(points.begin(), points.end(), value);
    if (above == points.end())
        return {points.size() - 2, 1.0};
    const auto i = static_cast<std::size_t>(above - points.begin()) - 1;
    return {i, (value - points[i]) / (points[i + 1] - points[i])};
}

// How many equal steps of probability lie below `value`, linear between the middles of the steps.
double quantile_of(const std::array<double, share_quantiles> &share, double value) {
    const auto above = std::upper_bound(share.begin(), share.end(), value);
    const auto q = static_cast<std::size_t>(above - share.begin());
    if (q == 0)
        return value > 0.0 ? 0.5 * value / share[0] : 0.0;
    if (q == share_quantiles)
        return static_cast<double>(share_quantiles);
    return static_cast<double>(q) - 0.5 + (value - share[q - 1]) / (share[q] - share[q - 1]);
}

// What pairs of the energies of the table leave in the preshower, for starts at some depths.
class PreshowerEnergies {
  public:
    explicit PreshowerEnergies(const Detector &detector) : depth_(detector.depth_of(Section::preshower)) {
        const DetectorConfig &config = detector.config();
        const double thickness =
            (config.ecal_end - config.ecal_start) * config.ecal_preshower_layers / config.ecal_layers;
        for (std::size_t e = 0; e < electron_pair_energies.size(); ++e)
            for (std::size_t i = 0; i < starts; ++i)
                for (std::size_t sample = 0; sample < samples; ++sample) {
                    Random random(table_seed, sample, Stream::s2_selection);
                    const double share = (static_cast<double>(sample) + random.uniform()) / samples;
                    const double z = config.ecal_start + thickness * static_cast<double>(i) / (starts - 1);
                    CellEnergies cells{};
                    for (const double part : {share, 1.0 - share}) {
                        const double energy = part * electron_pair_energies[e];
                        detector.deposit(detector.shower({energy, 0.0, 0.0, energy}, {0.0, 0.0, z}, random),
                                         cells);
                    }
                    double sum = 0.0;
                    for (const auto &column : cells.ecal[0])
                        for (const double cell : column)
                            sum += cell;
                    energies_[e][i][sample] = sum;
                }
    }

    // The share of pairs that leave less than `needed` (GeV), of those that start `depth` radiation lengths
    // behind the front.
    double below(std::size_t e, double depth, double needed) const {
        const auto start = static_cast<std::size_t>(depth / depth_ * (starts - 1) + 0.5);
        if (start >= starts)
            return 1.0;
        std::size_t less = 0;
        for (const double energy : energies_[e][start])
            less += energy < needed;
        return static_cast<double>(less) / samples;
    }

  private:
    static constexpr std::size_t starts = 41, samples = 16;
    double depth_;
    double energies_[electron_pair_energies.size()][starts][samples];
};

} // namespace

PairLosses::PairLosses(const DetectorConfig &given, const S2Cuts &cuts, double largest_pair_energy)
    : ecal_start_(given.ecal_start), ecal_end_(given.ecal_end), end_(given.hcal_end[hcal_modules - 1]),
      late_shift_(cuts.late_shift) {
    if (!(largest_pair_energy > least_pair_energy && largest_pair_energy <= largest_energy))
        throw std::invalid_argument("the largest energy of a pair is not between 0.1 and 1000 GeV");
    DetectorConfig config = given;
    config.lateral_profile = LateralProfile::off; // only sums are asked for
    const Detector detector(config);
    for (std::size_t i = 0; i <= ecal_places; ++i)
        places_.push_back(config.ecal_start +
                          (config.ecal_end - config.ecal_start) * static_cast<double>(i) / ecal_places);
    const auto section = [&](double start, double end) {
        places_.push_back(start + 1e-3);
        for (const double from_end : before_end)
            if (end - from_end > start + 2e-3)
                places_.push_back(end - from_end);
    };
    if (config.veto_start > config.ecal_end + 3e-3) {
        places_.push_back(config.ecal_end + 1e-3);
        places_.push_back(config.veto_start);
    }
    section(config.veto_start, config.veto_start + config.veto_thickness);
    for (int module = 0; module < hcal_modules; ++module)
        section(config.hcal_start[module], config.hcal_end[module]);
    places_.push_back(end_);

    first_log_energy_ = std::log(least_pair_energy);
    log_energy_step_ = (std::log(largest_pair_energy) - first_log_energy_) / (pair_energies - 1);
    table_.assign(pair_energies * places_.size(), 0.0);
    TreeAEvent event{};
    for (std::size_t e = 0; e < pair_energies; ++e) {
        const double energy = std::exp(first_log_energy_ + log_energy_step_ * static_cast<double>(e));
        for (std::size_t p = 0; p < places_.size(); ++p) {
            int passed = 0;
            for (std::size_t sample = 0; sample < pair_samples; ++sample) {
                Random random(table_seed, sample, Stream::s2_selection);
                // Stratified: the sharing decides most.
                const double share = (static_cast<double>(sample) + random.uniform()) / pair_samples;
                std::array<Shower, 3> showers;
                const std::array<double, 3> energies{share * energy, (1.0 - share) * energy, shower_beside};
                for (std::size_t i = 0; i < showers.size(); ++i) {
                    const double e_i = std::max(energies[i], 1e-6);
                    showers[i] = detector.shower({e_i, 0.0, 0.0, e_i},
                                                 {0.0, 0.0, i < 2 ? places_[p] : config.ecal_start}, random);
                }
                CellEnergies cells{};
                for (const Shower &shower : showers)
                    detector.deposit(shower, cells);
                double behind = 0.0;
                for (const auto &module : cells.hcal)
                    for (const auto &column : module)
                        for (const double cell : column)
                            behind += cell;
                if (behind > far_above * cuts.hcal_max || cells.veto > 2.0 * far_above * cuts.veto_max)
                    continue;
                detector.read_out(cells, event, random);
                passed +=
                    passes_veto(veto_energy(event.VETO_ene, cuts.photomultiplier_balance), cuts.veto_max) &&
                    passes_hcal_s2(event.hcal0, event.hcal1, event.hcal2, cuts.hcal_max);
            }
            table_[e * places_.size() + p] = static_cast<double>(passed) / pair_samples;
        }
    }
}

double PairLosses::operator()(double energy, double z) const {
    if (!(energy > 0.0))
        throw std::invalid_argument("a pair needs an energy above zero");
    const double position = std::clamp((std::log(energy) - first_log_energy_) / log_energy_step_, 0.0,
                                       static_cast<double>(pair_energies - 1));
    const auto e = std::min(static_cast<std::size_t>(position), pair_energies - 2);
    const double up = position - static_cast<double>(e);
    // Within the ECAL: behind it nothing is known to depend on the shift.
    const double place = z < ecal_end_ ? std::clamp(z + late_shift_, ecal_start_, ecal_end_) : z;
    const auto [p, along] = between(places_, place);
    const double *low = &table_[e * places_.size() + p], *high = low + places_.size();
    return (1.0 - up) * ((1.0 - along) * low[0] + along * low[1]) +
           up * ((1.0 - along) * high[0] + along * high[1]);
}

ElectronLosses::ElectronLosses(const std::vector<EventConfig> &configs, const S2Cuts &cuts,
                               const std::vector<double> &parent_edges, std::uint64_t events)
    : parent_edges_(parent_edges) {
    for (std::size_t j = 0; j < recoils; ++j)
        recoil_logarithms_.push_back(std::log(middle(j)));
    if (configs.empty() || parent_edges.size() < 2 || events == 0)
        throw std::invalid_argument("losses of electrons need samples and two edges of the parent's energy");
    const std::size_t parents = parent_edges_.size() - 1;
    std::vector<double> all(parents * recoils, 0.0), lost(all), with(all.size() * with_pair, 0.0);
    double sum = 0.0, kept_by_others = 0.0, near = 0.0, shift = 0.0, square = 0.0;
    for (const EventConfig &config : configs) {
        const EventGenerator generator(config);
        const Detector detector(config.detector);
        const PreshowerEnergies pairs(detector);
        for (std::uint64_t entry = 0; entry < events; ++entry) {
            const SignalEvent event = generator(table_seed, entry);
            const double weight = event.mc_weight_per_electron;
            sum += weight;
            const double left = config.beam_energy - event.mc_aprime_GeV[0];
            if (left > near_the_cut * cuts.ecal_max && left < cuts.ecal_max) {
                const double difference = event.ecalTotal - left;
                near += weight;
                shift += weight * difference;
                square += weight * difference * difference;
            }
            const double *cells = &event.ECAL_ene[0][0][0];
            const std::vector<double> ecal(cells, cells + 2 * ecal_side * ecal_side);
            if (!passes_beam_cell(leading_ecal_cell(ecal), cuts.beam_cell_x, cuts.beam_cell_y) ||
                !passes_shower_chi2(event.showerChi2, cuts.shower_chi2_max))
                continue;
            kept_by_others += weight;
            // Energies as of a beam without spread.
            const double parent =
                event.mc_parent_energy_GeV * config.beam_energy / event.mc_beam_momentum_GeV;
            const double recoil = event.mc_parent_energy_GeV - event.mc_aprime_GeV[0];
            const auto above = std::upper_bound(parent_edges_.begin(), parent_edges_.end() - 1, parent);
            const auto i =
                static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - parent_edges_.begin() - 1, 0));
            const auto j = static_cast<std::size_t>(
                std::upper_bound(recoil_edges.begin(), recoil_edges.end() - 1, std::max(recoil, 0.0)) -
                recoil_edges.begin() - 1);
            const std::size_t bin = std::min(i, parents - 1) * recoils + std::min(j, recoils - 1);
            all[bin] += weight;
            if (event.isTriggerPhysics && passes_preshower(event.ecal0, cuts.preshower_min))
                continue;
            lost[bin] += weight;
            const double missing = std::max(cuts.preshower_min - event.ecal0, trigger_misses);
            for (std::size_t e = 0; e < electron_pair_energies.size(); ++e)
                for (std::size_t d = 0; d < distances.size(); ++d) {
                    with[bin * with_pair + e * distances.size() + d] +=
                        weight * pairs.below(e, event.mc_depth_X0 + distances[d], missing);
                }
        }
    }
    if (!(sum > 0.0))
        throw std::invalid_argument("no electron of the samples makes an A'");
    other_ = kept_by_others / sum;
    if (near > 0.0) {
        ecal_shift_ = shift / near;
        ecal_spread_ = std::sqrt(std::max(0.0, square / near - ecal_shift_ * ecal_shift_));
    }
    // A bin without events takes the next one towards harder recoils, then softer ones.
    lost_.assign(all.size(), 0.0);
    lost_with_pair_.assign(with.size(), 0.0);
    for (std::size_t i = 0; i < parents; ++i)
        for (std::size_t j = 0; j < recoils; ++j) {
            std::size_t from = j;
            while (from + 1 < recoils && !(all[i * recoils + from] > 0.0))
                ++from;
            while (from > 0 && !(all[i * recoils + from] > 0.0))
                --from;
            const std::size_t bin = i * recoils + j, source = i * recoils + from;
            if (!(all[source] > 0.0))
                continue;
            lost_[bin] = lost[source] / all[source];
            for (std::size_t k = 0; k < with_pair; ++k)
                lost_with_pair_[bin * with_pair + k] = with[source * with_pair + k] / all[source];
        }
}

void ElectronLosses::places(double parent_energy, double recoil_energy, Place (&found)[2]) const {
    const auto above = std::upper_bound(parent_edges_.begin(), parent_edges_.end() - 1, parent_energy);
    const auto i = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - parent_edges_.begin() - 1, 0));
    const std::size_t first = std::min(i, parent_edges_.size() - 2) * recoils;
    const auto [j, up] = between(recoil_logarithms_, std::log(std::max(recoil_energy, 1e-6)));
    found[0] = {first + j, 1.0 - up};
    found[1] = {first + j + 1, up};
}

double ElectronLosses::kept(double parent_energy, double recoil_energy) const {
    Place found[2];
    places(parent_energy, recoil_energy, found);
    return other_ * (1.0 - found[0].weight * lost_[found[0].bin] - found[1].weight * lost_[found[1].bin]);
}

double ElectronLosses::kept(double parent_energy, double recoil_energy, double pair_energy,
                            double distance) const {
    const auto [d, along] = between(distances, distance);
    const std::vector<double> kept = kept_along(parent_energy, recoil_energy, pair_energy);
    return (1.0 - along) * kept[d] + along * kept[d + 1];
}

std::vector<double> ElectronLosses::kept_along(double parent_energy, double recoil_energy,
                                               double pair_energy) const {
    Place found[2];
    places(parent_energy, recoil_energy, found);
    const auto [e, up] = between(electron_pair_energies, pair_energy);
    std::vector<double> kept(distances.size());
    for (std::size_t d = 0; d + 1 < distances.size(); ++d) {
        double lost = 0.0;
        for (const Place &place : found) {
            const double *row = &lost_with_pair_[place.bin * with_pair + e * distances.size() + d];
            lost += place.weight * ((1.0 - up) * row[0] + up * row[distances.size()]);
        }
        kept[d] = other_ * (1.0 - lost);
    }
    // So far behind the place of production no pair reaches the preshower.
    kept.back() =
        other_ * (1.0 - found[0].weight * lost_[found[0].bin] - found[1].weight * lost_[found[1].bin]);
    return kept;
}

const std::vector<double> &ElectronLosses::distance_points() const {
    static const std::vector<double> points(distances.begin(), distances.end());
    return points;
}

InclusiveS2::InclusiveS2(const std::vector<Chi2Flux> &fluxes, const Chi2Decayer *decayer, double branching,
                         double aprime_threshold, double depth_scale, const PairLosses &pairs,
                         const ElectronLosses &electrons)
    : end_(pairs.end()) {
    double slowest = std::numeric_limits<double>::infinity(), fastest = 0.0, sum = 0.0, kept_sum = 0.0;
    std::vector<std::vector<double>> kept(fluxes.size());
    for (std::size_t f = 0; f < fluxes.size(); ++f) {
        const Chi2Flux &flux = fluxes[f];
        kept[f].assign(flux.weight.size(), 0.0);
        double last_parent = -1.0, last_energy = -1.0, last_kept = 0.0; // the same for all angles of an A'
        for (std::size_t i = 0; i < flux.weight.size(); ++i) {
            if (!(flux.aprime_energy[i] > aprime_threshold))
                continue;
            if (flux.parent_energy[i] != last_parent || flux.aprime_energy[i] != last_energy) {
                last_parent = flux.parent_energy[i];
                last_energy = flux.aprime_energy[i];
                last_kept = electrons.kept(last_parent, last_parent - last_energy);
            }
            kept[f][i] = last_kept;
            sum += flux.weight[i];
            kept_sum += flux.weight[i] * last_kept;
            if (flux.gamma_beta[i] > 0.0) {
                slowest = std::min(slowest, flux.gamma_beta[i]);
                fastest = std::max(fastest, flux.gamma_beta[i]);
            }
            beyond_gamma_beta_.push_back(flux.gamma_beta[i]);
            beyond_distance_.push_back(end_ - flux.origin[i]);
            beyond_weight_.push_back(flux.weight[i] * last_kept);
        }
    }
    if (!(sum > 0.0))
        return;
    electrons_kept_ = kept_sum / sum;
    for (double &weight : beyond_weight_)
        weight /= electrons_kept_;
    if (!decayer || !(fastest > 0.0))
        return;

    // Bins of gamma beta, in which the weights are shared between neighbours.
    const double mass = decayer->chi2_mass();
    const double log_slowest = std::log(slowest),
                 log_step = std::max(std::log(fastest / slowest), 1e-9) / (speed_bins - 1);
    std::vector<double> energy(speed_bins);
    for (std::size_t b = 0; b < speed_bins; ++b) {
        gamma_beta_.push_back(std::exp(log_slowest + log_step * static_cast<double>(b)));
        energy[b] = mass * std::hypot(1.0, gamma_beta_[b]);
    }
    // The pair's share of the energy of chi2, at equal steps of probability.
    std::array<double, share_quantiles> share;
    for (std::size_t q = 0; q < share_quantiles; ++q) {
        const double above = 1.0 - (static_cast<double>(q) + 0.5) / share_quantiles;
        double low = 0.0, high = 1.0;
        while (high - low > 1e-5) {
            const double u = 0.5 * (low + high);
            (decayer->fraction_above(u * fast * mass, fast * mass) > above ? low : high) = u;
        }
        share[q] = 0.5 * (low + high);
    }

    // Cells along the flight: fine in the ECAL, from the place of production on.
    for (const double d : {0.0, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.5, 2.0, 2.75, 3.5, 4.5})
        edges_.push_back(d);
    const double ecal_length = pairs.ecal_end() - pairs.ecal_start();
    const double end = end_ - pairs.ecal_start();
    while (edges_.back() < ecal_length)
        edges_.push_back(edges_.back() + 1.25);
    while (edges_.back() < end)
        edges_.push_back(std::min(end, edges_.back() + 3.0));
    const std::size_t cells = edges_.size() - 1;
    inside_.assign(speed_bins * cells, 0.0);

    // What VETO and HCAL leave of a decay at the places of `grid`, summed over the shares up to each.
    std::vector<double> grid;
    for (double z = pairs.ecal_start(); z <= pairs.ecal_end() + 1.0; z += 1.0)
        grid.push_back(z);
    std::vector<double> summed(speed_bins * grid.size() * (share_quantiles + 1), 0.0);
    for (std::size_t b = 0; b < speed_bins; ++b)
        for (std::size_t g = 0; g < grid.size(); ++g) {
            double *row = &summed[(b * grid.size() + g) * (share_quantiles + 1)];
            for (std::size_t q = 0; q < share_quantiles; ++q)
                row[q + 1] = row[q] + pairs(share[q] * energy[b], std::min(grid[g], pairs.ecal_end())) /
                                          share_quantiles;
        }
    std::vector<double> middles;
    std::vector<std::pair<std::size_t, double>> among;
    for (std::size_t k = 0; k < cells; ++k) {
        middles.push_back(0.5 * (edges_[k] + edges_[k + 1]));
        among.push_back(between(electrons.distance_points(), middles[k] / depth_scale));
    }
    std::vector<double> behind(speed_bins, 0.0), behind_origin(speed_bins, 0.0);
    for (std::size_t f = 0; f < fluxes.size(); ++f) {
        const Chi2Flux &flux = fluxes[f];
        for (std::size_t i = 0; i < flux.weight.size(); ++i) {
            if (!(kept[f][i] > 0.0) || !(flux.gamma_beta[i] > 0.0))
                continue;
            const double position = (std::log(flux.gamma_beta[i]) - log_slowest) / log_step;
            const auto b = std::min(static_cast<std::size_t>(std::max(position, 0.0)), speed_bins - 2);
            const double up = std::clamp(position - static_cast<double>(b), 0.0, 1.0);
            const double weight = branching * flux.weight[i] / electrons_kept_;
            behind[b] += (1.0 - up) * weight * kept[f][i];
            behind[b + 1] += up * weight * kept[f][i];
            behind_origin[b] += (1.0 - up) * weight * kept[f][i] * flux.origin[i];
            behind_origin[b + 1] += up * weight * kept[f][i] * flux.origin[i];

            // The ECAL sees the pair as well: only pairs up to some energy leave it below the cut, on average
            // over the spread of what is read (Gauss and Hermite, three points).
            double quantile = 0.0;
            for (const auto &[sigma, part] :
                 {std::pair{-std::sqrt(3.0), 1.0 / 6.0}, std::pair{0.0, 2.0 / 3.0},
                  std::pair{std::sqrt(3.0), 1.0 / 6.0}})
                quantile +=
                    part * quantile_of(share, (flux.aprime_energy[i] - aprime_threshold -
                                               electrons.ecal_shift() + sigma * electrons.ecal_spread()) /
                                                  flux.chi2_energy[i]);
            if (!(quantile > 0.0))
                continue;
            const auto q = std::min(static_cast<std::size_t>(quantile), share_quantiles - 1);
            const double rest = quantile - static_cast<double>(q);
            const double pair = share[std::min(q / 2, share_quantiles - 1)] * flux.chi2_energy[i];
            const double recoil = flux.parent_energy[i] - flux.aprime_energy[i];
            const std::vector<double> electron = electrons.kept_along(flux.parent_energy[i], recoil, pair);
            const std::size_t row = share_quantiles + 1, next_bin = grid.size() * row;
            double *low = &inside_[b * cells], *high = low + cells;
            for (std::size_t k = 0; k < cells; ++k) {
                const double z = flux.origin[i] + middles[k];
                if (!(z < pairs.ecal_end()))
                    break;
                const auto g = static_cast<std::size_t>(z - grid.front());
                const double along = z - grid[g];
                const auto value = [&](const double *at) {
                    return (1.0 - along) * (at[0] + rest * (at[1] - at[0])) +
                           along * (at[row] + rest * (at[row + 1] - at[row]));
                };
                const auto [d, part] = among[k];
                const double kept_here = weight * ((1.0 - part) * electron[d] + part * electron[d + 1]);
                const double *at = &summed[b * next_bin + g * row + q];
                low[k] += (1.0 - up) * kept_here * value(at);
                high[k] += up * kept_here * value(at + next_bin);
            }
        }
    }
    // Behind the ECAL nothing but energy and place decides.
    for (std::size_t b = 0; b < speed_bins; ++b) {
        if (!(behind[b] > 0.0))
            continue;
        const double origin = behind_origin[b] / behind[b];
        for (std::size_t k = 0; k < cells; ++k) {
            const double z = origin + 0.5 * (edges_[k] + edges_[k + 1]);
            if (z < pairs.ecal_end() || z > end_)
                continue;
            double passed = 0.0;
            for (std::size_t q = 0; q < share_quantiles; q += 2) // every other is enough
                passed += 2.0 * pairs(share[q] * energy[b], z);
            inside_[b * cells + k] += behind[b] * passed / share_quantiles;
        }
    }
}

std::vector<double> InclusiveS2::operator()(const std::vector<double> &ctau) const {
    std::vector<double> expected(ctau.size(), 0.0);
    for (std::size_t j = 0; j < ctau.size(); ++j) {
        if (!(ctau[j] >= 0.0))
            throw std::invalid_argument("c tau is zero, positive or infinite");
        const auto survives = [](double distance, double length) {
            return !(length > 0.0) ? 0.0 : std::isinf(length) ? 1.0 : std::exp(-distance / length);
        };
        for (std::size_t i = 0; i < beyond_weight_.size(); ++i)
            expected[j] += beyond_weight_[i] * survives(beyond_distance_[i], beyond_gamma_beta_[i] * ctau[j]);
        if (inside_.empty() || std::isinf(ctau[j]))
            continue;
        const std::size_t cells = edges_.size() - 1;
        for (std::size_t b = 0; b < speed_bins; ++b) {
            const double length = gamma_beta_[b] * ctau[j];
            double before = 1.0;
            for (std::size_t k = 0; k < cells && before > 1e-12; ++k) {
                const double after = survives(edges_[k + 1], length);
                expected[j] += inside_[b * cells + k] * (before - after);
                before = after;
            }
        }
    }
    return expected;
}

} // namespace na64root
