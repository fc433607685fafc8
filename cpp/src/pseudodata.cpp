#include "na64root/pseudodata.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "beam_line.hpp"
#include "na64root/random.hpp"

namespace na64root {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

using namespace beam_line;

constexpr double missing_energy_min = 10.0; // GeV, class large_missing_energy
constexpr double leakage_margin = 1.5;      // interaction lengths before the end of HCAL1

// One event while it is made: the energies that end up in the detectors.
class Maker {
  public:
    Maker(const PseudodataConfig &config, const PseudodataPeriod &period, Random &random, TreeAEvent &event)
        : config_(config), period_(period), random_(random), event_(event) {}

    void make(PseudodataClass kind) {
        clear();
        event_.mc_class = static_cast<int>(kind);
        event_.mcWeight = 1.0;
        if (kind == PseudodataClass::calibration) {
            calibration();
            return;
        }
        beam();
        noise();
        switch (kind) {
        case PseudodataClass::beam_electron:
            electron(momentum_, electron_chi2_sigma, electron_chi2_median);
            break;
        case PseudodataClass::pile_up:
            pile_up();
            break;
        case PseudodataClass::beam_hadron:
            beam_hadron();
            break;
        case PseudodataClass::dimuon:
            dimuon();
            break;
        case PseudodataClass::electroproduction:
            electroproduction();
            break;
        case PseudodataClass::upstream_hadrons:
            upstream_hadrons();
            break;
        case PseudodataClass::neutral_hadron:
        case PseudodataClass::neutral_leakage:
            leading_neutral(kind == PseudodataClass::neutral_leakage);
            break;
        case PseudodataClass::large_missing_energy:
            large_missing_energy();
            break;
        default: // random_trigger
            break;
        }
        accompany();
        finish(kind);
    }

  private:
    void clear() {
        const auto run = event_.run, spill = event_.spill, spillevent = event_.spillevent,
                   runevent = event_.runevent;
        auto hits = std::move(event_.hod2_xhits_reco);
        event_ = TreeAEvent{};
        hits.clear();
        event_.hod2_xhits_reco = std::move(hits);
        event_.run = run;
        event_.spill = spill;
        event_.spillevent = spillevent;
        event_.runevent = runevent;
    }

    // The beam particle and what the detectors before the ECAL see of an electron.
    void beam() {
        momentum_ = config_.beam_energy * (1.0 + config_.beam_momentum_spread * random_.normal());
        x_ = config_.beam_spot * random_.normal();
        y_ = config_.beam_spot * random_.normal();
        event_.mc_beam_momentum_GeV = momentum_;
        event_.mc_x_mm = 10.0 * x_;
        event_.mc_y_mm = 10.0 * y_;
        event_.masterTime = digitised(150.0 + 2.0 * random_.normal(), time_step);

        // 3 % of tracks are wrongly reconstructed, at any momentum.
        const bool bad_track = random_.uniform() < 0.03;
        event_.trackMomentum = bad_track ? random_.uniform(20.0, 150.0)
                                         : momentum_ + track_resolution * momentum_ * random_.normal();
        event_.trackChi2 = bad_track ? 10.0 + 20.0 * random_.exponential() : random_.exponential();
        event_.nTracks = 1 + static_cast<int>(random_.poisson(0.1));
        straw(accidental_straw_hits);

        // Bremsstrahlung before the magnet in 1 % of events.
        for (int module = 0; module < 3; ++module)
            srd_[module] = synchrotron(random_);
        if (random_.uniform() < 0.01)
            for (int module = 0; module < 3; ++module)
                srd_[module] += 0.1 + 0.05 * random_.exponential();
        hodoscope(x_, event_, random_);
    }

    // Hits in the straw chambers: one of the track, accidental ones, 2 % inefficiency, showers in 2 %.
    void straw(double accidental) {
        for (std::int32_t *hits : {&event_.straw3X, &event_.straw3Y}) {
            const double u = random_.uniform();
            const auto more = static_cast<std::int32_t>(random_.poisson(u < 0.98 ? accidental : 8.0));
            *hits = u < 0.02 ? 0 : 1 + more;
        }
    }

    // Cells that a converter reads one or two steps above its pedestal.
    void noise() {
        for (std::uint64_t n = random_.poisson(3.0); n > 0; --n)
            ecal_[random_.uniform() < 0.5][cell(6)][cell(6)] += ecal_step * (1.0 + (random_.uniform() < 0.2));
        for (int module = 0; module < 4; ++module)
            for (std::uint64_t n = random_.poisson(1.0); n > 0; --n)
                hcal_[module][cell(3)][cell(3)] += hcal_step * (1.0 + (random_.uniform() < 0.2));
    }

    int cell(int cells) { return std::min(cells - 1, static_cast<int>(random_.uniform() * cells)); }

    // An electromagnetic shower: resolution, share in the preshower, transverse profile, tail into the VETO.
    void electron(double energy, double chi2_sigma, double chi2_median) {
        if (!(energy > 0.0))
            return;
        const double visible =
            std::max(0.0, energy + config_.ecal_stochastic * std::sqrt(energy) * random_.normal());
        // Geant4, 16 layers: 5.4 +- 2.0 GeV at 100 GeV, 1.72 +- 0.59 GeV at 10 GeV.
        const double preshower =
            std::min(0.5 * visible, 1.72 * std::sqrt(energy / 10.0) * lognormal(random_, 0.94, 0.35));
        shower_in_ecal(preshower, visible - preshower, 0.11);
        // Geant4: the VETO sees 5 MeV behind 100 GeV, more than 10 MeV in a tenth of events.
        veto_hit(0.0043 * energy / 100.0 * random_.exponential());
        event_.showerChi2 = lognormal(random_, chi2_median, chi2_sigma);
    }

    // Transverse profile: two exponentials; Geant4 has 84 % of an electron in the cell it hits, 97.5 % in 3
    // x 3. The calibration puts the peak of beam electrons at the beam energy, so that the shares sum to 1.
    void shower_in_ecal(double preshower, double main, double wide_share) {
        double shares[6][6], sum = 0.0;
        for (int ix = 0; ix < 6; ++ix)
            for (int iy = 0; iy < 6; ++iy) {
                shares[ix][iy] = (1.0 - wide_share) * in_cell(ix, x_, 0.6) * in_cell(iy, y_, 0.6) +
                                 wide_share * in_cell(ix, x_, 2.8) * in_cell(iy, y_, 2.8);
                sum += shares[ix][iy];
            }
        for (int ix = 0; ix < 6; ++ix)
            for (int iy = 0; iy < 6; ++iy) {
                ecal_[0][ix][iy] += preshower * shares[ix][iy] / sum;
                ecal_[1][ix][iy] += main * shares[ix][iy] / sum;
            }
    }

    // Share of an exponential profile of this width around `position` in cell i; cell 3 is on the beam.
    double in_cell(int i, double position, double width) const {
        const double pitch = config_.detector.ecal_cell;
        const auto below = [&](double edge) {
            const double t = (edge - position) / width;
            return t < 0.0 ? 0.5 * std::exp(t) : 1.0 - 0.5 * std::exp(-t);
        };
        const double low = (i - 3.5) * pitch;
        return below(low + pitch) - below(low);
    }

    // A charged particle or leakage in the VETO: one counter, light shared by the place of the hit.
    void veto_hit(double energy) {
        const int counter = cell(3);
        const double imbalance = random_.uniform(-0.3, 0.3);
        veto_[2 * counter] += energy * std::exp(imbalance);
        veto_[2 * counter + 1] += energy * std::exp(-imbalance);
    }

    // 5 cm of scintillator.
    void charged_through_veto() { veto_hit(ionisation(random_, 0.0095, 0.0008)); }

    // A muon through all modules: 2.2 GeV on the scale of hadrons in each.
    void muon_in_hcal() {
        for (int module = 0; module < 3; ++module) {
            const double shift = module == 2 ? period_.hcal3_offset : 0.0;
            spot(module, x_ - shift, y_, ionisation(random_, 2.1, 0.2));
        }
    }

    void spot(int module, double x, double y, double energy) {
        const int ix = static_cast<int>(std::floor(x / config_.detector.hcal_cell_x + 1.5));
        const int iy = static_cast<int>(std::floor(y / config_.detector.hcal_cell_y + 1.5));
        if (ix >= 0 && ix < 3 && iy >= 0 && iy < 3)
            hcal_[module][ix][iy] += energy;
    }

    // A hadron shower that begins `start` interaction lengths inside the iron of the HCAL. The
    // electromagnetic part is narrow, the rest has the width of an interaction length; what is behind HCAL3
    // is lost.
    void hadron_in_hcal(double energy, double start, double angle_x, double angle_y) {
        if (!(energy > 0.0))
            return;
        const double visible =
            std::max(0.0, energy + config_.hcal_stochastic * std::sqrt(energy) * random_.normal());
        // Mean electromagnetic fraction 1 - (E/GeV)^-0.18 (Gabriel et al., NIM A 338, 336 (1994)).
        const double mean_fraction = energy > 1.0 ? 1.0 - std::pow(energy, -0.18) : 0.0;
        const double fraction = std::clamp(mean_fraction + 0.17 * random_.normal(), 0.0, 1.0);
        constexpr int narrow_spots = 6, wide_spots = 24;
        for (int i = 0; i < narrow_spots + wide_spots; ++i) {
            const bool narrow = i < narrow_spots;
            const double share = narrow ? fraction / narrow_spots : (1.0 - fraction) / wide_spots;
            // Depth of the deposit behind the start: gamma distribution, mean 2 (narrow: 0.6) interaction
            // lengths.
            const double depth =
                start + (narrow ? 0.3 : 1.0) * (random_.exponential() + random_.exponential());
            const double radius =
                narrow ? 1.5 * random_.exponential() : 5.5 * (random_.exponential() + random_.exponential());
            const double direction = 2.0 * units::pi * random_.uniform();
            const int module = module_at(depth);
            if (module > 2)
                continue;
            const double z = depth_position(depth);
            const double shift = module == 2 ? period_.hcal3_offset : 0.0;
            spot(module, x_ + angle_x * z + radius * std::cos(direction) - shift,
                 y_ + angle_y * z + radius * std::sin(direction), visible * share);
        }
    }

    double module_lengths(int module) const {
        return (config_.detector.hcal_end[module] - config_.detector.hcal_start[module]) /
               config_.hcal_interaction_length;
    }

    int module_at(double depth) const {
        int module = 0;
        while (module < 3 && depth > module_lengths(module))
            depth -= module_lengths(module++);
        return module;
    }

    // Position along the beam of a depth in interaction lengths.
    double depth_position(double depth) const {
        int module = 0;
        while (module < 2 && depth > module_lengths(module))
            depth -= module_lengths(module++);
        return config_.detector.hcal_start[module] + depth * config_.hcal_interaction_length;
    }

    // Truncated exponential between 0 and `end`.
    double truncated_exponential(double end) { return -std::log1p(random_.uniform() * std::expm1(-end)); }

    // Angle of a leading hadron: transverse momentum 0.4 GeV.
    double angle(double energy) { return 0.4 / energy * random_.normal(); }

    // E^-1 between two energies.
    double one_over_energy(double low, double high) { return low * std::pow(high / low, random_.uniform()); }

    void pile_up() {
        // The shower is at the edge of the time window: any share of it is inside.
        const double share = random_.uniform();
        electron(momentum_ * share, electron_chi2_sigma, electron_chi2_median);
        out_of_time_ += momentum_ * (1.0 - share);
    }

    void beam_hadron() {
        for (double &energy : srd_)
            energy = 0.0;
        // An electron nearby in time gives synchrotron radiation to 1 %.
        if (random_.uniform() < 0.01)
            for (int module = 0; module < 3; ++module)
                srd_[module] = synchrotron(random_);
        charged_hadron(momentum_);
    }

    // A charged hadron that enters the ECAL, 1.5 interaction lengths deep, a tenth of them preshower.
    void charged_hadron(double energy) {
        constexpr double ecal_depth = 1.5, preshower_depth = 0.16;
        const double depth = random_.exponential();
        double in_ecal = 0.0, in_preshower = ionisation(random_, 0.05, 0.01);
        if (depth < ecal_depth)
            in_ecal = energy * random_.uniform(0.1, 0.8);
        if (depth < preshower_depth)
            in_preshower += std::min(0.5 * in_ecal, random_.exponential());
        shower_in_ecal(in_preshower, std::max(0.4, in_ecal - in_preshower), 0.6);
        event_.showerChi2 = lognormal(random_, 45.0, 0.55);
        for (std::uint64_t charged = 1 + random_.poisson(in_ecal > 0.0 ? 3.0 : 0.0); charged > 0; --charged)
            charged_through_veto();
        // A charged hadron ionises in HCAL1 before it showers.
        spot(0, x_, y_, ionisation(random_, 2.0, 0.2));
        hadron_in_hcal(energy - in_ecal, truncated_exponential(3.0), 0.0, 0.0);
    }

    void dimuon() {
        const double pair_energy = one_over_energy(12.0, 0.9 * momentum_);
        electron(momentum_ - pair_energy, electron_chi2_sigma, electron_chi2_median);
        event_.mc_missing_energy_GeV = pair_energy;
        const int muons = random_.uniform() < 0.9 ? 2 : 1; // the softer one stops in a tenth of the pairs
        for (int i = 0; i < muons; ++i) {
            charged_through_veto();
            muon_in_hcal();
        }
    }

    void electroproduction() {
        const double energy = one_over_energy(3.0, 0.9 * momentum_);
        electron(momentum_ - energy, 0.8, 8.0);
        event_.mc_missing_energy_GeV = energy;
        for (std::uint64_t charged = random_.poisson(2.0); charged > 0; --charged)
            charged_through_veto();
        // Drawn one after another: the order in which arguments are made is open.
        const double start = truncated_exponential(2.0), angle_x = angle(energy), angle_y = angle(energy);
        hadron_in_hcal(energy, start, angle_x, angle_y);
    }

    void upstream_hadrons() {
        const double energy = momentum_ * random_.uniform(0.4, 0.95);
        event_.mc_missing_energy_GeV = energy;
        straw(1.5);
        charged_hadron(energy);
    }

    void leading_neutral(bool leakage) {
        const double energy = one_over_energy(15.0, 0.8 * momentum_);
        // Hadrons come with a nuclear break-up in the ECAL: its shower is wide.
        electron(momentum_ - energy, 0.55, 45.0);
        event_.mc_missing_energy_GeV = energy;
        const double split = module_lengths(0) - leakage_margin;
        const double start = leakage ? split + random_.exponential() : truncated_exponential(split);
        const double angle_x = angle(energy), angle_y = angle(energy);
        hadron_in_hcal(energy, start, angle_x, angle_y);
    }

    void large_missing_energy() {
        double missing = missing_energy_min + config_.missing_energy_slope * random_.exponential();
        missing = std::min(missing, 0.98 * momentum_);
        event_.mc_missing_energy_GeV = missing;
        straw(1.5);
        // The electron comes displaced and with soft particles around it.
        x_ += 0.5 * random_.normal();
        y_ += 0.5 * random_.normal();
        electron(momentum_ - missing, 0.66, 50.0);
        // Most products pass beside the calorimeters; some reach the VETO and the HCAL.
        if (random_.uniform() < 0.3)
            charged_through_veto();
        if (random_.uniform() < 0.3) {
            const double energy = missing * random_.uniform();
            hadron_in_hcal(energy, truncated_exponential(3.0), 0.0, 0.0);
        }
    }

    // What accompanies any trigger: earlier and later particles, halo muons, photons along the unbent beam.
    void accompany() {
        out_of_time_ += beam_line::out_of_time_energy * random_.exponential();
        if (random_.uniform() < 0.02)
            out_of_time_ += momentum_ * random_.uniform(0.2, 1.0);
        if (random_.uniform() < 0.005) {
            charged_through_veto();
            muon_in_hcal();
        }
        if (random_.uniform() < 0.05)
            hcal_[3][1][1] += 20.0 * random_.exponential();
        for (double &energy : veto_)
            energy += 0.0002 * random_.normal();
        for (double &energy : srd_)
            energy += 0.00015 * random_.normal();
    }

    void calibration() {
        event_.isCalibration = true;
        event_.masterTime = digitised(150.0, time_step);
        for (auto &part : ecal_)
            for (auto &row : part)
                for (double &energy : row)
                    energy = 2.0 + 0.05 * random_.normal();
        for (double &energy : veto_)
            energy = 0.02 + 0.0005 * random_.normal();
        event_.trackMomentum = 0.0;
        store();
        for (auto &module : event_.HCAL_ene)
            for (auto &row : module)
                for (double &energy : row)
                    energy = not_a_number;
        event_.hcal0 = event_.hcal1 = event_.hcal2 = event_.hcal3 = not_a_number;
        event_.ecalTotalNoTimecut = event_.ecalTotal;
        event_.showerChi2 = 1000.0;
    }

    // Digitised energies, their sums, times.
    void store() {
        for (int part = 0; part < 2; ++part)
            for (int ix = 0; ix < 6; ++ix)
                for (int iy = 0; iy < 6; ++iy) {
                    const double energy = digitised(ecal_[part][ix][iy], ecal_step);
                    event_.ECAL_ene[part][ix][iy] = energy;
                    event_.ECAL_t0[part][ix][iy] = time_of(energy, ecal_delay);
                    (part == 0 ? event_.ecal0 : event_.ecal1) += energy;
                }
        event_.ecalTotal = event_.ecal0 + event_.ecal1;
        double *totals[4] = {&event_.hcal0, &event_.hcal1, &event_.hcal2, &event_.hcal3};
        for (int module = 0; module < 4; ++module)
            for (int ix = 0; ix < 3; ++ix)
                for (int iy = 0; iy < 3; ++iy) {
                    const double energy = digitised(hcal_[module][ix][iy], hcal_step);
                    event_.HCAL_ene[module][ix][iy] = energy;
                    event_.HCAL_t0[module][ix][iy] = time_of(energy, hcal_delay);
                    *totals[module] += energy;
                }
        for (int module = 0; module < 3; ++module) {
            event_.SRD_ene[module] = digitised(srd_[module], srd_step);
            event_.SRD_t0[module] = time_of(event_.SRD_ene[module], srd_delay);
            event_.srdTotal += event_.SRD_ene[module];
        }
        for (int i = 0; i < 6; ++i) {
            event_.VETO_ene[i] = digitised(veto_[i], veto_step);
            event_.VETO_t0[i] = time_of(event_.VETO_ene[i], veto_delay);
        }
    }

    double time_of(double energy, double delay) {
        return beam_line::time_of(energy, delay, event_.masterTime, random_);
    }

    void finish(PseudodataClass kind) {
        store();
        event_.ecalTotalNoTimecut = event_.ecalTotal + digitised(out_of_time_, ecal_step);
        if (kind == PseudodataClass::random_trigger) {
            event_.isPhysics = event_.isTriggerRandom = true;
            event_.isOnSpill = random_.uniform() < 0.5;
            event_.trackMomentum = 0.0;
            event_.nTracks = event_.straw3X = event_.straw3Y = 0;
            event_.showerChi2 = 1000.0;
            return;
        }
        beam_counters(event_, random_);
        event_.isPhysics = true;
        event_.isOnSpill = random_.uniform() < 0.995;
        physics_trigger(config_.trigger_ecal_max, config_.trigger_ecal_resolution, event_, random_);
        event_.isTriggerBeam = kind == PseudodataClass::beam_electron || !event_.isTriggerPhysics;
    }

    const PseudodataConfig &config_;
    const PseudodataPeriod &period_;
    Random &random_;
    TreeAEvent &event_;
    double momentum_ = 0.0, x_ = 0.0, y_ = 0.0, out_of_time_ = 0.0;
    double ecal_[2][6][6] = {}, hcal_[4][3][3] = {}, srd_[3] = {}, veto_[6] = {};
};

constexpr std::uint32_t runs_per_period = 12, spills_per_run = 25;

} // namespace

std::string pseudodata_class_name(int number) {
    static const char *const names[pseudodata_classes] = {
        "beam_electron",        "pile_up",          "beam_hadron",    "dimuon",
        "electroproduction",    "upstream_hadrons", "neutral_hadron", "neutral_leakage",
        "large_missing_energy", "calibration",      "random_trigger"};
    if (number < 0 || number >= pseudodata_classes)
        throw std::invalid_argument("no class " + std::to_string(number) + " of pseudo-data");
    return names[number];
}

PseudodataGenerator::PseudodataGenerator(const PseudodataConfig &config) : config_(config) {
    std::uint64_t number = 0;
    for (const auto &period : config_.periods) {
        if (period.class_means.size() != pseudodata_classes)
            throw std::invalid_argument("a period of pseudo-data needs one mean for each class");
        first_entry_.push_back(classes_.size());
        for (std::size_t kind = 0; kind < period.class_means.size(); ++kind) {
            const double mean = period.class_means[kind];
            if (!(mean >= 0.0 && mean < 1e9))
                throw std::invalid_argument("mean number of events of class " +
                                            pseudodata_class_name(static_cast<int>(kind)) +
                                            " is not between 0 and 1e9");
            Random random(config_.seed, number * pseudodata_classes + kind, Stream::pseudodata_count);
            classes_.insert(classes_.end(), random.poisson(mean), static_cast<std::uint8_t>(kind));
        }
        // Shuffle (Fisher and Yates), so that every spill has all classes.
        Random random(config_.seed, number++, Stream::pseudodata_order);
        for (std::uint64_t i = classes_.size(); i > first_entry_.back() + 1; --i) {
            const auto span = static_cast<double>(i - first_entry_.back());
            const auto other = first_entry_.back() + static_cast<std::uint64_t>(random.uniform() * span);
            std::swap(classes_[i - 1], classes_[std::min(other, i - 1)]);
        }
    }
    first_entry_.push_back(classes_.size());
}

std::uint64_t PseudodataGenerator::drawn(int class_number) const {
    return static_cast<std::uint64_t>(
        std::count(classes_.begin(), classes_.end(), static_cast<std::uint8_t>(class_number)));
}

TreeAEvent PseudodataGenerator::generate(std::uint64_t entry) const {
    TreeAEvent event{};
    generate(entry, event);
    return event;
}

void PseudodataGenerator::generate(std::uint64_t entry, TreeAEvent &event) const {
    if (entry >= size())
        throw std::out_of_range("no event " + std::to_string(entry) + " among " + std::to_string(size()));
    const auto next = std::upper_bound(first_entry_.begin(), first_entry_.end(), entry);
    const std::size_t number = static_cast<std::size_t>(next - first_entry_.begin()) - 1;
    const auto &period = config_.periods[number];

    // Events in the order of time: runs spread over the last part of the period, spills in a run.
    const std::uint64_t position = entry - first_entry_[number];
    const std::uint64_t count = first_entry_[number + 1] - first_entry_[number];
    const std::uint32_t available = std::min<std::uint32_t>(period.last_run - period.first_run + 1, 240);
    const std::uint32_t runs = std::min(runs_per_period, available);
    const auto first_of = [&](std::uint64_t slot, std::uint64_t slots) {
        return (slot * count + slots - 1) / slots;
    };
    const std::uint64_t run = position * runs / count;
    const std::uint64_t spills = std::uint64_t{runs} * spills_per_run, spill = position * spills / count;
    event.run = period.last_run - available + 1 + static_cast<std::uint32_t>(run) * (available / runs);
    event.spill = static_cast<std::uint32_t>(spill % spills_per_run) + 1;
    event.runevent = static_cast<std::uint32_t>(position - first_of(run, runs)) + 1;
    event.spillevent = static_cast<std::uint32_t>(position - first_of(spill, spills)) + 1;

    Random random(config_.seed, entry, Stream::pseudodata_event);
    Maker(config_, period, random, event).make(static_cast<PseudodataClass>(classes_[entry]));
}

} // namespace na64root
