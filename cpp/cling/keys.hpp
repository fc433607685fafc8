// Whether the key of an object in a file is that of what is there, as Cling compiles it.
#ifndef NA64ROOT_CLING_KEYS_HPP
#define NA64ROOT_CLING_KEYS_HPP

#include "Bytes.h"
#include "TFile.h"
#include "TKey.h"
#include "TList.h"

namespace na64root_keys {

// The numbers with which a key begins, in the file before its object and in the list of keys.
struct Numbers {
    Int_t size = 0, length = 0; // in the file, of the object once it is unpacked
    Short_t key_length = 0;
    Long64_t place = 0;
};

inline bool read(TFile &file, Long64_t place, Numbers &numbers) {
    char header[26], *at = header;
    if (place < 0 || file.ReadBuffer(header, place, sizeof header))
        return false;
    UInt_t date;
    Short_t version, cycle;
    frombuf(at, &numbers.size);
    frombuf(at, &version);
    frombuf(at, &numbers.length);
    frombuf(at, &date);
    frombuf(at, &numbers.key_length);
    frombuf(at, &cycle);
    if (version > 1000) {
        frombuf(at, &numbers.place);
    } else {
        Int_t short_place;
        frombuf(at, &short_place);
        numbers.place = short_place;
    }
    return true;
}

// Whether the packed blocks of an object fill its place in the file, and what they give the object: ROOT
// unpacks each into what is left of a buffer of the object's length.
inline bool blocks_fit(TFile &file, const Numbers &numbers) {
    const Long64_t end = numbers.place + numbers.size;
    Long64_t at = numbers.place + numbers.key_length, unpacked = 0;
    if (end - at >= numbers.length)
        return end - at == numbers.length; // as it is
    while (at < end) {
        unsigned char header[9];
        if (end - at < 9 || file.ReadBuffer(reinterpret_cast<char *>(header), at, sizeof header))
            return false;
        at += 9 + (header[3] | header[4] << 8 | header[5] << 16);
        unpacked += header[6] | header[7] << 8 | header[8] << 16;
    }
    return at == end && unpacked == numbers.length;
}

// A key is there twice, in the list of keys and before its object, and both must agree: ROOT believes one
// here, the other there.
inline bool is_sound(TFile &file, TKey &key) {
    Numbers found;
    return read(file, key.GetSeekKey(), found) && found.size == key.GetNbytes() &&
           found.length == key.GetObjlen() && found.key_length == key.GetKeylen() &&
           found.place == key.GetSeekKey() && found.key_length > 26 && found.length >= 0 &&
           found.size > found.key_length && found.place + found.size <= file.GetEND() &&
           blocks_fit(file, found);
}

// Whether the list of keys begins as it was read when the file was opened: who walks through it again counts
// on its number of keys.
inline bool list_is_sound(TFile &file) {
    Numbers list;
    if (!read(file, file.GetSeekKeys(), list) || list.size != file.GetNbytesKeys() || list.key_length <= 26 ||
        list.size < list.key_length + 4 || list.place != file.GetSeekKeys())
        return false;
    char count[4], *at = count;
    if (file.ReadBuffer(count, list.place + list.key_length, sizeof count))
        return false;
    Int_t keys;
    frombuf(at, &keys);
    return keys == file.GetNkeys();
}

// A file that could not be opened may be no more, and still in ROOT's list of files to be closed at the end.
inline void keep_first(TSeqCollection &files, Int_t count) {
    auto *list = dynamic_cast<TList *>(&files);
    while (list && list->GetSize() > count)
        list->Remove(list->LastLink());
}

} // namespace na64root_keys

#endif
