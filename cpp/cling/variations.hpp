// Columns under systematic changes, as Cling compiles them.
#ifndef NA64ROOT_CLING_VARIATIONS_HPP
#define NA64ROOT_CLING_VARIATIONS_HPP

#include "ROOT/RVec.hxx"
#include "na64root/systematics.hpp"

namespace na64root {

// A column under each change, as Vary wants it.
template <class Column, class... Changes>
ROOT::RVec<Column> variations(const Column &column, const Changes &...changes) {
    return {changed(column, changes)...};
}

} // namespace na64root

#endif
