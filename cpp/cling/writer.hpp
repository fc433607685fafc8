// Files of simulated events, as Cling compiles them: the one place where the generators meet ROOT. Columns
// come from the lists in the headers, and are filled by number.
#ifndef NA64ROOT_CLING_WRITER_HPP
#define NA64ROOT_CLING_WRITER_HPP

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "Compression.h"
#include "ROOT/RNTupleModel.hxx"
#include "ROOT/RNTupleWriteOptions.hxx"
#include "ROOT/RNTupleWriter.hxx"
#include "TFile.h"
#include "TNamed.h"
#include "TTree.h"
#include "na64root/event.hpp"
#include "na64root/gun.hpp"
#include "na64root/parallel.hpp"
#include "na64root/pseudodata.hpp"

namespace na64root_writer {

inline const std::string full = "the file system took no more data";

// ZSTD, at the level that costs least time.
constexpr int compression = 100 * ROOT::RCompressionSetting::EAlgorithm::kZSTD + 1;

struct BranchMaker {
    TTree &tree;
    template <class Member> void operator()(const char *name, Member &member, const char *dimensions) const {
        using Element = std::remove_all_extents_t<Member>;
        if constexpr (std::is_arithmetic_v<Element>) {
            const char *code = std::is_same_v<Element, double>          ? "/D"
                               : std::is_same_v<Element, bool>          ? "/O"
                               : std::is_same_v<Element, std::uint32_t> ? "/i"
                                                                        : "/I";
            // Compressed in parts of a thousand events: each part has a fixed cost.
            const int basket = std::max<int>(1000 * sizeof(Member), 32000);
            tree.Branch(name, &member, (std::string(name) + dimensions + code).c_str(), basket);
        } else {
            tree.Branch(name, &member);
        }
    }
};

// An array of any dimensions is one flat array, as RDataFrame shows that of a TTree.
struct FieldMaker {
    ROOT::RNTupleModel &model;
    template <class Member> void operator()(const char *name, Member &, const char *) const {
        using Element = std::remove_all_extents_t<Member>;
        std::string type = "std::vector<std::int32_t>";
        if constexpr (std::is_arithmetic_v<Element>) {
            type = std::is_same_v<Element, double>          ? "double"
                   : std::is_same_v<Element, bool>          ? "bool"
                   : std::is_same_v<Element, std::uint32_t> ? "std::uint32_t"
                                                            : "std::int32_t";
            if (std::is_array_v<Member>)
                type = "std::array<" + type + "," + std::to_string(sizeof(Member) / sizeof(Element)) + ">";
        }
        auto field = ROOT::RFieldBase::Create(name, type).Unwrap();
        as_they_are(*field);
        model.AddField(std::move(field));
    }
    // Bytes of one double side by side, as a TTree has them, and not split into eight: energies of ADC counts
    // come again and again, which is found only in whole values, and nothing is put together to read them.
    static void as_they_are(ROOT::RFieldBase &field) {
        if (field.GetTypeName() == "double")
            field.SetColumnRepresentatives({{ROOT::ENTupleColumnType::kReal64}});
        for (auto *part : field.GetMutableSubfields())
            as_they_are(*part);
    }
};

struct FieldBinder {
    ROOT::REntry &entry;
    template <class Member> void operator()(const char *name, Member &member, const char *) const {
        entry.BindRawPtr<void>(name, &member);
    }
};

// A generator, `generate(entry, event)`, behind a TTree or an RNTuple named `tree` in a new file.
// Throws std::runtime_error(full) where the file cannot be written; then call abandon().
template <class Event, class Generator> class Writer {
  public:
    Writer(Generator generator, const char *path, const char *title, bool rntuple, int threads)
        : generate_(std::move(generator)), threads_(threads) {
        store([&] {
            file_.reset(TFile::Open(path, "RECREATE", "", compression));
            if (!file_ || file_->IsZombie())
                return false;
            rntuple ? book_ntuple(title) : book_tree(title);
            return true;
        });
    }
    // Writes the events [first, last); returns the sum of their weights.
    double fill(unsigned long first, unsigned long last) {
        double sum = 0.0;
        na64root::in_order<Event>(first, last, threads_, generate_, [&](const Event &event) {
            sum += event.mcWeight;
            event_ = event;
            store([&] { return tree_ ? tree_->Fill() >= 0 : ntuple_->Fill(*entry_) > 0; });
            ++written_;
        });
        return sum;
    }
    // Events written so far: what a call says that Cling could not compile is no number.
    unsigned long written() const { return written_; }
    // Writes what is left in memory, and a text beside it, and closes the file.
    void close(const char *text) {
        store([&] {
            if (ntuple_)
                ntuple_->CommitDataset();
            else if (tree_->GetEntries() != static_cast<Long64_t>(written_) || tree_->Write() <= 0)
                return false;
            TNamed about("na64root", text);
            if (file_->WriteTObject(&about) <= 0)
                return false;
            file_->Close();
            return !file_->TestBit(TFile::kWriteError);
        });
        abandon();
    }
    void abandon() {
        entry_.reset();
        ntuple_.reset(); // before its file
        file_.reset();
    }

  private:
    void book_tree(const char *title) {
        tree_ = new TTree("tree", title); // belongs to the file
        tree_->SetDirectory(file_.get());
        for_each_branch(event_, BranchMaker{*tree_});
    }
    void book_ntuple(const char *title) {
        auto model = ROOT::RNTupleModel::CreateBare();
        model->SetDescription(title);
        for_each_branch(event_, FieldMaker{*model});
        ROOT::RNTupleWriteOptions options;
        options.SetCompression(file_->GetCompressionSettings());
        options.SetApproxZippedClusterSize(30'000'000); // as a TTree: what one thread reads at once
        ntuple_ = ROOT::RNTupleWriter::Append(std::move(model), "tree", *file_, options);
        entry_ = ntuple_->GetModel().CreateBareEntry();
        for_each_branch(event_, FieldBinder{*entry_});
    }
    template <class Write> static void store(const Write &write) {
        bool stored = false;
        try {
            stored = write();
        } catch (const ROOT::RException &) { // of an RNTuple
        }
        if (!stored)
            throw std::runtime_error(full);
    }

    Event event_{}; // where the columns look
    Generator generate_;
    int threads_;
    unsigned long written_ = 0;
    std::unique_ptr<TFile> file_;
    TTree *tree_ = nullptr;
    std::unique_ptr<ROOT::RNTupleWriter> ntuple_;
    std::unique_ptr<ROOT::REntry> entry_;
};

// A generator of the core with its seed, shared with the copy in a Writer.
template <class Generator, class Event> class Seeded {
  public:
    Seeded(std::shared_ptr<const Generator> generator, unsigned long seed)
        : generator_(std::move(generator)), seed_(seed) {}
    void operator()(std::uint64_t entry, Event &event) const { (*generator_)(seed_, entry, event); }

  private:
    std::shared_ptr<const Generator> generator_;
    std::uint64_t seed_;
};
using Signal = Seeded<na64root::EventGenerator, na64root::SignalEvent>;
using Gun = Seeded<na64root::GunGenerator, na64root::GunEvent>;

// The generator at an address: that of _core, whose tables take longer than a thousand events. It stays alive
// in Python.
inline Signal signal(std::uintptr_t generator, unsigned long seed) {
    const auto *made = reinterpret_cast<const na64root::EventGenerator *>(generator);
    return {std::shared_ptr<const na64root::EventGenerator>(made, [](const auto *) {}), seed};
}
inline Gun gun(const na64root::GunConfig &config, unsigned long seed) {
    return {std::make_shared<const na64root::GunGenerator>(config), seed};
}
using SignalWriter = Writer<na64root::SignalEvent, Signal>;
using GunWriter = Writer<na64root::GunEvent, Gun>;

// Background events, and behind them those of an injected signal.
class Pseudodata {
  public:
    explicit Pseudodata(const na64root::PseudodataConfig &config)
        : generator_(std::make_shared<const na64root::PseudodataGenerator>(config)) {}
    void inject(const na64root::EventConfig &config, unsigned long seed) {
        signal_ = std::make_shared<const na64root::InjectedSignal>(config, seed);
    }
    void weigh(int class_number, double weight) { weights_[class_number] = weight; }
    unsigned long size() const { return generator_->size() + injected(); }
    unsigned long drawn(int class_number) const { return generator_->drawn(class_number); }
    unsigned long injected() const { return signal_ ? signal_->size() : 0; }
    double injected_expected() const { return signal_ ? signal_->expected() : 0.0; }
    void operator()(std::uint64_t entry, na64root::TreeAEvent &event) const {
        if (entry < generator_->size()) {
            generator_->generate(entry, event);
            const auto weight = weights_.find(event.mc_class);
            if (weight != weights_.end())
                event.mcWeight = weight->second;
        } else {
            na64root::SignalEvent signal{};
            signal_->generate(entry - generator_->size(), signal);
            event = signal;
        }
    }

  private:
    std::shared_ptr<const na64root::PseudodataGenerator> generator_; // shared with the copy in a Writer
    std::shared_ptr<const na64root::InjectedSignal> signal_;
    std::map<int, double> weights_;
};
using PseudodataWriter = Writer<na64root::TreeAEvent, Pseudodata>;

} // namespace na64root_writer

#endif
