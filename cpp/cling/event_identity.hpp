// What identifies the events of a TTree, read branch by branch before any event loop, as Cling compiles it.
#ifndef NA64ROOT_CLING_EVENT_IDENTITY_HPP
#define NA64ROOT_CLING_EVENT_IDENTITY_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "TBranch.h"
#include "TDirectory.h"
#include "TFile.h"
#include "TLeaf.h"
#include "TTree.h"

namespace na64root_ntuple {

// Writes what a file says of a tree, but not with which friends it was written, into another: its branches
// are read where they are.
inline bool without_friends(TTree &tree, const std::string &name, const std::string &file,
                            const std::string &made) {
    TDirectory::TContext here;
    if (auto *friends = tree.GetListOfFriends())
        friends->Clear();
    for (auto *branch : *tree.GetListOfBranches())
        static_cast<TBranch *>(branch)->SetFile(file.c_str());
    const std::unique_ptr<TFile> out(TFile::Open(made.c_str(), "RECREATE"));
    if (!out || out->IsZombie())
        return false;
    const auto folder = name.rfind('/');
    TDirectory *where = out.get();
    if (folder != std::string::npos)
        where = out->mkdir(name.substr(0, folder).c_str(), "", true);
    const bool written = where->WriteTObject(&tree, name.substr(folder + 1).c_str()) > 0;
    out->Close();
    return written && !out->TestBit(TFile::kWriteError);
}

// The leaf of a branch of one number, whatever the leaf is called.
inline TLeaf *leaf_of(TTree &tree, const std::string &name) {
    TBranch *branch = tree.GetBranch(name.c_str());
    return branch ? static_cast<TLeaf *>(branch->GetListOfLeaves()->At(0)) : nullptr;
}

// First entry in which a whole number differs between two trees of as many entries; -1 where none does.
inline long first_difference(TTree &one, const std::string &of_one, TTree &other,
                             const std::string &of_other) {
    TLeaf *a = leaf_of(one, of_one), *b = leaf_of(other, of_other);
    if (!a || !b)
        return 0;
    long found = -1;
    for (Long64_t i = 0; found < 0 && i < one.GetEntries(); ++i) {
        a->GetBranch()->GetEntry(i);
        b->GetBranch()->GetEntry(i);
        if (a->GetValueLong64() != b->GetValueLong64())
            found = i;
    }
    a->GetBranch()->DropBaskets("all");
    b->GetBranch()->DropBaskets("all");
    return found;
}

// Which entry of another tree has the numbers of each entry of a tree.
struct Matched {
    std::vector<long> entries;
    long lacking = 0; // entries of the tree that the other has not
    long twice = 0;   // entries of the other whose numbers came before
};

inline Matched matched(TTree &one, const std::vector<std::string> &of_one, TTree &other,
                       const std::vector<std::string> &of_other) {
    using Key = std::array<Long64_t, 3>;
    const auto keys = [](TTree &tree, const std::vector<std::string> &names) {
        std::vector<Key> all(tree.GetEntries());
        for (std::size_t k = 0; k < 3; ++k) {
            TLeaf *leaf = leaf_of(tree, names[k]);
            for (Long64_t i = 0; i < tree.GetEntries(); ++i) {
                leaf->GetBranch()->GetEntry(i);
                all[i][k] = leaf->GetValueLong64();
            }
            leaf->GetBranch()->DropBaskets("all");
        }
        return all;
    };
    const auto wanted = keys(one, of_one), there = keys(other, of_other);
    std::vector<std::pair<Key, long>> sorted;
    for (std::size_t i = 0; i < there.size(); ++i)
        sorted.emplace_back(there[i], static_cast<long>(i));
    std::sort(sorted.begin(), sorted.end());
    Matched found;
    for (std::size_t i = 1; i < sorted.size(); ++i)
        found.twice += sorted[i].first == sorted[i - 1].first;
    for (const Key &key : wanted) {
        const auto at = std::lower_bound(sorted.begin(), sorted.end(), std::make_pair(key, -1L));
        const bool is_there = at != sorted.end() && at->first == key;
        found.lacking += !is_there;
        found.entries.push_back(is_there ? at->second : -1);
    }
    return found;
}

} // namespace na64root_ntuple

#endif
