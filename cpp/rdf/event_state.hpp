// What is booked in the compiled event loop, and the events at work.
#ifndef NA64ROOT_RDF_EVENT_STATE_HPP
#define NA64ROOT_RDF_EVENT_STATE_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "TAxis.h"
#include "TChain.h"
#include "event_columns.hpp"
#include "na64root/event_numbers.hpp"
#include "ntuple_columns.hpp"
#include "sound_baskets.hpp"
#include "variation.hpp"

namespace na64root::rdf {

// What is done with an event of a node, in the order of booking.
struct Operation {
    enum Kind {
        cut,     // a predicate makes a node
        without, // the events in none of some nodes make one
        fails,   // a predicate that is not true sets a bit of a tally
        passing, // the events with no more than some bits of a tally set make a node
        compute, // a column, of a predicate or as a sum
        fill,    // a histogram
        list,    // a row of a table
        vary,    // a column under a variation
        record   // the sums of a spill
    } kind;
    int node;
    int result = 0;          // number of the node, column, histogram or table
    std::vector<int> values; // columns and numbers that it takes; nodes of `without`
    Predicate predicate = nullptr;
    std::vector<std::vector<int>> in_period{}; // `values` of each run period, where they are not the same
    std::size_t tally = 0;
    std::uint64_t bits = 0; // that `fails` sets, that `passing` lets pass
    int variation = -1;     // of `vary`

    const int *arguments(const double *event) const {
        if (in_period.empty())
            return values.data();
        // Events outside of all periods are in no count: any will do.
        const auto index = static_cast<std::size_t>(event[period]);
        return in_period[std::min(index, in_period.size() - 1)].data();
    }
    // Whether it takes the column or number at a place.
    bool takes(int place) const {
        const auto has = [place](const std::vector<int> &of) {
            return std::find(of.begin(), of.end(), place) != of.end();
        };
        return kind != without && kind != vary &&
               (has(values) || std::any_of(in_period.begin(), in_period.end(), has));
    }
};

// Which cuts an event fails, one bit each, of those that pass a node.
struct Tally {
    int node;
    std::vector<Stage> stages; // of its cuts
};

// Sums of a histogram in one or two dimensions in the order of TH1's bins, with ROOT's own axes: TH1::Fill
// does too much to count events.
struct Sums {
    std::shared_ptr<const TAxis> x, y; // no y in one dimension
    std::vector<double> weights, squares;

    Sums(std::shared_ptr<const TAxis> x_axis, std::shared_ptr<const TAxis> y_axis)
        : x(std::move(x_axis)), y(std::move(y_axis)),
          weights((x->GetNbins() + 2) * (y ? y->GetNbins() + 2 : 1)), squares(weights.size()) {}
    int bin(const double *values, const std::vector<int> &columns) const {
        const int first = x->TAxis::FindFixBin(values[columns[0]]);
        return y ? first + (x->GetNbins() + 2) * y->TAxis::FindFixBin(values[columns[1]]) : first;
    }
    void fill(int bin, double weight) {
        weights[bin] += weight;
        squares[bin] += weight * weight;
    }
    void add(const Sums &other) {
        for (std::size_t i = 0; i < weights.size(); ++i) {
            weights[i] += other.weights[i];
            squares[i] += other.squares[i];
        }
    }
    template <class Histogram> void copy_to(Histogram &histogram) const {
        // Always, so that ROOT's settings of the process (TH1::SetDefaultSumw2) make no difference.
        if (!histogram.GetSumw2N())
            histogram.Sumw2();
        for (std::size_t i = 0; i < weights.size(); ++i) {
            histogram.SetBinContent(static_cast<int>(i), weights[i]);
            histogram.GetSumw2()->SetAt(squares[i], static_cast<int>(i));
        }
    }
};

// A column under a variation: where the events at work have it.
struct VariedColumn {
    int variation, column, place;
};

// What a stage takes of an event, in its order; numbers of branches that are not there remain.
struct Taken {
    std::vector<double> numbers;
    ROOT::RVecD array;            // of stages that take one
    std::vector<double *> places; // of the branches that are there
};

struct alignas(64) Slot {
    std::vector<double> values;        // columns, then numbers that cuts take and columns that are computed
    std::vector<char> alive;           // whether the event passed the cuts up to a node
    std::vector<std::uint64_t> failed; // of each tally
    std::vector<Sums> histograms;
    std::vector<std::vector<double>> tables;
    Cells cells;
    std::vector<double> normals; // of each variation that smears
    std::vector<char> drawn;     // whether it was drawn for the event
    std::atomic<unsigned long> done{0};
    SoundBaskets sound;
    NtupleColumns ntuple;
    Taken taken[number_of_stages];
};

// A branch that a stage takes.
struct Foreseen {
    int size; // of an array, 0 of a number
    bool present;
    double absent; // the number where it is not there
};

// What is booked, and the events at work, one in each slot.
struct State {
    std::unique_ptr<TChain> chain; // of a TTree, null for an RNTuple
    NtupleColumns::Files ntuples;  // of an RNTuple
    std::vector<RunRange> ranges;
    std::vector<GoodSpills> good; // none: no list
    int periods = 0;
    std::vector<double> balances;
    std::vector<HcalCore> cores;
    bool once = false;
    std::vector<unsigned> spills; // run and spill of each that is left out
    std::optional<EventFilter> filter;
    Excluded excluded;
    std::optional<SpillRecorder> recorder; // in one thread

    std::vector<double> values; // of every event: numbers that cuts take, behind the columns
    std::vector<Stage> node_stages{of_all};
    std::vector<int> node_parents{-1}; // a node's number is above that of the node it is after
    std::vector<Variation> variations;
    std::vector<VariedColumn> varied_columns;
    std::vector<Tally> tallies;
    std::vector<Operation> operations[number_of_stages];
    std::vector<Sums> histograms; // empty ones
    std::size_t tables = 0;
    std::vector<Input> branches[number_of_stages];    // that a stage reads
    std::vector<Foreseen> foreseen[number_of_stages]; // likewise, with what is not there
    std::vector<std::unique_ptr<Slot>> slots;
    std::atomic<bool> prepared{false};

    void prepare(unsigned n_slots) {
        for (int stage = 0; stage < number_of_stages; ++stage)
            for (int later = stage + 1; later < number_of_stages; ++later)
                for (const auto &operation : operations[later])
                    await(stage, operation);
        for (auto &nodes : awaited_)
            nodes = without_descendants(nodes);
        place_variations();
        for (unsigned i = 0; i < n_slots; ++i) {
            auto slot = std::make_unique<Slot>();
            slot->values = values;
            slot->alive.assign(node_stages.size(), 1);
            slot->failed.assign(tallies.size(), 0);
            slot->histograms = histograms;
            slot->tables.resize(tables);
            slot->normals.resize(variations.size());
            slot->drawn.resize(variations.size());
            for (int stage = 0; stage < number_of_stages; ++stage)
                make_places(slot->taken[stage], foreseen[stage]);
            slot->ntuple.begin(ntuples, branches, number_of_stages);
            slots.push_back(std::move(slot));
        }
        if (once || !spills.empty())
            filter.emplace(n_slots, once);
        for (std::size_t i = 0; i + 1 < spills.size(); i += 2)
            filter->leave_out_spill(spills[i], spills[i + 1]);
        prepared = true;
    }

    // Nothing is known yet of the event that begins.
    void begin_event(Slot &slot) const {
        std::fill(slot.failed.begin(), slot.failed.end(), 0);
        std::fill(slot.drawn.begin(), slot.drawn.end(), 0);
    }

    // The work of a stage on an event; whether a later stage wants it.
    bool work(Slot &slot, Stage stage) {
        for (const auto &operation : operations[stage])
            perform(operation, slot);
        return wanted(slot, stage) && slot.sound.require(stage + 1, branches[stage + 1]);
    }

    void merge() {
        Slot &all = *slots.front();
        for (std::size_t i = 1; i < slots.size(); ++i) {
            const Slot &slot = *slots[i];
            for (std::size_t h = 0; h < histograms.size(); ++h)
                all.histograms[h].add(slot.histograms[h]);
            for (std::size_t t = 0; t < tables; ++t)
                all.tables[t].insert(all.tables[t].end(), slot.tables[t].begin(), slot.tables[t].end());
        }
        if (filter)
            excluded = {filter->duplicates(), filter->events_in_spills(), filter->weights_in_spills(),
                        filter->squares_in_spills()};
    }

  private:
    struct Possible {
        int node;
        std::size_t tally;
        std::uint64_t bits;
    };
    std::vector<int> awaited_[number_of_stages];       // nodes that later stages work on
    std::vector<Possible> possible_[number_of_stages]; // nodes that only a later stage knows

    void await(int stage, const Operation &operation) {
        if (operation.kind == Operation::passing)
            possible_[stage].push_back({operation.node, operation.tally, operation.bits});
        else if (operation.kind != Operation::fails && node_stages[operation.node] <= stage)
            awaited_[stage].push_back(operation.node);
    }

    static void make_places(Taken &taken, const std::vector<Foreseen> &branches) {
        taken.numbers.reserve(branches.size()); // places stay
        for (const auto &[size, present, absent] : branches) {
            if (size)
                taken.array = ROOT::RVecD(size);
            else
                taken.numbers.push_back(absent);
            if (present)
                taken.places.push_back(size ? taken.array.data() : &taken.numbers.back());
        }
    }

    int common_ancestor(int one, int other) const {
        while (one != other)
            (one > other ? one : other) = node_parents[std::max(one, other)];
        return one;
    }

    // An event that passes a node passes those before it, which say enough.
    std::vector<int> without_descendants(std::vector<int> nodes) const {
        std::sort(nodes.begin(), nodes.end());
        nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
        std::vector<int> first;
        for (const int node : nodes)
            if (std::none_of(first.begin(), first.end(),
                             [&](int other) { return common_ancestor(other, node) == other; }))
                first.push_back(node);
        return first;
    }

    // Varied columns are made just before what first takes them, of the events that all that take them share.
    void place_variations() {
        for (const auto &[variation, column, place] : varied_columns) {
            Operation made{Operation::vary, -1, place, {column}};
            made.variation = variation;
            int first_stage = -1;
            std::ptrdiff_t first = 0;
            for (int stage = 0; stage < number_of_stages; ++stage)
                for (auto it = operations[stage].begin(); it != operations[stage].end(); ++it)
                    if (it->takes(place)) {
                        made.node = first_stage < 0 ? it->node : common_ancestor(made.node, it->node);
                        if (first_stage < 0) {
                            first_stage = stage;
                            first = it - operations[stage].begin();
                        }
                    }
            if (first_stage >= 0)
                operations[first_stage].insert(operations[first_stage].begin() + first, std::move(made));
        }
    }

    double varied(const Operation &operation, Slot &slot) const {
        const auto number = static_cast<std::size_t>(operation.variation);
        const Variation &variation = variations[number];
        const double *values = slot.values.data();
        if (variation.smears() && !slot.drawn[number]) {
            slot.normals[number] = variation.normal(values);
            slot.drawn[number] = 1;
        }
        return variation.varied(operation.values.front(), values, slot.normals[number], slot.cells, balances,
                                cores);
    }

    bool wanted(const Slot &slot, Stage stage) const {
        for (const int node : awaited_[stage])
            if (slot.alive[node])
                return true;
        for (const auto &[node, tally, bits] : possible_[stage])
            if (slot.alive[node] && !(slot.failed[tally] & ~bits))
                return true;
        return false;
    }

    void perform(const Operation &operation, Slot &slot) {
        double *values = slot.values.data();
        const bool alive = slot.alive[operation.node];
        const auto &v = operation.values;
        switch (operation.kind) {
        case Operation::cut:
            slot.alive[operation.result] = alive && operation.predicate(values, operation.arguments(values));
            break;
        case Operation::without:
            slot.alive[operation.result] =
                alive && std::none_of(v.begin(), v.end(), [&](int node) { return slot.alive[node]; });
            break;
        case Operation::fails:
            if (alive && !operation.predicate(values, operation.arguments(values)))
                slot.failed[operation.tally] |= operation.bits;
            break;
        case Operation::passing:
            slot.alive[operation.result] = alive && !(slot.failed[operation.tally] & ~operation.bits);
            break;
        case Operation::compute:
            if (alive)
                values[operation.result] = computed(operation, values);
            break;
        case Operation::fill:
            if (alive) {
                Sums &sums = slot.histograms[operation.result];
                sums.fill(sums.bin(values, v), values[v.back()]);
            }
            break;
        case Operation::list:
            if (alive)
                for (const int column : v)
                    slot.tables[operation.result].push_back(values[column]);
            break;
        case Operation::vary:
            if (alive)
                values[operation.result] = varied(operation, slot);
            break;
        case Operation::record:
            if (alive)
                recorder->add(static_cast<std::uint32_t>(values[run_number]),
                              static_cast<std::uint32_t>(values[spill]),
                              static_cast<std::uint32_t>(values[spill_event]), values[v[0]] != 0.0,
                              values[v[1]], values[v[2]]);
            break;
        }
    }

    static double computed(const Operation &operation, const double *values) {
        if (operation.predicate)
            return operation.predicate(values, operation.arguments(values));
        double sum = 0.0;
        for (const int column : operation.values)
            sum += values[column];
        return sum;
    }
};

} // namespace na64root::rdf

#endif
