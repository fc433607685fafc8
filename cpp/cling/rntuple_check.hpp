// Whether an RNTuple can be read, as Cling compiles it.
#ifndef NA64ROOT_CLING_RNTUPLE_CHECK_HPP
#define NA64ROOT_CLING_RNTUPLE_CHECK_HPP

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "ROOT/RNTuple.hxx"
#include "ROOT/RNTupleReader.hxx"
#include "TFile.h"
#include "TKey.h"
#include "keys.hpp"

namespace na64root_ntuple {

// Of the number of bytes with which an object begins.
inline constexpr UInt_t kByteCountMask = 0x40000000;

// The anchor has a checksum, which not all that reads it looks at, over as many bytes as it says itself.
inline bool anchor_is_sound(TFile &file, TKey &key) {
    char count[4], *at = count;
    if (!na64root_keys::list_is_sound(file) || !na64root_keys::is_sound(file, key) ||
        file.ReadBuffer(count, key.GetSeekKey() + key.GetKeylen(), sizeof count))
        return false;
    UInt_t bytes;
    frombuf(at, &bytes);
    if (!(bytes & kByteCountMask) ||
        (bytes & ~kByteCountMask) + sizeof count > static_cast<UInt_t>(key.GetObjlen()))
        return false;
    try {
        return std::unique_ptr<ROOT::RNTuple>(key.ReadObject<ROOT::RNTuple>()) != nullptr;
    } catch (const std::exception &) {
        return false;
    }
}

// Every event of every column is read once, which holds each page to its checksum.
inline bool pages_are_sound(const char *tree, const char *path, const std::vector<std::string> &names) {
    try {
        const auto reader = ROOT::RNTupleReader::Open(tree, path);
        std::vector<std::unique_ptr<ROOT::RNTupleView<void>>> views;
        for (const auto &name : names)
            views.push_back(std::make_unique<ROOT::RNTupleView<void>>(reader->GetView<void>(name)));
        for (auto &view : views)
            for (const auto entry : reader->GetEntryRange())
                (*view)(entry);
    } catch (const std::exception &) {
        return false;
    }
    return true;
}

// Whether a field, or one inside it, has columns that begin after the first entry: it was added while the
// RNTuple was written, and is read as 0 in the entries before.
inline bool added_later(const ROOT::RNTupleDescriptor &descriptor, ROOT::DescriptorId_t field) {
    for (const auto &column : descriptor.GetColumnIterable(field))
        if (column.IsDeferredColumn())
            return true;
    for (const auto &below : descriptor.GetFieldIterable(field))
        if (added_later(descriptor, below.GetId()))
            return true;
    return false;
}

// The top-level fields that were added later.
inline std::vector<std::string> fields_added_later(const ROOT::RNTupleDescriptor &descriptor) {
    std::vector<std::string> names;
    for (const auto &field : descriptor.GetTopLevelFields())
        if (added_later(descriptor, field.GetId()))
            names.push_back(field.GetFieldName());
    return names;
}

} // namespace na64root_ntuple

#endif
