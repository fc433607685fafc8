#include "booking.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "ROOT/RDF/RActionImpl.hxx"
#include "ROOT/RDataFrame.hxx"
#include "TAxis.h"
#include "TChain.h"
#include "TFile.h"
#include "TH1D.h"
#include "TH2D.h"
#include "TKey.h"
#include "na64root/event_numbers.hpp"
#include "na64root/selection.hpp"
#include "sound_baskets.hpp"

namespace na64root::rdf {

namespace {

// Columns by the stage of the loop that first reads them. A stage is read only for events that something
// later still wants, so that expensive arrays stay packed where no event of a basket gets so far.
enum Stage { of_all, of_triggers, of_ecal_cells, of_beam, of_veto, of_rest, number_of_stages };

enum Column {
    run_number,
    weight,
    one,
    period,
    is_physics,
    is_trigger_physics,
    is_on_spill,
    is_calibration,
    ecal_total,
    hcal0,
    hcal1,
    hcal2,
    hcal_sum,
    ecal_no_time_cut,
    out_of_time,
    straw_x,
    straw_y,
    leading_cell,
    srd0,
    srd1,
    srd2,
    momentum,
    preshower,
    veto,
    r,
    shower_chi2,
    spill,
    spill_event,
    number_of_columns
};

struct Known {
    const char *name;
    Column column;
    Stage stage;
    const char *branch; // that it is made of, "" for none
};

constexpr Known known_columns[] = {
    {"run", run_number, of_all, "run"},
    {"na64_weight", weight, of_all, ""},
    {"na64_one", one, of_all, ""},
    {"na64_period", period, of_all, "run"},
    {"isPhysics", is_physics, of_all, "isPhysics"},
    {"isTriggerPhysics", is_trigger_physics, of_all, "isTriggerPhysics"},
    {"isOnSpill", is_on_spill, of_all, "isOnSpill"},
    {"isCalibration", is_calibration, of_all, "isCalibration"},
    {"ecalTotal", ecal_total, of_all, "ecalTotal"},
    {"hcal0", hcal0, of_all, "hcal0"},
    {"hcal1", hcal1, of_all, "hcal1"},
    {"hcal2", hcal2, of_all, "hcal2"},
    {"na64_hcal", hcal_sum, of_all, "hcal0"},
    {"ecalTotalNoTimecut", ecal_no_time_cut, of_triggers, "ecalTotalNoTimecut"},
    {"na64_out_of_time", out_of_time, of_triggers, "ecalTotalNoTimecut"},
    {"straw3X", straw_x, of_triggers, "straw3X"},
    {"straw3Y", straw_y, of_triggers, "straw3Y"},
    {"na64_leading_cell", leading_cell, of_ecal_cells, "ECAL_ene"},
    {"na64_srd0", srd0, of_beam, "SRD_ene"},
    {"na64_srd1", srd1, of_beam, "SRD_ene"},
    {"na64_srd2", srd2, of_beam, "SRD_ene"},
    {"trackMomentum", momentum, of_beam, "trackMomentum"},
    {"ecal0", preshower, of_beam, "ecal0"},
    {"na64_veto", veto, of_veto, "VETO_ene"},
    {"na64_r", r, of_rest, "HCAL_ene"},
    {"showerChi2", shower_chi2, of_rest, "showerChi2"},
    {"spill", spill, of_all, "spill"},
    {"spillevent", spill_event, of_all, "spillevent"},
};

using Predicate = bool (*)(const double *values, const int *arguments);

template <class To> To argument(double value) {
    if constexpr (std::is_same_v<To, bool>)
        return value != 0.0;
    else
        return static_cast<To>(value);
}

template <auto Function, class Signature = decltype(Function)> struct Call;
template <auto Function, class... Arguments> struct Call<Function, bool (*)(Arguments...)> {
    static constexpr std::size_t arity = sizeof...(Arguments);
    static bool call(const double *values, const int *arguments) {
        return call(values, arguments, std::index_sequence_for<Arguments...>{});
    }
    template <std::size_t... I>
    static bool call(const double *values, const int *arguments, std::index_sequence<I...>) {
        return Function(argument<Arguments>(values[arguments[I]])...);
    }
};

struct Compiled {
    Predicate call;
    std::size_t arity;
};

template <auto Function> constexpr Compiled compiled() {
    return {&Call<Function>::call, Call<Function>::arity};
}

const std::map<std::string, Compiled> &predicates() {
    static const std::map<std::string, Compiled> all = {
        {"in_run_period", compiled<&in_run_period>()},
        {"passes_trigger", compiled<&passes_trigger>()},
        {"passes_pile_up", compiled<&passes_pile_up>()},
        {"passes_straw", compiled<&passes_straw>()},
        {"passes_beam_cell", compiled<&passes_beam_cell>()},
        {"passes_srd", compiled<&passes_srd>()},
        {"passes_momentum", compiled<&passes_momentum>()},
        {"passes_preshower", compiled<&passes_preshower>()},
        {"passes_ecal", compiled<&passes_ecal>()},
        {"passes_veto", compiled<&passes_veto>()},
        {"passes_hcal_s1", compiled<&passes_hcal_s1>()},
        {"passes_hcal_s2", compiled<&passes_hcal_s2>()},
        {"passes_r", compiled<&passes_r>()},
        {"passes_shower_chi2", compiled<&passes_shower_chi2>()},
    };
    return all;
}

// A derived column as the stages make it: a function of columns. `take` keeps its numbers, or says no to
// them.
struct Definition {
    std::string column, function;
    std::vector<std::string> of;
    bool (*take)(Settings &settings, const std::vector<double> &numbers);
};

const std::vector<Definition> &definitions() {
    using Numbers = std::vector<double>;
    const auto none = [](Settings &, const Numbers &numbers) { return numbers.empty(); };
    const auto is_one = [](Settings &, const Numbers &numbers) { return numbers == Numbers{1.0}; };
    static const std::vector<Definition> all = {
        {"na64_weight",
         "sum",
         {"mcWeight"},
         [](Settings &settings, const Numbers &numbers) {
             settings.weighted = true;
             return numbers.empty();
         }},
        {"na64_weight", "constant", {}, is_one},
        {"na64_one", "constant", {}, is_one},
        {"na64_period",
         "run_period",
         {"run"},
         [](Settings &settings, const Numbers &numbers) {
             settings.ranges.assign(numbers.begin(), numbers.end());
             return numbers.size() % 2 == 0;
         }},
        {"na64_hcal", "sum", {"hcal0", "hcal1", "hcal2"}, none},
        {"na64_out_of_time", "out_of_time_energy", {"ecalTotalNoTimecut", "ecalTotal"}, none},
        {"na64_leading_cell", "leading_ecal_cell", {"ECAL_ene"}, none},
        {"na64_srd0", "sum", {"SRD_ene[0]"}, none},
        {"na64_srd1", "sum", {"SRD_ene[1]"}, none},
        {"na64_srd2", "sum", {"SRD_ene[2]"}, none},
        {"na64_veto",
         "veto_energy",
         {"VETO_ene"},
         [](Settings &settings, const Numbers &numbers) {
             settings.photomultiplier_balance = numbers.empty() ? 0.0 : numbers.front();
             return numbers.size() == 1;
         }},
        {"na64_r",
         "hcal_r_in_period",
         {"HCAL_ene", "na64_period"},
         [](Settings &settings, const Numbers &numbers) {
             settings.cores.assign(numbers.begin(), numbers.end());
             return !numbers.empty() && numbers.size() % hcal_modules_behind_ecal == 0;
         }},
    };
    return all;
}

// What is done with an event of a node, in the order of booking.
struct Operation {
    enum Kind { cut, fill, list } kind;
    int node;   // the node before a cut
    int result; // node after a cut, number of a histogram or table
    std::vector<int> values;
    Predicate predicate = nullptr;
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
    std::vector<double> values; // columns, then the numbers in arguments of cuts
    std::vector<char> alive;    // whether the event passed the cuts up to a node
    std::vector<Sums> histograms;
    std::vector<std::vector<double>> tables;
    std::atomic<unsigned long> done{0};
    SoundBaskets sound;
};

} // namespace

// What is booked, and the events at work, one in each slot.
struct State {
    std::unique_ptr<TChain> chain; // of a TTree, null for an RNTuple
    std::vector<RunRange> ranges;
    double balance = 0.0;
    std::vector<HcalCore> cores;
    bool once = false;
    std::vector<unsigned> spills; // run and spill of each that is left out
    std::optional<EventFilter> filter;
    Excluded excluded;

    std::vector<double> values; // numbers in arguments of cuts, behind the columns
    std::vector<Stage> node_stages{of_all};
    std::vector<Operation> operations[number_of_stages];
    std::vector<int> awaited[number_of_stages]; // nodes that later stages work on
    std::vector<Sums> histograms;               // empty ones
    std::size_t tables = 0;
    std::vector<std::string> branches[number_of_stages]; // that a stage reads
    std::vector<std::unique_ptr<Slot>> slots;
    std::atomic<bool> prepared{false};

    void prepare(unsigned n_slots) {
        for (int stage = 0; stage < number_of_stages; ++stage)
            for (int later = stage + 1; later < number_of_stages; ++later)
                for (const auto &operation : operations[later])
                    if (node_stages[operation.node] <= stage)
                        awaited[stage].push_back(operation.node);
        for (unsigned i = 0; i < n_slots; ++i) {
            auto slot = std::make_unique<Slot>();
            slot->values = values;
            slot->alive.assign(node_stages.size(), 1);
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
    bool work(Slot &slot, Stage stage) const {
        const double *values = slot.values.data();
        for (const auto &operation : operations[stage]) {
            const bool alive = slot.alive[operation.node];
            const auto &v = operation.values;
            if (operation.kind == Operation::cut)
                slot.alive[operation.result] = alive && operation.predicate(values, v.data());
            else if (!alive)
                continue;
            else if (operation.kind == Operation::fill) {
                Sums &sums = slot.histograms[operation.result];
                sums.fill(sums.bin(values, v), values[v.back()]);
            } else
                for (const int column : v)
                    slot.tables[operation.result].push_back(values[column]);
        }
        for (const int node : awaited[stage])
            if (slot.alive[node])
                return slot.sound.require(stage + 1, branches[stage + 1]);
        return false;
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
};

namespace {

// Before anything of an event is read.
struct Begin {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number) const {
        SoundBaskets &sound = state->slots[slot_number]->sound;
        return sound.next_event() && sound.require(of_all, state->branches[of_all]);
    }
};

struct OfAll {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, std::uint32_t run, std::uint32_t spill_number,
                    std::uint32_t number_in_spill, double event_weight, bool physics, bool trigger_physics,
                    bool on_spill, bool calibration, double ecal, double h0, double h1, double h2) const {
        Slot &slot = *state->slots[slot_number];
        slot.done.store(slot.done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        if (state->filter &&
            !state->filter->keep(slot_number, run, spill_number, number_in_spill, event_weight))
            return false;
        double *values = slot.values.data();
        values[run_number] = run;
        values[spill] = spill_number;
        values[spill_event] = number_in_spill;
        values[weight] = event_weight;
        values[one] = 1.0;
        values[period] = run_period(run, state->ranges);
        values[is_physics] = physics;
        values[is_trigger_physics] = trigger_physics;
        values[is_on_spill] = on_spill;
        values[is_calibration] = calibration;
        values[ecal_total] = ecal;
        values[hcal0] = h0;
        values[hcal1] = h1;
        values[hcal2] = h2;
        values[hcal_sum] = h0 + h1 + h2;
        return state->work(slot, of_all);
    }
};

template <class Hits> struct OfTriggers {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, double no_time_cut, Hits x, Hits y) const {
        Slot &slot = *state->slots[slot_number];
        double *values = slot.values.data();
        values[ecal_no_time_cut] = no_time_cut;
        values[out_of_time] = out_of_time_energy(no_time_cut, values[ecal_total]);
        values[straw_x] = x;
        values[straw_y] = y;
        return state->work(slot, of_triggers);
    }
};

struct OfEcalCells {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, const ROOT::RVecD &energies) const {
        Slot &slot = *state->slots[slot_number];
        slot.values[leading_cell] = leading_ecal_cell(energies);
        return state->work(slot, of_ecal_cells);
    }
};

struct OfBeam {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, const ROOT::RVecD &srd, double track, double before_ecal) const {
        Slot &slot = *state->slots[slot_number];
        double *values = slot.values.data();
        values[srd0] = srd[0];
        values[srd1] = srd[1];
        values[srd2] = srd[2];
        values[momentum] = track;
        values[preshower] = before_ecal;
        return state->work(slot, of_beam);
    }
};

struct OfVeto {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, const ROOT::RVecD &photomultipliers) const {
        Slot &slot = *state->slots[slot_number];
        slot.values[veto] = veto_energy(photomultipliers, state->balance);
        return state->work(slot, of_veto);
    }
};

// The last stage is the action: it makes the loop ask for all those before it.
class OfRest : public ROOT::Detail::RDF::RActionImpl<OfRest> {
  public:
    using Result_t = int;

    explicit OfRest(std::shared_ptr<State> state) : state_(std::move(state)) {}
    OfRest(OfRest &&) = default;
    OfRest(const OfRest &) = delete;

    std::shared_ptr<int> GetResultPtr() const { return result_; }
    void Initialize() {}
    void InitTask(TTreeReader *reader, unsigned slot_number) {
        state_->slots[slot_number]->sound.begin(reader, state_->chain.get());
    }
    void Exec(unsigned slot_number, const ROOT::RVecD &hcal, double chi2) {
        Slot &slot = *state_->slots[slot_number];
        double *values = slot.values.data();
        values[r] = hcal_r_in_period(hcal, values[period], state_->cores);
        values[shower_chi2] = chi2;
        state_->work(slot, of_rest);
    }
    void Finalize() { state_->merge(); }
    std::string GetActionName() { return "na64root selection"; }

  private:
    std::shared_ptr<State> state_;
    std::shared_ptr<int> result_ = std::make_shared<int>();
};

using Node = ROOT::RDF::RNode;

template <class From, class To> void convert(Node &node, const std::string &from, const std::string &to) {
    if constexpr (std::is_arithmetic_v<From>)
        node = node.Define(to, [](From value) { return argument<To>(value); }, {from});
    else
        node = node.Define(to, [](const From &values) { return To(values.begin(), values.end()); }, {from});
}

template <class To> void constant(Node &node, const std::string &name, To value) {
    node = node.Define(name, [value] { return value; });
}

const std::map<std::string, std::string> plain_types = {
    {"Double_t", "double"},
    {"Float_t", "float"},
    {"Int_t", "int"},
    {"UInt_t", "unsigned int"},
    {"std::uint32_t", "unsigned int"},
    {"std::int32_t", "int"},
    {"Bool_t", "bool"},
    {"UChar_t", "unsigned char"},
    {"std::uint8_t", "unsigned char"},
};

// Element type of a column, plain and with whether it is an array.
std::pair<std::string, bool> type_of(Node &node, const std::string &column) {
    std::string type = node.GetColumnType(column);
    bool array = false;
    for (const std::string prefix : {"ROOT::VecOps::RVec<", "ROOT::RVec<"})
        if (type.rfind(prefix, 0) == 0) {
            type = type.substr(prefix.size(), type.size() - prefix.size() - 1);
            array = true;
        }
    const auto plain = plain_types.find(type);
    return {plain == plain_types.end() ? type : plain->second, array};
}

// What a branch may be, by its type: as it is, or how it becomes a column of the type that a stage takes.
using Convert = void (*)(Node &node, const std::string &from, const std::string &to);
struct Accepted {
    bool array;
    std::map<std::string, Convert> types;
};

const Accepted number{false,
                      {{"double", nullptr},
                       {"float", &convert<float, double>},
                       {"int", &convert<int, double>},
                       {"unsigned int", &convert<unsigned, double>}}};
const Accepted flag{
    false,
    {{"bool", nullptr}, {"unsigned char", &convert<unsigned char, bool>}, {"int", &convert<int, bool>}}};
const Accepted whole{false, {{"unsigned int", nullptr}, {"int", &convert<int, std::uint32_t>}}};
const Accepted energies{true, {{"double", nullptr}, {"float", &convert<ROOT::RVecF, ROOT::RVecD>}}};

// Name of a column with the values of a branch, of the type wanted; none where a type is not foreseen.
std::optional<std::string> column_of(Node &node, const Accepted &accepted, const std::string &branch) {
    const auto [type, array] = type_of(node, branch);
    const auto found = accepted.types.find(type);
    if (array != accepted.array || found == accepted.types.end())
        return std::nullopt;
    if (!found->second)
        return branch;
    const std::string made = "na64_compiled_" + branch;
    found->second(node, branch, made);
    return made;
}

} // namespace

class Graph {
  public:
    Graph(const std::string &tree, const std::vector<std::string> &files,
          const std::vector<std::string> &present, const Settings &settings)
        : state_(std::make_shared<State>()), node_(frame(*state_, tree, files)),
          present_(present.begin(), present.end()) {
        State &state = *state_;
        for (std::size_t i = 0; i + 1 < settings.ranges.size(); i += 2)
            state.ranges.push_back({settings.ranges[i], settings.ranges[i + 1]});
        state.balance = settings.photomultiplier_balance;
        state.once = settings.once;
        state.spills = settings.spills;
        for (std::size_t i = 0; i + hcal_modules_behind_ecal <= settings.cores.size();
             i += hcal_modules_behind_ecal) {
            HcalCore core;
            for (int module = 0; module < hcal_modules_behind_ecal; ++module)
                core[module] = static_cast<std::uint16_t>(settings.cores[i + module]);
            state.cores.push_back(core);
        }
        if (state.cores.empty())
            state.cores.push_back({});
        state.values.assign(number_of_columns, 0.0);
        if (!settings.weighted)
            present_.erase("mcWeight");
    }

    // False where a branch is of another type than foreseen.
    bool bind() {
        bool bound =
            columns(of_all, {"run", "spill", "spillevent"}, whole, 0u) &&
            columns(of_all, {"mcWeight"}, number, 1.0) &&
            columns(of_all, {"isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"}, flag, false) &&
            columns(of_all, {"ecalTotal", "hcal0", "hcal1", "hcal2"}, number, 0.0) &&
            columns(of_triggers, {"ecalTotalNoTimecut"}, number, 0.0) && straws();
        bound = bound && array(of_ecal_cells, "ECAL_ene", 2 * ecal_cells_per_side * ecal_cells_per_side);
        bound = bound && array(of_beam, "SRD_ene", 4) &&
                columns(of_beam, {"trackMomentum", "ecal0"}, number, 0.0);
        bound = bound && array(of_veto, "VETO_ene", 6);
        return bound && array(of_rest, "HCAL_ene", 4 * hcal_cells_per_side * hcal_cells_per_side) &&
               columns(of_rest, {"showerChi2"}, number, 0.0);
    }

    int filter(int node, const std::string &predicate, const std::vector<std::string> &columns,
               const std::vector<double> &numbers) {
        const auto found = predicates().find(predicate);
        if (found == predicates().end() || found->second.arity != columns.size() + numbers.size())
            return -1;
        Operation operation{Operation::cut, node, static_cast<int>(state_->node_stages.size()), {}};
        operation.predicate = found->second.call;
        const auto stage = take(operation, columns);
        if (!stage)
            return -1;
        for (const double number : numbers) {
            state_->values.push_back(number);
            operation.values.push_back(static_cast<int>(state_->values.size()) - 1);
        }
        state_->node_stages.push_back(*stage);
        return book(*stage, std::move(operation));
    }

    int histogram(int node, const std::vector<std::string> &names, std::shared_ptr<const TAxis> x,
                  std::shared_ptr<const TAxis> y = nullptr) {
        state_->histograms.emplace_back(std::move(x), std::move(y));
        return fill(Operation::fill, node, static_cast<int>(state_->histograms.size()) - 1, names);
    }

    int table(int node, const std::vector<std::string> &names) {
        return fill(Operation::list, node, static_cast<int>(state_->tables++), names);
    }

    void run() {
        state_->prepare(node_.GetNSlots());
        Node node = node_.Filter(Begin{state_}, {"rdfslot_"});
        node = node.Filter(OfAll{state_}, inputs_[of_all]);
        if (whole_hits_)
            node = node.Filter(OfTriggers<int>{state_}, inputs_[of_triggers]);
        else
            node = node.Filter(OfTriggers<double>{state_}, inputs_[of_triggers]);
        node = node.Filter(OfEcalCells{state_}, inputs_[of_ecal_cells]);
        node = node.Filter(OfBeam{state_}, inputs_[of_beam]);
        node = node.Filter(OfVeto{state_}, inputs_[of_veto]);
        auto done = node.Book<ROOT::RVecD, double>(OfRest{state_}, inputs_[of_rest]);
        done.GetValue();
        for (const auto &slot : state_->slots)
            if (!slot->sound.failure().empty())
                throw std::runtime_error(slot->sound.failure());
    }

    unsigned loops() const { return node_.GetNRuns(); }
    const State &state() const { return *state_; }

    // Filled histograms, made when they are asked for.
    TH1D *histogram1(int number) {
        const Sums &sums = state_->slots.front()->histograms[number];
        auto &made = histograms1_[number];
        if (!made) {
            made = std::make_unique<TH1D>("", "", sums.x->GetNbins(), sums.x->GetXmin(), sums.x->GetXmax());
            made->SetDirectory(nullptr);
            sums.copy_to(*made);
        }
        return made.get();
    }

    TH2D *histogram2(int number) {
        const Sums &sums = state_->slots.front()->histograms[number];
        auto &made = histograms2_[number];
        if (!made) {
            made = std::make_unique<TH2D>("", "", sums.x->GetNbins(), sums.x->GetXmin(), sums.x->GetXmax(),
                                          sums.y->GetNbins(), sums.y->GetXmin(), sums.y->GetXmax());
            made->SetDirectory(nullptr);
            sums.copy_to(*made);
        }
        return made.get();
    }

  private:
    // With a chain of its own, so that baskets can be looked at in the tree that is read.
    static Node frame(State &state, const std::string &tree, const std::vector<std::string> &files) {
        const std::unique_ptr<TFile> file(TFile::Open(files.at(0).c_str()));
        const TKey *key = file ? file->GetKey(tree.c_str()) : nullptr;
        if (!key || std::string(key->GetClassName()) == "ROOT::RNTuple")
            return ROOT::RDataFrame(tree, files);
        state.chain = std::make_unique<TChain>(tree.c_str());
        for (const auto &name : files)
            state.chain->Add(name.c_str());
        return ROOT::RDataFrame(*state.chain);
    }

    const Known *find(const std::string &name) const {
        for (const Known &column : known_columns)
            if (name == column.name && (!*column.branch || present_.count(column.branch)))
                return &column;
        return nullptr;
    }

    int book(Stage stage, Operation operation) {
        const int result = operation.result;
        state_->operations[stage].push_back(std::move(operation));
        return result;
    }

    // The stage that has all columns that an operation takes; none where one is not known.
    std::optional<Stage> take(Operation &operation, const std::vector<std::string> &names) const {
        Stage stage = state_->node_stages[operation.node];
        for (const auto &name : names) {
            const Known *column = find(name);
            if (!column)
                return std::nullopt;
            operation.values.push_back(column->column);
            stage = std::max(stage, column->stage);
        }
        return stage;
    }

    int fill(Operation::Kind kind, int node, int result, const std::vector<std::string> &names) {
        Operation operation{kind, node, result, {}};
        const auto stage = take(operation, names);
        return stage ? book(*stage, std::move(operation)) : -1;
    }

    template <class Value>
    bool columns(Stage stage, std::initializer_list<const char *> branches, const Accepted &accepted,
                 Value absent) {
        for (const std::string branch : branches) {
            if (!add(stage, branch, accepted, absent))
                return false;
        }
        return true;
    }

    // Whole numbers as a rule: read as they are, without a column between.
    bool straws() {
        const auto is_int = [this](const char *branch) {
            return present_.count(branch) &&
                   type_of(node_, branch) == std::pair<std::string, bool>{"int", false};
        };
        whole_hits_ = is_int("straw3X") && is_int("straw3Y");
        if (!whole_hits_)
            return columns(of_triggers, {"straw3X", "straw3Y"}, number, 0.0);
        for (const char *branch : {"straw3X", "straw3Y"}) {
            inputs_[of_triggers].push_back(branch);
            state_->branches[of_triggers].push_back(branch);
        }
        return true;
    }

    bool array(Stage stage, const std::string &branch, std::size_t size) {
        return add(stage, branch, energies, ROOT::RVecD(size));
    }

    template <class Value>
    bool add(Stage stage, const std::string &branch, const Accepted &accepted, const Value &absent) {
        auto &names = inputs_[stage];
        if (names.empty() && stage != of_rest) // an action is told its slot
            names.push_back("rdfslot_");
        if (present_.count(branch)) {
            const auto column = column_of(node_, accepted, branch);
            if (!column)
                return false;
            names.push_back(*column);
            state_->branches[stage].push_back(branch);
        } else {
            names.push_back("na64_absent_" + branch);
            constant(node_, names.back(), absent);
        }
        return true;
    }

    std::shared_ptr<State> state_;
    Node node_;
    std::set<std::string> present_;
    std::vector<std::string> inputs_[number_of_stages];
    bool whole_hits_ = false;
    std::map<int, std::unique_ptr<TH1D>> histograms1_;
    std::map<int, std::unique_ptr<TH2D>> histograms2_;
};

Graph *open(const std::string &tree, const std::vector<std::string> &files,
            const std::vector<std::string> &present, const Settings &settings) {
    auto graph = std::make_unique<Graph>(tree, files, present, settings);
    return graph->bind() ? graph.release() : nullptr;
}

void close(Graph *graph) {
    delete graph;
}

bool define(Settings &settings, const std::string &column, const std::string &function,
            const std::vector<std::string> &of, const std::vector<double> &numbers) {
    return std::any_of(definitions().begin(), definitions().end(), [&](const Definition &known) {
        return known.column == column && known.function == function && known.of == of &&
               known.take(settings, numbers);
    });
}

int filter(Graph &graph, int node, const std::string &predicate, const std::vector<std::string> &columns,
           const std::vector<double> &numbers) {
    return graph.filter(node, predicate, columns, numbers);
}

int histogram(Graph &graph, int node, const std::string &x, const std::string &weight, int bins, double low,
              double high) {
    return graph.histogram(node, {x, weight}, std::make_shared<TAxis>(bins, low, high));
}

int histogram(Graph &graph, int node, const std::string &x, const std::string &y, const std::string &weight,
              int x_bins, double x_low, double x_high, int y_bins, double y_low, double y_high) {
    return graph.histogram(node, {x, y, weight}, std::make_shared<TAxis>(x_bins, x_low, x_high),
                           std::make_shared<TAxis>(y_bins, y_low, y_high));
}

int table(Graph &graph, int node, const std::vector<std::string> &columns) {
    return graph.table(node, columns);
}

void run(Graph &graph) {
    graph.run();
}

unsigned loops(const Graph &graph) {
    return graph.loops();
}

unsigned long events_done(const Graph &graph) {
    unsigned long done = 0;
    if (!graph.state().prepared)
        return 0;
    for (const auto &slot : graph.state().slots)
        done += slot->done.load(std::memory_order_relaxed);
    return done;
}

const Excluded &excluded(const Graph &graph) {
    return graph.state().excluded;
}

TH1D *histogram1(Graph &graph, int number) {
    return graph.histogram1(number);
}

TH2D *histogram2(Graph &graph, int number) {
    return graph.histogram2(number);
}

const std::vector<double> &rows(const Graph &graph, int table) {
    return graph.state().slots.front()->tables[table];
}

} // namespace na64root::rdf
