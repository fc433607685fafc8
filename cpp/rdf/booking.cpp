#include "booking.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "ROOT/RDF/RActionImpl.hxx"
#include "ROOT/RDataFrame.hxx"
#include "TChain.h"
#include "TFile.h"
#include "TH1D.h"
#include "TH2D.h"
#include "TKey.h"
#include "event_columns.hpp"
#include "event_state.hpp"
#include "na64root/selection.hpp"

namespace na64root::rdf {

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
        values[period] = state->good.empty()
                             ? run_period(run, state->ranges)
                             : good_run_period(run, spill_number, state->ranges, state->good, state->periods);
        values[is_physics] = physics;
        values[is_trigger_physics] = trigger_physics;
        values[is_on_spill] = on_spill;
        values[is_calibration] = calibration;
        values[ecal_total] = ecal;
        values[hcal0] = h0;
        values[hcal1] = h1;
        values[hcal2] = h2;
        values[hcal_sum] = h0 + h1 + h2;
        state->begin_event(slot);
        return state->work(slot, of_all);
    }
};

struct OfTriggers {
    std::shared_ptr<State> state;
    bool operator()(unsigned slot_number, double no_time_cut, double x, double y) const {
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
        slot.cells.ecal = &energies;
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
        slot.cells.veto = &photomultipliers;
        const auto index = static_cast<std::size_t>(slot.values[period]);
        const auto &balances = state->balances;
        slot.values[veto] = veto_energy(photomultipliers, balances[std::min(index, balances.size() - 1)]);
        return state->work(slot, of_veto);
    }
};

struct OfRest {
    std::shared_ptr<State> state;
    void operator()(unsigned slot_number, const ROOT::RVecD &hcal, double chi2) const {
        Slot &slot = *state->slots[slot_number];
        double *values = slot.values.data();
        slot.cells.hcal = &hcal;
        values[r] = hcal_r_in_period(hcal, values[period], state->cores);
        values[r12] = hcal_r12_in_period(hcal, values[period], state->cores);
        values[hcal1_centre] = hcal[4];
        values[hcal2_centre] = hcal[13];
        values[shower_chi2] = chi2;
        state->work(slot, of_rest);
    }
};

// All stages on events that are read in the baskets of a TTree or the pages of an RNTuple; RDataFrame says
// only which entries.
template <bool is_tree> class OfEvents : public ROOT::Detail::RDF::RActionImpl<OfEvents<is_tree>> {
  public:
    using Result_t = int;

    explicit OfEvents(const std::shared_ptr<State> &state)
        : begin_{state}, all_{state}, triggers_{state}, ecal_cells_{state}, beam_{state}, veto_{state},
          rest_{state} {}
    OfEvents(OfEvents &&) = default;
    OfEvents(const OfEvents &) = delete;

    std::shared_ptr<int> GetResultPtr() const { return result_; }
    void Initialize() {}
    void InitTask(TTreeReader *reader, unsigned slot_number) {
        begin_.state->slots[slot_number]->sound.begin(reader, begin_.state->chain.get());
    }
    void Exec(unsigned slot_number, ULong64_t entry) { // of an RNTuple
        Slot &slot = *begin_.state->slots[slot_number];
        if constexpr (is_tree) {
            if (!begin_(slot_number))
                return;
        } else {
            slot.ntuple.at(entry);
        }
        const auto of = [&](Stage stage) -> const Taken & {
            Taken &taken = slot.taken[stage];
            if constexpr (is_tree)
                slot.sound.read(stage, taken.places);
            else
                slot.ntuple.read(stage, taken.places);
            return taken;
        };
        const auto whole = [](double number) { // a negative one wraps, as from an integer
            return static_cast<std::uint32_t>(static_cast<std::int64_t>(number));
        };
        const auto &all = of(of_all).numbers;
        if (!all_(slot_number, whole(all[0]), whole(all[1]), whole(all[2]), all[3], all[4] != 0.0,
                  all[5] != 0.0, all[6] != 0.0, all[7] != 0.0, all[8], all[9], all[10], all[11]))
            return;
        const auto &triggers = of(of_triggers).numbers;
        if (!triggers_(slot_number, triggers[0], triggers[1], triggers[2]) ||
            !ecal_cells_(slot_number, of(of_ecal_cells).array))
            return;
        const Taken &beam = of(of_beam);
        if (!beam_(slot_number, beam.array, beam.numbers[0], beam.numbers[1]) ||
            !veto_(slot_number, of(of_veto).array))
            return;
        const Taken &rest = of(of_rest);
        rest_(slot_number, rest.array, rest.numbers[0]);
    }
    void Finalize() { begin_.state->merge(); }
    std::string GetActionName() { return "na64root selection"; }

  private:
    Begin begin_;
    OfAll all_;
    OfTriggers triggers_;
    OfEcalCells ecal_cells_;
    OfBeam beam_;
    OfVeto veto_;
    OfRest rest_;
    std::shared_ptr<int> result_ = std::make_shared<int>();
};

using Node = ROOT::RDF::RNode;

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

// What a branch may be, by its type.
struct Accepted {
    bool array;
    std::set<std::string> types;
};

const Accepted number{false, {"double", "float", "int", "unsigned int"}};
const Accepted flag{false, {"bool", "unsigned char", "int"}};
const Accepted whole{false, {"unsigned int", "int"}};
const Accepted energies{true, {"double", "float"}};

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
        for (std::size_t i = 0; i + 3 < settings.good.size(); i += 4)
            state.good.push_back(
                {settings.good[i], settings.good[i + 1], settings.good[i + 2], settings.good[i + 3]});
        state.periods = settings.periods;
        state.balances = settings.photomultiplier_balances;
        if (state.balances.empty())
            state.balances.push_back(0.0);
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
        return numbers(of_all, {"run", "spill", "spillevent"}, whole) &&
               numbers(of_all, {"mcWeight"}, number, 1.0) &&
               numbers(of_all, {"isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"}, flag) &&
               numbers(of_all, {"ecalTotal", "hcal0", "hcal1", "hcal2"}, number) &&
               numbers(of_triggers, {"ecalTotalNoTimecut", "straw3X", "straw3Y"}, number) &&
               add(of_ecal_cells, "ECAL_ene", energies, 2 * ecal_cells_per_side * ecal_cells_per_side) &&
               add(of_beam, "SRD_ene", energies, 4) && numbers(of_beam, {"trackMomentum", "ecal0"}, number) &&
               add(of_veto, "VETO_ene", energies, 6) &&
               add(of_rest, "HCAL_ene", energies, 4 * hcal_cells_per_side * hcal_cells_per_side) &&
               numbers(of_rest, {"showerChi2"}, number) && (state_->chain || has_plain_columns());
    }

    int filter(int node, const std::string &predicate, const std::vector<std::string> &columns,
               const std::vector<double> &numbers) {
        Operation operation{Operation::cut, node};
        const auto stage = call(operation, predicate, columns, numbers);
        return stage ? make_node(*stage, std::move(operation)) : -1;
    }

    int without(int node, const std::vector<int> &others) {
        Operation operation{Operation::without, node};
        operation.values = others;
        Stage stage = state_->node_stages[node];
        for (const int other : others)
            stage = std::max(stage, state_->node_stages[other]);
        return make_node(stage, std::move(operation));
    }

    int tally(int node) {
        state_->tallies.push_back({node, {}});
        return static_cast<int>(state_->tallies.size()) - 1;
    }

    int fails(int tally, const std::string &predicate, const std::vector<std::string> &columns,
              const std::vector<double> &numbers) {
        Tally &tallied = state_->tallies[tally];
        Operation operation{Operation::fails, tallied.node};
        const auto stage = call(operation, predicate, columns, numbers);
        if (!stage)
            return -1;
        operation.result = static_cast<int>(tallied.stages.size());
        operation.tally = tally;
        operation.bits = std::uint64_t{1} << operation.result;
        tallied.stages.push_back(*stage);
        return book(*stage, std::move(operation));
    }

    int passing(int tally, std::uint64_t but) {
        const Tally &tallied = state_->tallies[tally];
        Operation operation{Operation::passing, tallied.node};
        operation.tally = tally;
        operation.bits = but;
        Stage stage = state_->node_stages[tallied.node];
        for (std::size_t bit = 0; bit < tallied.stages.size(); ++bit)
            if (!(but >> bit & 1))
                stage = std::max(stage, tallied.stages[bit]);
        return make_node(stage, std::move(operation));
    }

    bool compute(int node, const std::string &name, const std::string &function,
                 const std::vector<std::string> &columns, const std::vector<double> &numbers) {
        Operation operation{Operation::compute, node};
        const auto stage = function == "sum" && numbers.empty() ? take(operation, columns)
                                                                : call(operation, function, columns, numbers);
        if (!stage || computed_.count(name))
            return false;
        operation.result = place(0.0);
        computed_[name] = {operation.result, *stage};
        book(*stage, std::move(operation));
        return true;
    }

    bool record(int node, const std::string &trigger, const std::string &ecal, const std::string &hcal,
                double ecal_below, double hcal_below, bool once) {
        Operation operation{Operation::record, node};
        Stage stage = state_->node_stages[node];
        for (const auto &[name, unknown] : {std::pair{trigger, 1.0}, {ecal, undefined}, {hcal, undefined}}) {
            const auto column = name.empty() ? std::nullopt : find(name);
            if (!name.empty() && !column)
                return false;
            operation.values.push_back(column ? column->place : place(unknown));
            if (column)
                stage = std::max(stage, column->stage);
        }
        state_->recorder.emplace(ecal_below, hcal_below, once);
        book(stage, std::move(operation));
        return true;
    }

    int histogram(int node, const std::vector<std::string> &names, std::shared_ptr<const TAxis> x,
                  std::shared_ptr<const TAxis> y = nullptr) {
        Operation operation{Operation::fill, node};
        const auto stage = take(operation, names);
        return stage ? fill(*stage, std::move(operation), std::move(x), std::move(y)) : -1;
    }

    // Direction by direction of a source; -1 for what was not compiled.
    int vary(const std::string &kind, double size, std::uint64_t seed, std::uint32_t source,
             const std::vector<std::string> &columns) {
        const auto known = Variation::kind(kind);
        if (!known)
            return -1;
        Variation variation(*known, size, seed, source);
        for (const auto &name : columns) {
            const auto type = types_.find(name);
            const bool is_branch = type != types_.end();
            if ((is_branch && type->second != "double" && type->second != "float") ||
                !variation.change(name, is_branch && type->second == "float"))
                return -1;
        }
        if (variation.is_ambiguous())
            return -1;
        state_->variations.push_back(variation);
        return static_cast<int>(state_->variations.size()) - 1;
    }

    // The node under a variation: itself where that changes nothing of it, -1 where that was not compiled.
    int varied(int variation, int node) {
        if (node == 0)
            return node;
        const auto [made, is_new] = varied_nodes_.try_emplace({variation, node}, -1);
        if (is_new) {
            Operation operation = nodes_[node - 1];
            if (operation.kind == Operation::cut) {
                const auto changed = vary(operation, variation);
                // Iterators stay; what follows adds nodes only.
                if (changed)
                    made->second =
                        *changed ? make_node(state_->node_stages[node], std::move(operation)) : node;
            }
        }
        return made->second;
    }

    // Likewise of a histogram.
    int varied_histogram(int variation, int number) {
        const auto &[stage, nominal] = fills_[number];
        Operation operation = nominal;
        const auto changed = vary(operation, variation);
        if (!changed)
            return -1;
        if (!*changed)
            return number;
        const Sums &sums = state_->histograms[number];
        return fill(stage, std::move(operation), sums.x, sums.y);
    }

    int table(int node, const std::vector<std::string> &names) {
        Operation operation{Operation::list, node};
        operation.result = static_cast<int>(state_->tables++);
        const auto stage = take(operation, names);
        return stage ? book(*stage, std::move(operation)) : -1;
    }

    void run() {
        state_->prepare(node_.GetNSlots());
        state_->chain ? read_events<true>() : read_events<false>();
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
    // Also in a folder of the file.
    static bool is_rntuple(const std::string &tree, const std::string &path) {
        const std::unique_ptr<TFile> file(TFile::Open(path.c_str()));
        if (!file)
            return false;
        const TKey *key = file->GetKey(tree.c_str());
        const auto slash = tree.rfind('/');
        if (!key && slash != std::string::npos) {
            TDirectory *folder = file->GetDirectory(tree.substr(0, slash).c_str());
            key = folder ? folder->GetKey(tree.substr(slash + 1).c_str()) : nullptr;
        }
        return key && std::string(key->GetClassName()) == "ROOT::RNTuple";
    }

    // With a chain of its own, so that baskets can be looked at in the tree that is read.
    static Node frame(State &state, const std::string &tree, const std::vector<std::string> &files) {
        if (is_rntuple(tree, files.at(0))) {
            state.ntuples = {tree, files, {0}};
            return ROOT::RDataFrame(tree, files);
        }
        state.chain = std::make_unique<TChain>(tree.c_str());
        for (const auto &name : files)
            state.chain->Add(name.c_str());
        return ROOT::RDataFrame(*state.chain);
    }

    template <bool is_tree> void read_events() {
        if (!is_tree)
            node_ = ROOT::RDataFrame(state_->ntuples.first.back()); // entries alone
        auto done = node_.Book<ULong64_t>(OfEvents<is_tree>{state_}, {"rdfentry_"});
        done.GetValue();
    }

    // Whether all that is read of an RNTuple are numbers and flat arrays of them.
    bool has_plain_columns() {
        auto &[name, paths, first] = state_->ntuples;
        for (const auto &path : paths) {
            const auto reader = NtupleColumns::open(name, path);
            for (const auto &branches : state_->branches)
                for (const Input &input : branches)
                    if (!NtupleColumns::column(*reader, input))
                        return false;
            first.push_back(first.back() + reader->GetNEntries());
        }
        return true;
    }

    // Where the events at work have a column, and the stage that reads or computes it.
    struct Place {
        int place;
        Stage stage;
    };

    std::optional<Place> find(const std::string &name) const {
        for (const Known &column : known_columns)
            if (name == column.name && (!*column.branch || present_.count(column.branch)))
                return Place{column.column, column.stage};
        const auto made = computed_.find(name);
        return made == computed_.end() ? std::nullopt : std::optional(made->second);
    }

    // A place for a number of every event.
    int place(double value) {
        state_->values.push_back(value);
        return static_cast<int>(state_->values.size()) - 1;
    }

    // A predicate of columns and then of numbers: those of one call, or of one in each run period.
    std::optional<Stage> call(Operation &operation, const std::string &predicate,
                              const std::vector<std::string> &columns, const std::vector<double> &numbers) {
        const auto found = predicates().find(predicate);
        if (found == predicates().end() || found->second.arity < columns.size())
            return std::nullopt;
        const std::size_t taken = found->second.arity - columns.size();
        if (taken ? numbers.empty() || numbers.size() % taken : !numbers.empty())
            return std::nullopt;
        operation.predicate = found->second.call;
        const auto stage = take(operation, columns);
        if (!stage)
            return std::nullopt;
        const std::vector<int> of_columns = operation.values;
        for (std::size_t i = 0; i < numbers.size(); i += taken) {
            auto &arguments = operation.in_period.emplace_back(of_columns);
            for (std::size_t j = 0; j < taken; ++j)
                arguments.push_back(place(numbers[i + j]));
        }
        if (operation.in_period.size() == 1) {
            operation.values = operation.in_period.front();
            operation.in_period.clear();
        }
        return stage;
    }

    int make_node(Stage stage, Operation operation) {
        operation.result = static_cast<int>(state_->node_stages.size());
        state_->node_stages.push_back(stage);
        state_->node_parents.push_back(operation.node);
        nodes_.push_back(operation);
        return book(stage, std::move(operation));
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
            const auto column = find(name);
            if (!column)
                return std::nullopt;
            operation.values.push_back(column->place);
            stage = std::max(stage, column->stage);
        }
        return stage;
    }

    int fill(Stage stage, Operation operation, std::shared_ptr<const TAxis> x,
             std::shared_ptr<const TAxis> y) {
        operation.result = static_cast<int>(state_->histograms.size());
        state_->histograms.emplace_back(std::move(x), std::move(y));
        fills_.emplace_back(stage, operation);
        return book(stage, std::move(operation));
    }

    // An operation under a variation; whether that changes anything, none where it was not compiled.
    std::optional<bool> vary(Operation &operation, int variation) {
        const int node = varied(variation, operation.node);
        if (node < 0)
            return std::nullopt;
        bool changed = node != operation.node;
        operation.node = node;
        const auto vary_all = [&](std::vector<int> &places) {
            for (int &of : places) {
                for (const auto &[name, computed] : computed_)
                    if (computed.place == of)
                        return false;
                if (of < number_of_columns && state_->variations[variation].reaches(of)) {
                    of = varied_column(variation, of);
                    changed = true;
                }
            }
            return true;
        };
        bool compiled = vary_all(operation.values);
        for (auto &places : operation.in_period)
            compiled = vary_all(places) && compiled;
        return compiled ? std::optional(changed) : std::nullopt;
    }

    int varied_column(int variation, int column) {
        for (const VariedColumn &known : state_->varied_columns)
            if (known.variation == variation && known.column == column)
                return known.place;
        state_->varied_columns.push_back({variation, column, place(0.0)});
        return state_->varied_columns.back().place;
    }

    bool numbers(Stage stage, std::initializer_list<const char *> branches, const Accepted &accepted,
                 double absent = 0.0) {
        return std::all_of(branches.begin(), branches.end(),
                           [&](const char *branch) { return add(stage, branch, accepted, 0, absent); });
    }

    // `size`: of an array, 0 of a number.
    bool add(Stage stage, const std::string &branch, const Accepted &accepted, int size,
             double absent = 0.0) {
        const bool present = present_.count(branch) > 0;
        state_->foreseen[stage].push_back({size, present, absent});
        if (!present)
            return true;
        const auto [type, array] = type_of(node_, branch);
        types_[branch] = type;
        state_->branches[stage].push_back({branch, std::max(size, 1)});
        return array == accepted.array && accepted.types.count(type);
    }

    std::shared_ptr<State> state_;
    Node node_;
    std::set<std::string> present_;
    std::map<std::string, std::string> types_; // of the branches that are there
    std::map<std::string, Place> computed_;
    std::vector<Operation> nodes_; // that make them, of those after the first
    std::vector<std::pair<Stage, Operation>> fills_;
    std::map<std::pair<int, int>, int> varied_nodes_; // by variation and node
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

int without(Graph &graph, int node, const std::vector<int> &others) {
    return graph.without(node, others);
}

int tally(Graph &graph, int node) {
    return graph.tally(node);
}

int fails(Graph &graph, int tally, const std::string &predicate, const std::vector<std::string> &columns,
          const std::vector<double> &numbers) {
    return graph.fails(tally, predicate, columns, numbers);
}

int passing(Graph &graph, int tally, unsigned long but) {
    return graph.passing(tally, but);
}

bool compute(Graph &graph, int node, const std::string &column, const std::string &function,
             const std::vector<std::string> &of, const std::vector<double> &numbers) {
    return graph.compute(node, column, function, of, numbers);
}

bool record(Graph &graph, int node, const std::string &trigger, const std::string &ecal,
            const std::string &hcal, double ecal_below, double hcal_below, bool once) {
    return graph.record(node, trigger, ecal, hcal, ecal_below, hcal_below, once);
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

int vary(Graph &graph, const std::string &kind, double size, unsigned long seed, unsigned source,
         const std::vector<std::string> &columns) {
    return graph.vary(kind, size, seed, source, columns);
}

int varied(Graph &graph, int variation, int node) {
    return graph.varied(variation, node);
}

int varied_histogram(Graph &graph, int variation, int number) {
    return graph.varied_histogram(variation, number);
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

Recorded recorded(const Graph &graph) {
    const SpillRecorder &found = graph.state().recorder.value();
    return {reinterpret_cast<std::uintptr_t>(found.spills().data()),
            found.spills().size(),
            SpillRecorder::energy_bins,
            found.duplicates(),
            found.out_of_order(),
            found.duplicate_examples()};
}

const std::vector<double> &rows(const Graph &graph, int table) {
    return graph.state().slots.front()->tables[table];
}

} // namespace na64root::rdf
