// What identifies the events of a TTree, read branch by branch before any event loop, as Cling compiles it.
#ifndef NA64ROOT_CLING_EVENT_IDENTITY_HPP
#define NA64ROOT_CLING_EVENT_IDENTITY_HPP

#include <string>

#include "TBranch.h"
#include "TLeaf.h"
#include "TTree.h"

namespace na64root_ntuple {

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

} // namespace na64root_ntuple

#endif
