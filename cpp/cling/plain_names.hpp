// A column of a name that no C++ text can hold, under one that can be in a text.
#ifndef NA64ROOT_CLING_PLAIN_NAMES_HPP
#define NA64ROOT_CLING_PLAIN_NAMES_HPP

#include <exception>
#include <string>

#include "ROOT/RDataFrame.hxx"

namespace na64root_ntuple {

// `T`: the type that RDataFrame says the column has. Not an alias, which it would write into the text again.
template <typename T>
ROOT::RDF::RNode under_name(ROOT::RDF::RNode node, const std::string &name, const std::string &column) {
    return node.Define(name, [](const T &value) { return value; }, {column});
}

// Whether the first entry can be read by that name: the reader of a TTree looks for some in other places.
template <typename T> bool can_be_read(ROOT::RDF::RNode node, const std::string &column) {
    try {
        node.Range(1).Foreach([](const T &) {}, {column});
    } catch (const std::exception &) {
        return false;
    }
    return true;
}

} // namespace na64root_ntuple

#endif
