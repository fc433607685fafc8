// Whether the baskets of a branch can be read, looked at by unpacking them: RDataFrame reads through a null
// pointer where one cannot be unpacked, and past the end of one whose header is wrong.
#ifndef NA64ROOT_RDF_BASKETS_HPP
#define NA64ROOT_RDF_BASKETS_HPP

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "Bytes.h"
#include "TBasket.h"
#include "TBranch.h"
#include "TBufferFile.h"
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

    // Where a basket that is sound has its first entry in memory, each as many bytes behind the one before
    // it.
    const char *data(Int_t number) const {
        TBasket *basket = branch_->GetBasket(number);
        return basket->GetBufferRef()->Buffer() + basket->GetKeylen();
    }
    Int_t entry_bytes() const { return entry_bytes_; }

    // Unpacks a basket, which stays in memory, and holds it to its branch: entries of one size without
    // offsets, or of different sizes, each of which begins in the buffer after the one before it.
    bool is_sound(Int_t number, bool fixed_size) const {
        try {
            TBasket *basket = header_is_sound(number) ? branch_->GetBasket(number) : nullptr;
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

    // Likewise of entries of which nothing is known, as those of text and objects.
    bool is_whole(Int_t number) const {
        try {
            TBasket *basket = header_is_sound(number) ? branch_->GetBasket(number) : nullptr;
            if (!basket || basket->GetNevBuf() != first_of(number + 1) - first_of(number) ||
                !basket->GetBufferRef() || basket->GetKeylen() <= 0)
                return false;
            const Int_t *offsets = basket->GetEntryOffset();
            const Int_t end = basket->GetLast();
            bool sound = end >= basket->GetKeylen() && end <= basket->GetBufferRef()->BufferSize();
            Int_t previous = basket->GetKeylen();
            for (Int_t i = 0; sound && offsets && i < basket->GetNevBuf(); ++i) {
                sound = offsets[i] >= previous && offsets[i] <= end;
                previous = offsets[i];
            }
            return sound;
        } catch (const std::exception &) {
            return false;
        }
    }

    // Whether a basket on this machine's disk says of itself what its branch does, and what it is unpacked to
    // has room for its data and the offsets of its entries: ROOT believes all that, and reads past the end.
    bool header_is_sound(Int_t number) const {
        TFile *file = branch_->GetFile();
        if (!file || file->IsA() != TFile::Class() || number >= branch_->GetWriteBasket() ||
            branch_->GetListOfBaskets()->At(number))
            return true;
        const Long64_t place = branch_->GetBasketSeek(number);
        const Int_t bytes = branch_->GetBasketBytes()[number];
        char header[1024];
        const Int_t held = std::min<Int_t>(bytes, sizeof header);
        if (place <= 0 || bytes < 60 || place + bytes > file->GetEND() ||
            file->ReadBuffer(header, place, held))
            return false;
        TBufferFile buffer(TBuffer::kRead, held, header, kFALSE);
        Int_t nbytes, length, size, entry_size, entries, last;
        Short_t version, key_length, cycle;
        UInt_t date;
        Char_t io_bits;
        buffer >> nbytes >> version >> length >> date >> key_length >> cycle;
        if (nbytes != bytes || length <= 0 || key_length < 60 || key_length > held)
            return false;
        buffer.SetBufferOffset(buffer.Length() + (version > 1000 ? 16 : 8));
        if (std::memcmp(header + buffer.Length(), "\7TBasket", 8))
            return false;
        for (int text = 0; text < 3; ++text) { // class, name, title
            UChar_t characters;
            buffer >> characters;
            Int_t more = characters;
            if (characters == 255)
                buffer >> more;
            if (more < 0 || more > key_length - buffer.Length() - 19)
                return false;
            buffer.SetBufferOffset(buffer.Length() + more);
        }
        buffer >> version >> size >> entry_size;
        if (entry_size < 0)
            buffer >> io_bits;
        buffer >> entries >> last;
        // With another flag, which none in a file has, ROOT reads arrays of a length that they give.
        const int flag = static_cast<unsigned char>(header[key_length - 1]);
        if (flag != 0 && flag != 80)
            return false;
        if (entries != first_of(number + 1) - first_of(number) || last < key_length ||
            last > key_length + length)
            return false;
        if (bytes < key_length + length || last + 4 > key_length + length)
            return true; // packed, which is looked at while it is unpacked; or without offsets
        char stored[4], *at = stored;
        Int_t offsets;
        if (file->ReadBuffer(stored, place + last, 4))
            return false;
        frombuf(at, &offsets);
        return offsets >= 0 && offsets <= (key_length + length - last - 4) / 4;
    }

  private:
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

// What is known of the entries of a branch.
enum class EntriesAre { of_one_size, of_different_sizes, unknown };

// All baskets of a branch, one after another in memory.
inline bool baskets_are_sound(TBranch &branch, Long64_t entries, EntriesAre are) {
    const Baskets baskets(branch, entries);
    bool sound = baskets.fit();
    for (Int_t i = 0; sound && i < baskets.count(); ++i) {
        sound = are == EntriesAre::unknown ? baskets.is_whole(i)
                                           : baskets.is_sound(i, are == EntriesAre::of_one_size);
        branch.DropBaskets();
    }
    return sound;
}

} // namespace na64root::rdf

#endif
