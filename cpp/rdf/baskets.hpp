// Whether the baskets of a branch can be read, looked at by unpacking them: RDataFrame reads through a null
// pointer where one cannot be unpacked, and past the end of one whose header is wrong.
#ifndef NA64ROOT_RDF_BASKETS_HPP
#define NA64ROOT_RDF_BASKETS_HPP

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "TBasket.h"
#include "TBranch.h"
#include "TBuffer.h"
#include "TFile.h"
#include "TLeaf.h"

namespace na64root::rdf {

// Of a branch in the tree of one file, which has so many entries.
class Baskets {
  public:
    Baskets(TBranch &branch, Long64_t entries) : branch_(&branch), entries_(entries) {
        const Int_t on_disk = branch.GetWriteBasket();
        count_ = on_disk + (branch.GetListOfBaskets()->At(on_disk) ? 1 : 0);
        for (auto *leaf : TRangeDynCast<TLeaf>(branch.GetListOfLeaves())) {
            entry_bytes_ += leaf->GetLen() * leaf->GetLenType();
            const std::string type = leaf->GetTypeName();
            packed_ |= type == "Double32_t" || type == "Float16_t";
        }
    }

    Int_t count() const { return count_; }
    Long64_t first_of(Int_t basket) const {
        return basket < count_ ? branch_->GetBasketEntry()[basket] : entries_;
    }

    // Whether together they hold all entries, in their order.
    bool fit() const {
        bool fit = branch_->GetEntries() == entries_ && count_ > 0 && count_ <= branch_->GetMaxBaskets() &&
                   first_of(0) == 0;
        for (Int_t i = 0; fit && i < count_; ++i)
            fit = first_of(i) <= first_of(i + 1);
        return fit;
    }

    // The basket with an entry; they fit.
    Int_t holding(Long64_t entry) const {
        const Long64_t *first = branch_->GetBasketEntry();
        return static_cast<Int_t>(std::upper_bound(first, first + count_, entry) - first) - 1;
    }

    // Unpacks a basket, which stays in memory, and holds it to its branch: entries of one size without
    // offsets, or of different sizes, each of which begins in the buffer after the one before it.
    bool is_sound(Int_t number, bool fixed_size) const {
        try {
            if (!header_is_sound(number))
                return false;
            TBasket *basket = branch_->GetBasket(number);
            if (!basket || basket->GetNevBuf() != first_of(number + 1) - first_of(number) ||
                !has_size(*basket, number) || !basket->GetBufferRef() || basket->GetKeylen() <= 0)
                return false;
            const Int_t *offsets = basket->GetEntryOffset();
            if (fixed_size && packed_) { // in fewer bytes than in memory, the same in every entry
                const Int_t bytes = basket->GetLast() - basket->GetKeylen();
                return !offsets && bytes >= 0 && bytes % std::max(basket->GetNevBuf(), 1) == 0 &&
                       basket->GetLast() <= basket->GetBufferRef()->BufferSize();
            }
            if (fixed_size) {
                const Long64_t end = basket->GetKeylen() + basket->GetNevBuf() * Long64_t{entry_bytes_};
                return !offsets && basket->GetNevBufSize() == entry_bytes_ && basket->GetLast() == end &&
                       end <= basket->GetBufferRef()->BufferSize();
            }
            const Int_t end = basket->GetLast();
            bool sound = offsets && end <= basket->GetBufferRef()->BufferSize();
            Int_t previous = basket->GetKeylen();
            for (Int_t i = 0; sound && i < basket->GetNevBuf(); ++i) {
                sound = offsets[i] >= previous && offsets[i] <= end;
                previous = offsets[i];
            }
            return sound;
        } catch (const std::exception &) { // a damaged size in the header of a basket
            return false;
        }
    }

  private:
    // ROOT reads the numbers before a basket's events as they come, and with a flag among them, which none in
    // a file has, arrays of a length that they give. Of a remote file, which transport holds to checksums,
    // they are not read twice.
    bool header_is_sound(Int_t number) const {
        const Long64_t place = branch_->GetBasketSeek(number);
        TFile *file = place ? branch_->GetFile() : nullptr;
        if (!file || file->IsA() != TFile::Class())
            return true;
        char header[1024];
        const Int_t size = std::min<Int_t>(sizeof header, branch_->GetBasketBytes()[number]);
        if (size < 45 || file->ReadBuffer(header, place, size))
            return false;
        const auto byte = [&](Int_t i) { return i < size ? static_cast<unsigned char>(header[i]) : 0; };
        const Int_t key_length = byte(14) << 8 | byte(15);
        if (key_length > size)
            return size == sizeof header; // names of another time
        Int_t at = (byte(4) << 8 | byte(5)) > 1000 ? 34 : 26;
        if (byte(at) != 7 || at + 8 > size || std::memcmp(header + at + 1, "TBasket", 7))
            return false;
        at += 8;
        for (int text = 0; text < 2; ++text) { // of its branch and its tree, which may have others now
            if (byte(at) == 255)
                return true;
            at += 1 + byte(at);
        }
        const Int_t flag = byte(key_length - 1);
        return (flag == 0 || flag == 80) && at + 19 <= key_length;
    }

    // What a basket in the file says of its size, packed and not, decides whether it is unpacked at all.
    bool has_size(TBasket &basket, Int_t number) const {
        return !branch_->GetBasketSeek(number) ||
               (basket.GetNbytes() == branch_->GetBasketBytes()[number] &&
                basket.GetObjlen() >= basket.GetLast() - basket.GetKeylen());
    }

    TBranch *branch_;
    Long64_t entries_;
    Int_t count_ = 0, entry_bytes_ = 0;
    bool packed_ = false; // Double32_t or Float16_t
};

// All baskets of a branch, one after another in memory.
inline bool baskets_are_sound(TBranch &branch, Long64_t entries, bool fixed_size) {
    const Baskets baskets(branch, entries);
    bool sound = baskets.fit();
    for (Int_t i = 0; sound && i < baskets.count(); ++i) {
        sound = baskets.is_sound(i, fixed_size);
        branch.DropBaskets();
    }
    return sound;
}

} // namespace na64root::rdf

#endif
