// Whether an RNTuple can be read, as Cling compiles it.
#ifndef NA64ROOT_CLING_RNTUPLE_CHECK_HPP
#define NA64ROOT_CLING_RNTUPLE_CHECK_HPP

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "Bytes.h"
#include "ROOT/RNTupleReader.hxx"
#include "TFile.h"
#include "TKey.h"

namespace na64root_ntuple {

// The key of an RNTuple is there twice, in the list of keys and before the anchor, and both must agree: ROOT
// reads as many bytes of the anchor as the second one says into a buffer that may be smaller.
inline bool anchor_is_sound(TFile &file, TKey &key) {
    char header[26], *at = header;
    if (file.ReadBuffer(header, key.GetSeekKey(), sizeof header))
        return false;
    Int_t size, length;
    UInt_t date;
    Short_t version, key_length, cycle;
    frombuf(at, &size);
    frombuf(at, &version);
    frombuf(at, &length);
    frombuf(at, &date);
    frombuf(at, &key_length);
    frombuf(at, &cycle);
    Long64_t place;
    if (version > 1000) {
        frombuf(at, &place);
    } else {
        Int_t short_place;
        frombuf(at, &short_place);
        place = short_place;
    }
    return size == key.GetNbytes() && length == key.GetObjlen() && key_length == key.GetKeylen() &&
           place == key.GetSeekKey() && size > key_length && size - key_length <= length;
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
