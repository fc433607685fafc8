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
#include "sound_baskets.hpp"

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
        record   // the sums of a spill
    } kind;
    int node;
    int result = 0;          // number of the node, column, histogram or table
    std::vector<int> values; // columns and numbers that it takes; nodes of `without`
    Predicate predicate = nullptr;
    std::vector<std::vector<int>> in_period{}; // `values` of each run period, where they are not the same
    std::size_t tally = 0;
    std::uint64_t bits = 0; // that `fails` sets, that `passing` lets pass

    const int *arguments(const double *event) const {
        if (in_period.empty())
            return values.data();
        // Events outside of all periods are in no count: any will do.
        const auto index = static_cast<std::size_t>(event[period]);
        return in_period[std::min(index, in_period.size() - 1)].data();
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

struct alignas(64) Slot {
    std::vector<double> values;        // columns, then numbers that cuts take and columns that are computed
    std::vector<char> alive;           // whether the event passed the cuts up to a node
    std::vector<std::uint64_t> failed; // of each tally
    std::vector<Sums> histograms;
    std::vector<std::vector<double>> tables;
    std::atomic<unsigned long> done{0};
    SoundBaskets sound;
};

// What is booked, and the events at work, one in each slot.
struct State {
    std::unique_ptr<TChain> chain; // of a TTree, null for an RNTuple
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
    std::vector<Tally> tallies;
    std::vector<Operation> operations[number_of_stages];
    std::vector<Sums> histograms; // empty ones
    std::size_t tables = 0;
    std::vector<std::string> branches[number_of_stages]; // that a stage reads
    std::vector<std::unique_ptr<Slot>> slots;
    std::atomic<bool> prepared{false};

    void prepare(unsigned n_slots) {
        for (int stage = 0; stage < number_of_stages; ++stage)
            for (int later = stage + 1; later < number_of_stages; ++later)
                for (const auto &operation : operations[later])
                    await(stage, operation);
        for (unsigned i = 0; i < n_slots; ++i) {
            auto slot = std::make_unique<Slot>();
            slot->values = values;
            slot->alive.assign(node_stages.size(), 1);
            slot->failed.assign(tallies.size(), 0);
            slot->histograms = histograms;
            slot->tables.resize(tables);
            slots.push_back(std::move(slot));
        }
        if (once || !spills.empty())
            filter.emplace(n_slots, once);
        for (std::size_t i = 0; i + 1 < spills.size(); i += 2)
            filter->leave_out_spill(spills[i], spills[i + 1]);
        prepared = true;
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
