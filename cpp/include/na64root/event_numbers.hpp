// Which events were seen: (run, spill, number in the spill) as a set, and what follows from it: events that
// come twice, events out of order, events of spills that are left out.
#ifndef NA64ROOT_EVENT_NUMBERS_HPP
#define NA64ROOT_EVENT_NUMBERS_HPP

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace na64root {

// A set of event numbers: one bit each, 64 neighbours in a spill together. Dense numbers take less than a
// byte per event; numbers without neighbours some 50 bytes.
class EventNumbers {
  public:
    // Whether the number was new.
    bool add(std::uint32_t run, std::uint32_t spill, std::uint32_t spillevent) {
        const Block block{run, spill, spillevent >> 6};
        // Events of one spill mostly follow one another: the block is that of the event before.
        if (!last_ || !(block == last_block_)) {
            last_ = &blocks_[block];
            last_block_ = block;
        }
        const std::uint64_t bit = std::uint64_t{1} << (spillevent & 63u);
        const bool is_new = !(*last_ & bit);
        *last_ |= bit;
        size_ += is_new;
        return is_new;
    }

    // Adds all numbers of `other`; returns how many of them were there.
    std::uint64_t merge(const EventNumbers &other) {
        std::uint64_t shared = 0;
        for (const auto &[block, bits] : other.blocks_) {
            std::uint64_t &own = blocks_[block];
            shared += ones(own & bits);
            size_ += ones(bits & ~own);
            own |= bits;
        }
        last_ = nullptr;
        return shared;
    }

    std::uint64_t size() const { return size_; }

  private:
    struct Block {
        std::uint32_t run, spill, number;
        bool operator==(const Block &other) const {
            return number == other.number && spill == other.spill && run == other.run;
        }
    };
    struct Hash {
        std::size_t operator()(const Block &block) const {
            // Mixing steps of splitmix64, so that neighbouring runs and spills do not collide.
            std::uint64_t x = (std::uint64_t{block.run} << 32 | block.spill) * 0x9e3779b97f4a7c15u;
            x = (x ^ (x >> 30) ^ block.number) * 0xbf58476d1ce4e5b9u;
            return static_cast<std::size_t>(x ^ (x >> 27));
        }
    };
    static std::uint64_t ones(std::uint64_t bits) {
        std::uint64_t count = 0;
        for (; bits; bits &= bits - 1)
            ++count;
        return count;
    }

    std::unordered_map<Block, std::uint64_t, Hash> blocks_;
    std::uint64_t *last_ = nullptr; // elements of an unordered_map do not move
    Block last_block_{};
    std::uint64_t size_ = 0;
};

// Decides in an event loop which events are left out: those of given spills, and, where `once`, each event
// whose number came before; not in simulation, which may use a number twice. In one thread that is every
// occurrence but the first, in the order of the files; several threads find whether there are any, not which
// is the first: where duplicates() is not zero after such a loop, repeat it with one.
class EventFilter {
  public:
    EventFilter(unsigned threads, bool once) : slots_(threads ? threads : 1), once_(once) {}

    void leave_out_spill(std::uint32_t run, std::uint32_t spill) { left_out_.insert(key(run, spill)); }

    bool keep(unsigned slot, std::uint32_t run, std::uint32_t spill, std::uint32_t spillevent,
              double weight) {
        Slot &own = slots_.at(slot);
        if (once_ && !own.numbers.add(run, spill, spillevent)) {
            ++own.duplicates;
            return false;
        }
        if (!left_out_.empty() && left_out_.count(key(run, spill))) {
            ++own.events_in_spills;
            own.weights_in_spills += weight;
            own.squares_in_spills += weight * weight;
            return false;
        }
        return true;
    }

    // After the loop.
    std::uint64_t duplicates() const {
        if (slots_.size() == 1) // without a second set of all numbers
            return slots_[0].duplicates;
        EventNumbers all;
        std::uint64_t duplicates = 0;
        for (const Slot &slot : slots_)
            duplicates += slot.duplicates + all.merge(slot.numbers);
        return duplicates;
    }
    std::uint64_t events_in_spills() const {
        std::uint64_t events = 0;
        for (const Slot &slot : slots_)
            events += slot.events_in_spills;
        return events;
    }
    double weights_in_spills() const {
        double weights = 0.0;
        for (const Slot &slot : slots_)
            weights += slot.weights_in_spills;
        return weights;
    }
    double squares_in_spills() const {
        double squares = 0.0;
        for (const Slot &slot : slots_)
            squares += slot.squares_in_spills;
        return squares;
    }

  private:
    struct alignas(64) Slot {
        EventNumbers numbers;
        std::uint64_t duplicates = 0, events_in_spills = 0;
        double weights_in_spills = 0.0, squares_in_spills = 0.0;
    };
    static std::uint64_t key(std::uint32_t run, std::uint32_t spill) {
        return std::uint64_t{run} << 32 | spill;
    }

    std::vector<Slot> slots_;
    std::unordered_set<std::uint64_t> left_out_;
    bool once_;
};

// What data quality looks at, in each spill. Energies in GeV.
class SpillRecorder {
  public:
    static constexpr int energy_bins = 150; // of 1 GeV from 0; the first and last hold what is beyond

    struct Spill {
        std::uint32_t run, spill;
        std::uint64_t events, triggers;
        std::uint64_t ecal_known, hcal_known, both_known, missing; // of the physics triggers
        double ecal_sum, hcal_sum;
        std::array<std::uint32_t, energy_bins> ecal, hcal;
    };
    static_assert(sizeof(Spill) == 8 + 6 * 8 + 2 * 8 + 2 * 4 * energy_bins, "read as one record from Python");

    // `missing`: ECAL energy below the first threshold, HCAL energy below the second. `once`: a number that
    // came before is a duplicate, as it is not in simulation.
    SpillRecorder(double ecal_below, double hcal_below, bool once)
        : ecal_below_(ecal_below), hcal_below_(hcal_below), once_(once) {}

    // One event, in the order of the files. A duplicate is counted as such and is in no spill; a NaN or
    // infinite energy is in no mean.
    bool add(std::uint32_t run, std::uint32_t spill, std::uint32_t spillevent, bool trigger, double ecal,
             double hcal) {
        const auto number = std::make_tuple(run, spill, spillevent);
        if (any_ && number < previous_)
            ++out_of_order_;
        any_ = true;
        previous_ = number;
        if (once_ && !numbers_.add(run, spill, spillevent)) {
            ++duplicates_;
            if (examples_.size() < 3 * most_examples)
                examples_.insert(examples_.end(), {run, spill, spillevent});
            return false;
        }
        Spill &sums = spill_of(run, spill);
        ++sums.events;
        if (!trigger)
            return true;
        ++sums.triggers;
        const bool ecal_known = std::isfinite(ecal), hcal_known = std::isfinite(hcal);
        if (ecal_known) {
            ++sums.ecal_known;
            sums.ecal_sum += ecal;
            ++sums.ecal[bin(ecal)];
        }
        if (hcal_known) {
            ++sums.hcal_known;
            sums.hcal_sum += hcal;
            ++sums.hcal[bin(hcal)];
        }
        if (ecal_known && hcal_known) {
            ++sums.both_known;
            sums.missing += ecal < ecal_below_ && hcal < hcal_below_;
        }
        return true;
    }

    // Spills in the order of their first event.
    const std::vector<Spill> &spills() const { return spills_; }
    std::uint64_t duplicates() const { return duplicates_; }
    // The first duplicates: run, spill and number of each after another.
    const std::vector<std::uint32_t> &duplicate_examples() const { return examples_; }
    // Events with a smaller number than the one before.
    std::uint64_t out_of_order() const { return out_of_order_; }

  private:
    static constexpr std::size_t most_examples = 20;

    static std::size_t bin(double energy) {
        if (!(energy > 0.0))
            return 0;
        return energy < energy_bins ? static_cast<std::size_t>(energy) : energy_bins - 1;
    }

    Spill &spill_of(std::uint32_t run, std::uint32_t spill) {
        if (spills_.empty() || spills_[last_].run != run || spills_[last_].spill != spill) {
            const auto found = places_.try_emplace(std::uint64_t{run} << 32 | spill, spills_.size());
            last_ = found.first->second;
            if (found.second) {
                spills_.push_back(Spill{});
                spills_.back().run = run;
                spills_.back().spill = spill;
            }
        }
        return spills_[last_];
    }

    double ecal_below_, hcal_below_;
    bool once_;
    EventNumbers numbers_;
    std::vector<Spill> spills_;
    std::unordered_map<std::uint64_t, std::size_t> places_;
    std::size_t last_ = 0;
    std::tuple<std::uint32_t, std::uint32_t, std::uint32_t> previous_{};
    std::vector<std::uint32_t> examples_;
    std::uint64_t duplicates_ = 0, out_of_order_ = 0;
    bool any_ = false;
};

} // namespace na64root

#endif
