// Baskets of a TTree are looked at, and then read where they lie in memory: entries of one size need no more
// than their place, where TTreeReader asks branch, leaf and buffer for each value.
#ifndef NA64ROOT_RDF_SOUND_BASKETS_HPP
#define NA64ROOT_RDF_SOUND_BASKETS_HPP

#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "Bytes.h"
#include "TFile.h"
#include "TLeaf.h"
#include "TTree.h"
#include "TTreeReader.h"
#include "baskets.hpp"

namespace na64root::rdf {

// A branch as a stage takes it: one number, or an array of so many.
struct Input {
    std::string name;
    int size;
};

// A branch of one leaf of a fixed length in the tree of one file.
class SoundBranch {
  public:
    // Throws std::runtime_error where the numbers of its baskets do not fit, or its leaf not what is wanted.
    SoundBranch(TTree &tree, const Input &input)
        : name_(input.name), size_(input.size), baskets_(of(tree, input.name)),
          read_(reader(*tree.GetBranch(input.name.c_str()), input.size)) {
        if (!baskets_.fit() || !read_)
            fail(tree, name_);
    }

    // First entry behind the basket that holds this one, which is sound; throws std::runtime_error where not.
    Long64_t require(TTree &tree, Long64_t entry) {
        if (entry < next_)
            return next_;
        const Int_t basket = baskets_.holding(entry);
        next_ = baskets_.first_of(basket + 1);
        if (!baskets_.is_sound(basket, true))
            fail(tree, name_);
        first_ = baskets_.first_of(basket);
        data_ = baskets_.data(basket);
        return next_;
    }

    // The numbers of an entry of the basket that was required last.
    void read(Long64_t entry, double *numbers) const {
        read_(data_ + (entry - first_) * baskets_.entry_bytes(), size_, numbers);
    }

  private:
    using Read = void (*)(const char *from, int size, double *numbers);

    template <class Type> static void read_as(const char *from, int size, double *numbers) {
        auto *at = const_cast<char *>(from);
        for (int i = 0; i < size; ++i) {
            Type value;
            frombuf(at, &value);
            numbers[i] = value;
        }
    }

    // Null for what is no such leaf.
    static Read reader(TBranch &branch, int size) {
        static const std::map<std::string, Read> known = {
            {"Double_t", &read_as<Double_t>}, {"Float_t", &read_as<Float_t>}, {"Int_t", &read_as<Int_t>},
            {"UInt_t", &read_as<UInt_t>},     {"Bool_t", &read_as<Bool_t>},   {"UChar_t", &read_as<UChar_t>}};
        const auto *leaf = static_cast<const TLeaf *>(branch.GetListOfLeaves()->At(0));
        if (branch.GetListOfLeaves()->GetEntriesFast() != 1 || leaf->GetLen() != size || leaf->GetLeafCount())
            return nullptr;
        const auto found = known.find(leaf->GetTypeName());
        return found == known.end() ? nullptr : found->second;
    }

    static Baskets of(TTree &tree, const std::string &name) {
        TBranch *branch = tree.GetBranch(name.c_str());
        if (!branch)
            fail(tree, name);
        return Baskets(*branch, tree.GetEntries());
    }

    [[noreturn]] static void fail(TTree &tree, const std::string &name) {
        const TFile *file = tree.GetCurrentFile();
        throw std::runtime_error("branch " + name + " in " + (file ? file->GetName() : "the input") +
                                 " cannot be read");
    }

    std::string name_;
    int size_;
    Baskets baskets_;
    Read read_;
    const char *data_ = nullptr;
    Long64_t first_ = 0, next_ = 0;
};

// The branches that the stages of one slot read, at one event after another. An RNTuple needs none of this.
class SoundBaskets {
  public:
    // A task of the loop: the reader's tree, or `chain` where the loop has no tasks; null for an RNTuple.
    void begin(TTreeReader *reader, TTree *chain) {
        tree_ = reader ? reader->GetTree() : chain;
        current_ = nullptr;
    }

    // At the next event; false after a failure.
    bool next_event() {
        if (!tree_)
            return true;
        TTree *current = tree_->GetTree(); // of the file that a chain is at
        entry_ = current->GetReadEntry();
        if (current != current_ || tree_->GetTreeNumber() != number_) {
            current_ = current;
            number_ = tree_->GetTreeNumber();
            stages_.clear();
        }
        return failure_.empty();
    }

    // Whether the baskets are sound that hold the event for these branches; if not, nothing more is read, and
    // the loop ends without an exception, of which RDataFrame would speak on its own.
    bool require(int stage, const std::vector<Input> &branches) {
        if (!tree_)
            return true;
        if (stages_.size() <= static_cast<std::size_t>(stage))
            stages_.resize(stage + 1);
        auto &[next, checked] = stages_[stage];
        if (entry_ < next)
            return true;
        try {
            if (checked.empty())
                for (const auto &branch : branches)
                    checked.emplace_back(*current_, branch);
            next = std::numeric_limits<Long64_t>::max();
            for (auto &branch : checked)
                next = std::min(next, branch.require(*current_, entry_));
        } catch (const std::runtime_error &error) {
            failure_ = error.what();
            return false;
        }
        return true;
    }

    // The numbers of a stage's branches, which were required for the event; to as many places.
    void read(int stage, const std::vector<double *> &places) const {
        const auto &branches = stages_[stage].branches;
        for (std::size_t i = 0; i < branches.size(); ++i)
            branches[i].read(entry_, places[i]);
    }

    // What could not be read; empty where all could.
    const std::string &failure() const { return failure_; }

  private:
    struct OfStage {
        Long64_t next = 0; // the event at which some branch begins another basket
        std::vector<SoundBranch> branches;
    };
    TTree *tree_ = nullptr, *current_ = nullptr;
    int number_ = -1;
    Long64_t entry_ = 0;
    std::vector<OfStage> stages_;
    std::string failure_;
};

} // namespace na64root::rdf

#endif
