// Copies of chosen events with all that their files hold of them, as Cling compiles them: baskets are read
// and filled by the branches themselves, so that no type has to be known here.
#ifndef NA64ROOT_CLING_COPYING_HPP
#define NA64ROOT_CLING_COPYING_HPP

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ROOT/RDF/RActionImpl.hxx"
#include "ROOT/RDataFrame.hxx"
#include "ROOT/RNTupleModel.hxx"
#include "ROOT/RNTupleReader.hxx"
#include "ROOT/RNTupleWriteOptions.hxx"
#include "ROOT/RNTupleWriter.hxx"
#include "TBranch.h"
#include "TChain.h"
#include "TDirectory.h"
#include "TFile.h"
#include "TLeaf.h"
#include "TLeafC.h"
#include "TTree.h"
#include "TTreeReader.h"

namespace na64root_copying {

inline const std::string full = "the file system took no more data";

// Which events of a node an event loop saw: by file and entry where its tasks have a tree of their own, by
// the entry in all files together where they have not. In an order of its own.
struct Entries {
    std::vector<std::pair<std::string, long>> in_files;
    std::vector<long> in_all;

    // In all files together, in their order; `first` is the entry with which each file begins.
    std::vector<long> sorted(const std::map<std::string, long> &first) const {
        std::vector<long> all = in_all;
        for (const auto &[file, entry] : in_files)
            all.push_back(first.at(file) + entry);
        std::sort(all.begin(), all.end());
        return all;
    }
};

class TakeEntries : public ROOT::Detail::RDF::RActionImpl<TakeEntries> {
  public:
    using Result_t = Entries;

    explicit TakeEntries(unsigned slots) : readers_(slots), found_(slots) {}
    TakeEntries(TakeEntries &&) = default;
    TakeEntries(const TakeEntries &) = delete;

    std::shared_ptr<Entries> GetResultPtr() const { return result_; }
    void Initialize() {}
    void InitTask(TTreeReader *reader, unsigned slot) { readers_[slot] = reader; }
    void Exec(unsigned slot, ULong64_t entry) {
        TTree *tree = readers_[slot] ? readers_[slot]->GetTree() : nullptr;
        if (tree && tree->GetTree() && tree->GetCurrentFile())
            found_[slot].in_files.emplace_back(tree->GetCurrentFile()->GetName(),
                                               tree->GetTree()->GetReadEntry());
        else
            found_[slot].in_all.push_back(static_cast<long>(entry));
    }
    void Finalize() {
        for (const auto &one : found_) {
            result_->in_files.insert(result_->in_files.end(), one.in_files.begin(), one.in_files.end());
            result_->in_all.insert(result_->in_all.end(), one.in_all.begin(), one.in_all.end());
        }
    }
    std::string GetActionName() { return "entries"; }

  private:
    std::vector<TTreeReader *> readers_;
    std::vector<Entries> found_;
    std::shared_ptr<Entries> result_ = std::make_shared<Entries>();
};

inline ROOT::RDF::RResultPtr<Entries> take_entries(ROOT::RDF::RNode node) {
    return node.Book<ULong64_t>(TakeEntries(node.GetNSlots()), {"rdfentry_"});
}

// Every branch of a tree with its leaves, one text for each: those of two files of a chain must be the same,
// or what the first has alone would be repeated in the events of the second.
inline std::vector<std::string> described(TTree &tree) {
    std::vector<std::string> texts;
    for (auto *object : *tree.GetListOfLeaves()) {
        const auto *leaf = static_cast<TLeaf *>(object);
        const TBranch *branch = leaf->GetBranch();
        texts.push_back(std::string(branch->GetFullName().Data()) + " " + branch->GetClassName() + " " +
                        leaf->GetTypeName() + " " + leaf->GetTitle());
    }
    return texts;
}

inline void compress(TObjArray &branches, int settings) {
    for (auto *object : branches) {
        auto *branch = static_cast<TBranch *>(object);
        branch->SetCompressionSettings(settings);
        compress(*branch->GetListOfBranches(), settings);
    }
}

inline std::unique_ptr<TChain> chain_of(const std::string &name, const std::vector<std::string> &files) {
    auto chain = std::make_unique<TChain>(name.c_str());
    for (const auto &file : files)
        chain->AddFile(file.c_str());
    return chain;
}

// Some of n places, spread over them.
inline std::vector<long> spread(long n, long at_most) {
    std::vector<long> places;
    const long count = std::min(n, at_most);
    for (long i = 0; i < count; ++i)
        places.push_back(count > 1 ? i * (n - 1) / (count - 1) : 0);
    return places;
}

// Writes entries of a tree in files as a tree of the same name into a file. Throws std::runtime_error(full)
// where that takes no more, and with another text where an entry cannot be read.
inline void copy_tree(const std::string &name, const std::vector<std::string> &files,
                      const std::vector<long> &entries, TFile &file) {
    const auto chain = chain_of(name, files);
    if (chain->LoadTree(0) < 0)
        throw std::runtime_error("the input cannot be read");
    const auto slash = name.rfind('/');
    TDirectory *folder = &file;
    if (slash != std::string::npos)
        folder = file.mkdir(name.substr(0, slash).c_str(), "", true);
    TDirectory::TContext here(folder);
    TTree *copy = chain->CloneTree(0);
    if (!copy)
        throw std::runtime_error("the input cannot be copied");
    copy->SetDirectory(folder);
    copy->SetName(name.substr(slash + 1).c_str()); // by which the input has it, whatever it calls itself
    if (copy->GetListOfFriends())
        copy->GetListOfFriends()->Clear(); // their entries are not copied
    copy->ResetBit(TTree::kEntriesReshuffled);
    compress(*copy->GetListOfBranches(), file.GetCompressionSettings());
    struct OneFile { // whatever the process has set, a tree does not go on in another file
        Long64_t before = TTree::GetMaxTreeSize();
        OneFile() { TTree::SetMaxTreeSize(std::numeric_limits<Long64_t>::max()); }
        ~OneFile() { TTree::SetMaxTreeSize(before); }
    } one_file;
    for (const long entry : entries) {
        if (chain->GetEntry(entry) <= 0)
            throw std::runtime_error("entry " + std::to_string(entry) + " cannot be read");
        if (copy->Fill() < 0)
            throw std::runtime_error(full);
    }
    if (copy->Write("", TObject::kOverwrite) <= 0)
        throw std::runtime_error(full);
}

// Whether a leaf is of numbers that ROOT converts, so that they can be compared.
inline bool of_numbers(const TLeaf &leaf) {
    static const std::vector<std::string> numbers{
        "Char_t",       "UChar_t",      "Short_t",  "UShort_t",  "Int_t",         "UInt_t",
        "Long_t",       "ULong_t",      "Long64_t", "ULong64_t", "Float_t",       "Double_t",
        "Float16_t",    "Double32_t",   "Bool_t",   "bool",      "char",          "short",
        "int",          "long",         "float",    "double",    "unsigned char", "unsigned short",
        "unsigned int", "unsigned long"};
    std::string type = leaf.GetTypeName();
    for (const std::string prefix : {"vector<", "ROOT::VecOps::RVec<"})
        if (type.rfind(prefix, 0) == 0 && type.back() == '>')
            type = type.substr(prefix.size(), type.size() - prefix.size() - 1);
    return std::find(numbers.begin(), numbers.end(), type) != numbers.end();
}

// The first branch of a copy that differs in some of its entries from what they were copied of, or that has
// not all of them; empty where none does.
inline std::string first_different(const std::string &name, const std::vector<std::string> &files,
                                   const std::vector<long> &entries, const std::string &copied) {
    const auto chain = chain_of(name, files), copy = chain_of(name, {copied});
    if (copy->GetEntries() != static_cast<Long64_t>(entries.size()))
        return "(number of entries)";
    if (chain->LoadTree(0) < 0 || copy->LoadTree(0) < 0 ||
        described(*chain->GetTree()) != described(*copy->GetTree()))
        return "(list of branches)";
    for (const long place : spread(static_cast<long>(entries.size()), 50)) {
        const Long64_t local = chain->LoadTree(entries[place]);
        copy->LoadTree(place);
        if (local < 0)
            return "(entry)";
        TTree &from = *chain->GetTree(), &to = *copy->GetTree();
        const TObjArray &leaves = *from.GetListOfLeaves(), &others = *to.GetListOfLeaves();
        // Counters before what they count.
        for (auto *object : *from.GetListOfBranches())
            if (static_cast<TBranch *>(object)->GetEntry(local) !=
                static_cast<TBranch *>(to.GetListOfBranches()->At(from.GetListOfBranches()->IndexOf(object)))
                    ->GetEntry(place))
                return object->GetName();
        for (int i = 0; i < leaves.GetEntriesFast(); ++i) {
            auto *a = static_cast<TLeaf *>(leaves.At(i)), *b = static_cast<TLeaf *>(others.At(i));
            bool same = a->IsA() == b->IsA();
            if (same && a->InheritsFrom(TLeafC::Class())) { // its length is that of the longest so far
                if (std::string(static_cast<char *>(a->GetValuePointer())) !=
                    static_cast<char *>(b->GetValuePointer()))
                    return a->GetBranch()->GetFullName().Data();
                continue;
            }
            same = same && a->GetLen() == b->GetLen();
            for (int k = 0; same && of_numbers(*a) && k < a->GetLen(); ++k) {
                const double x = a->GetValue(k), y = b->GetValue(k);
                same = (x == y || (std::isnan(x) && std::isnan(y))) &&
                       a->GetValueLong64(k) == b->GetValueLong64(k);
            }
            if (!same)
                return a->GetBranch()->GetFullName().Data();
        }
    }
    return "";
}

// The same of an RNTuple.
inline void copy_ntuple(const std::string &name, const std::vector<std::string> &files,
                        const std::vector<long> &entries, TFile &file) {
    std::unique_ptr<ROOT::RNTupleWriter> writer;
    std::unique_ptr<ROOT::REntry> out;
    auto next = entries.begin();
    long first = 0;
    for (const auto &path : files) {
        const auto reader = ROOT::RNTupleReader::Open(name, path);
        const long last = first + static_cast<long>(reader->GetNEntries());
        if (!writer) {
            ROOT::RNTupleWriteOptions options;
            options.SetCompression(file.GetCompressionSettings());
            writer = ROOT::RNTupleWriter::Append(reader->GetModel().Clone(), name, file, options);
            out = writer->GetModel().CreateBareEntry();
        }
        const auto in = reader->CreateEntry();
        for (const auto &value : *in)
            out->BindRawPtr<void>(value.GetField().GetFieldName(), value.GetPtr<void>().get());
        for (; next != entries.end() && *next < last; ++next) {
            reader->LoadEntry(*next - first, *in);
            writer->Fill(*out);
        }
        first = last;
    }
    out.reset();
    if (writer)
        writer->CommitDataset();
}

// As for a TTree: an entry of an RNTuple as text, which has every field of it.
inline std::string first_different_ntuple(const std::string &name, const std::vector<std::string> &files,
                                          const std::vector<long> &entries, const std::string &copied) {
    const auto copy = ROOT::RNTupleReader::Open(name, copied);
    if (copy->GetNEntries() != entries.size())
        return "(number of entries)";
    const auto text = [](ROOT::RNTupleReader &reader, long entry) {
        std::ostringstream shown;
        shown.precision(17);
        reader.Show(entry, shown);
        return shown.str();
    };
    const auto places = spread(static_cast<long>(entries.size()), 50);
    auto next = places.begin();
    long first = 0;
    for (const auto &path : files) {
        const auto reader = ROOT::RNTupleReader::Open(name, path);
        const long last = first + static_cast<long>(reader->GetNEntries());
        for (; next != places.end() && entries[*next] < last; ++next)
            if (text(*reader, entries[*next] - first) != text(*copy, *next))
                return "(a field of entry " + std::to_string(entries[*next]) + ")";
        first = last;
    }
    return "";
}

// A column of numbers as an array of one length, or of arrays, row by row.
template <typename Numbers, typename Array>
ROOT::RDF::RNode as_array(ROOT::RDF::RNode node, const std::string &column) {
    const auto array = [](const Numbers &numbers) {
        Array made{};
        std::copy(numbers.begin(), numbers.end(), reinterpret_cast<typename Numbers::value_type *>(&made));
        return made;
    };
    return node.Redefine(column, array, {column});
}

// Why a branch of a TTree has no same form in an RNTuple; empty where it has one.
inline std::string no_field(TBranch &branch) {
    const std::string name = branch.GetName();
    if (name.find('.') != std::string::npos)
        return "a name with a dot";
    if (std::any_of(name.begin(), name.end(),
                    [](unsigned char c) { return c < 32 || c == 127 || c == '/' || c == '\\'; }))
        return "a character in its name";
    if (branch.GetListOfBranches()->GetEntriesFast() || branch.GetListOfLeaves()->GetEntriesFast() != 1)
        return "several leaves";
    const auto &leaf = *static_cast<TLeaf *>(branch.GetListOfLeaves()->At(0));
    const std::string type = leaf.GetTypeName();
    if (branch.IsA() == TBranch::Class() && name != leaf.GetName())
        return "a leaf of another name";
    if (type.find("Double32_t") != std::string::npos || type.find("Float16_t") != std::string::npos)
        return "numbers in fewer bits";
    if (leaf.InheritsFrom(TLeafC::Class()) || leaf.GetLeafCount())
        return "a length that varies";
    const bool is_word = std::all_of(
        name.begin(), name.end(), [](unsigned char c) { return c == '_' || (c < 128 && std::isalnum(c)); });
    if (leaf.GetLenStatic() > 1 && (!is_word || std::isdigit(static_cast<unsigned char>(name[0]))))
        return "an array whose name is no word of C++";
    if (!of_numbers(leaf) || type == "vector<bool>")
        return type == "string" ? "" : "the type " + type;
    return "";
}

} // namespace na64root_copying

#endif
