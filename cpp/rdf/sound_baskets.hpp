// Baskets of a TTree are looked at before RDataFrame reads them. One that was looked at stays in memory for
// the reader, so nothing is unpacked twice.
#ifndef NA64ROOT_RDF_SOUND_BASKETS_HPP
#define NA64ROOT_RDF_SOUND_BASKETS_HPP

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "TFile.h"
#include "TTree.h"
#include "TTreeReader.h"
#include "baskets.hpp"

namespace na64root::rdf {

// A branch of whole leaves of a fixed length in the tree of one file.
class SoundBranch {
  public:
    // Throws std::runtime_error where the numbers of its baskets do not fit.
    SoundBranch(TTree &tree, const std::string &name) : name_(name), baskets_(of(tree, name)) {
        if (!baskets_.fit())
            fail(tree, name);
    }

    // First entry behind the basket that holds this one, which is sound; throws std::runtime_error where not.
    Long64_t require(TTree &tree, Long64_t entry) {
        if (entry < next_)
            return next_;
        const Int_t basket = baskets_.holding(entry);
        next_ = baskets_.first_of(basket + 1);
        if (!baskets_.is_sound(basket, true))
            fail(tree, name_);
        return next_;
    }

  private:
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
    Baskets baskets_;
    Long64_t next_ = 0;
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
    bool require(int stage, const std::vector<std::string> &branches) {
        if (!tree_)
            return true;
        if (stages_.size() <= static_cast<std::size_t>(stage))
            stages_.resize(stage + 1);
        auto &[next, checked] = stages_[stage];
        if (entry_ < next)
            return true;
        try {
            if (checked.empty())
                for (const auto &name : branches)
                    checked.emplace_back(*current_, name);
            next = std::numeric_limits<Long64_t>::max();
            for (auto &branch : checked)
                next = std::min(next, branch.require(*current_, entry_));
        } catch (const std::runtime_error &error) {
            failure_ = error.what();
            return false;
        }
        return true;
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
