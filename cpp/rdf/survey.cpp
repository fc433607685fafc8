#include "survey.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "../cling/rntuple_check.hpp"
#include "../cling/suspects.hpp"
#include "ROOT/RNTupleReader.hxx"
#include "ROOT/RNTupleView.hxx"
#include "TBranchElement.h"
#include "TDirectory.h"
#include "TError.h"
#include "TFile.h"
#include "TKey.h"
#include "TLeaf.h"
#include "TStreamerElement.h"
#include "TStreamerInfo.h"
#include "TTree.h"
#include "baskets.hpp"
#include "na64root/event_numbers.hpp"

namespace na64root::rdf {

namespace {

using na64root_ntuple::Suspects;
using Shape = std::vector<long>; // 0 where it varies

// Of a column that nothing reads: bytes of a file that are looked at.
constexpr long most_bytes = 2'000'000;

// JSON

// Length of the sequence of UTF-8 that begins here, 0 where there is none.
std::size_t utf8_length(const std::string &text, std::size_t i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80       ? 1
                               : lead >> 5 == 6  ? 2
                               : lead >> 4 == 14 ? 3
                               : lead >> 3 == 30 ? 4
                                                 : 0;
    if (i + length > text.size() || (length == 2 && lead < 0xc2) || lead > 0xf4)
        return 0;
    for (std::size_t k = 1; k < length; ++k)
        if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80)
            return 0;
    // Neither written longer than needed, nor a surrogate, nor beyond the last character.
    const auto next = length > 2 ? static_cast<unsigned char>(text[i + 1]) : 0u;
    if ((lead == 0xe0 && next < 0xa0) || (lead == 0xed && next > 0x9f) || (lead == 0xf0 && next < 0x90) ||
        (lead == 0xf4 && next > 0x8f))
        return 0;
    return length;
}

// Damaged or foreign text can be any bytes: what is no UTF-8 becomes a question mark.
std::string quoted(const std::string &text) {
    std::string json = "\"";
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = utf8_length(text, i);
        const auto c = static_cast<unsigned char>(text[i]);
        char escaped[8];
        if (length == 0) {
            json += '?';
        } else if (c < 0x20) {
            std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
            json += escaped;
        } else {
            if (c == '"' || c == '\\')
                json += '\\';
            json.append(text, i, length);
        }
        i += std::max<std::size_t>(length, 1);
    }
    return json + '"';
}

std::string number(long double value, bool integral) {
    if (!std::isfinite(value))
        return "null";
    char text[64];
    if (integral)
        std::snprintf(text, sizeof text, "%.0Lf", value);
    else
        std::snprintf(text, sizeof text, "%.17g", static_cast<double>(value));
    for (char *c = text; *c; ++c)
        if (*c == ',') // the decimal sign of some locales
            *c = '.';
    // A whole number is one of a whole type.
    return integral || std::strpbrk(text, ".e") ? text : std::string(text) + ".0";
}

template <class Range, class Text> std::string listed(const Range &items, Text &&text) {
    std::string json = "[";
    for (const auto &item : items) {
        if (json.size() > 1)
            json += ',';
        json += text(item);
    }
    return json + ']';
}

// Numbers of a column

// How many numbers each of some events has: all the same, or one by one.
struct Sizes {
    std::size_t events = 0, each = 0;
    std::vector<std::size_t> one_by_one;
    bool told_apart = true; // which numbers are of which event
    std::size_t of(std::size_t event) const { return one_by_one.empty() ? each : one_by_one[event]; }
};

class Numbers {
  public:
    template <class T> void add(const std::vector<T> &values, const Sizes &sizes) {
        integral_ = std::is_integral_v<T>;
        events_ += static_cast<long>(sizes.events);
        values_ += static_cast<long>(values.size());
        for (const std::size_t size : sizes.one_by_one)
            see_size(size);
        if (sizes.one_by_one.empty() && sizes.events)
            see_size(sizes.each);
        told_apart_ &= sizes.told_apart;
        if (example_is_dull_)
            take_example(values, sizes);
        T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
        long numbers = 0;
        for (const T value : values) {
            low = value < low ? value : low; // false for NaN
            high = value > high ? value : high;
            numbers += value == value;
        }
        nan_ += static_cast<long>(values.size()) - numbers;
        if (!numbers)
            return;
        if (may_be_suspect(low, high))
            look_closer(values, sizes);
        if (std::isinf(static_cast<double>(low)) || std::isinf(static_cast<double>(high))) {
            low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
            for (const T value : values) {
                infinite_ += std::isinf(static_cast<double>(value));
                if (std::isfinite(static_cast<double>(value)))
                    low = std::min(low, value), high = std::max(high, value);
            }
        }
        if (low <= high) {
            low_ = std::min<long double>(low_, low);
            high_ = std::max<long double>(high_, high);
        }
    }

    long events() const { return events_; }

    std::string json() const {
        std::string suspects = "{", of_events = "{";
        for (int i = 0; i < Suspects::size(); ++i) {
            if (!of_values_[i])
                continue;
            char name[32];
            std::snprintf(name, sizeof name, "%s\"%g\":", suspects.size() > 1 ? "," : "", Suspects::value(i));
            suspects += name + std::to_string(of_values_[i]);
            of_events += name + std::to_string(of_events_[i]);
        }
        const auto shown = [this](long double value) { return number(value, integral_); };
        return "\"events\":" + std::to_string(events_) + ",\"values\":" + std::to_string(values_) +
               ",\"nan\":" + std::to_string(nan_) + ",\"infinite\":" + std::to_string(infinite_) +
               ",\"minimum\":" + shown(low_) + ",\"maximum\":" + shown(high_) + ",\"lengths\":" +
               (told_apart_ && events_
                    ? '[' + std::to_string(shortest_) + ',' + std::to_string(longest_) + ']'
                    : "null") +
               ",\"example\":" + listed(example_, shown) + ",\"suspect_values\":" + suspects +
               "},\"suspect_events\":" + of_events + '}';
    }

  private:
    static constexpr std::size_t shown_of_example = 3;

    // Every suspect is -1 or less, or 999 or more.
    template <class T> static bool may_be_suspect(T low, T high) {
        return static_cast<long double>(low) <= -1.0L || static_cast<long double>(high) >= 999.0L;
    }

    template <class T> void look_closer(const std::vector<T> &values, const Sizes &sizes) {
        std::size_t at = 0;
        for (std::size_t event = 0; event < sizes.events; ++event) {
            std::array<bool, std::tuple_size_v<decltype(Suspects::values)>> seen{};
            for (const std::size_t end = at + sizes.of(event); at < end; ++at) {
                const auto value = static_cast<double>(values[at]);
                if (!may_be_suspect(values[at], values[at]))
                    continue;
                for (std::size_t i = 0; i < seen.size(); ++i)
                    if (value == Suspects::values[i] ||
                        value == static_cast<double>(static_cast<float>(Suspects::values[i]))) {
                        ++of_values_[i];
                        seen[i] = true;
                    }
            }
            for (std::size_t i = 0; i < seen.size(); ++i)
                of_events_[i] += seen[i];
        }
    }

    // Of the first event that has other numbers than 0, or else of the first.
    template <class T> void take_example(const std::vector<T> &values, const Sizes &sizes) {
        std::size_t at = 0;
        for (std::size_t event = 0; event < sizes.events && example_is_dull_; ++event) {
            const std::size_t end = at + sizes.of(event);
            const std::size_t shown = std::min(end, at + shown_of_example);
            bool dull = true;
            for (std::size_t i = at; i < shown; ++i)
                dull &= values[i] == T{} || !std::isfinite(static_cast<double>(values[i]));
            if (at < end && (example_.empty() || !dull)) {
                example_.assign(values.begin() + at, values.begin() + shown);
                example_is_dull_ = dull;
            }
            at = end;
        }
    }

    void see_size(std::size_t size) {
        shortest_ = std::min(shortest_, static_cast<long>(size));
        longest_ = std::max(longest_, static_cast<long>(size));
    }

    bool integral_ = false, example_is_dull_ = true, told_apart_ = true;
    long events_ = 0, values_ = 0, nan_ = 0, infinite_ = 0;
    long shortest_ = std::numeric_limits<long>::max(), longest_ = 0;
    long double low_ = std::numeric_limits<long double>::infinity(), high_ = -low_;
    std::array<long, std::tuple_size_v<decltype(Suspects::values)>> of_values_{}, of_events_{};
    std::vector<long double> example_;
};

// A column of a tree, over all files.
struct Column {
    std::string name, type;
    Shape shape;
    std::string not_read; // why there are no numbers
    int damaged_in = -1;  // number of the file
    bool is_text = false;
    Numbers numbers;
    std::string text; // an example of it
    long texts = 0;

    std::string json() const {
        std::string json = "{\"name\":" + quoted(name) + ",\"type\":" + quoted(type) +
                           ",\"shape\":" + listed(shape, [](long n) { return std::to_string(n); }) +
                           ",\"not_read\":" + (not_read.empty() ? "null" : quoted(not_read)) +
                           ",\"damaged_in\":" + (damaged_in < 0 ? "null" : std::to_string(damaged_in)) + ",";
        if (is_text)
            return json + "\"events\":" + std::to_string(numbers.events()) +
                   ",\"values\":" + std::to_string(texts) + ",\"text\":" + quoted(text) + "}";
        return json + numbers.json() + "}";
    }

    void add_text(const std::string &one) {
        ++texts;
        if (text.empty())
            text = one.substr(0, 60);
    }
};

// Types

// Calls `use` with a number of a type by any of its names; false where it is none.
template <class Use> bool with_type(const std::string &name, Use &&use) {
    // clang-format off
    static const std::map<std::string, char> codes{
        {"Double_t", 'd'}, {"double", 'd'}, {"Float_t", 'f'}, {"float", 'f'}, {"Int_t", 'i'}, {"int", 'i'},
        {"std::int32_t", 'i'}, {"UInt_t", 'I'}, {"unsigned int", 'I'}, {"std::uint32_t", 'I'}, {"unsigned", 'I'},
        {"Long64_t", 'l'}, {"Long_t", 'l'}, {"long", 'l'}, {"long long", 'l'}, {"std::int64_t", 'l'},
        {"ULong64_t", 'L'}, {"ULong_t", 'L'}, {"unsigned long", 'L'}, {"unsigned long long", 'L'},
        {"std::uint64_t", 'L'}, {"Short_t", 's'}, {"short", 's'}, {"std::int16_t", 's'}, {"UShort_t", 'S'},
        {"unsigned short", 'S'}, {"std::uint16_t", 'S'}, {"Char_t", 'c'}, {"char", 'c'}, {"signed char", 'c'},
        {"std::int8_t", 'c'}, {"UChar_t", 'C'}, {"unsigned char", 'C'}, {"std::uint8_t", 'C'}, {"Bool_t", 'C'},
        {"bool", 'C'}};
    // clang-format on
    const auto found = codes.find(name);
    switch (found == codes.end() ? ' ' : found->second) {
    case 'd':
        use(double{});
        return true;
    case 'f':
        use(float{});
        return true;
    case 'i':
        use(std::int32_t{});
        return true;
    case 'I':
        use(std::uint32_t{});
        return true;
    case 'l':
        use(std::int64_t{});
        return true;
    case 'L':
        use(std::uint64_t{});
        return true;
    case 's':
        use(std::int16_t{});
        return true;
    case 'S':
        use(std::uint16_t{});
        return true;
    case 'c':
        use(std::int8_t{});
        return true;
    case 'C':
        use(std::uint8_t{});
        return true;
    }
    return false;
}

bool is_number(const std::string &name) {
    return with_type(name, [](auto) {});
}

// TTree

// How the numbers of a column lie in an entry of a basket.
enum class Lies { fixed, to_the_end, in_vectors, text, text_in_vectors, as_root_says };

struct Leaf {
    std::string name, type, element; // element: type of a number
    Shape shape;
    std::string not_read;
    TBranch *branch = nullptr;
    TLeaf *leaf = nullptr;
    Lies lies = Lies::fixed;
    int header = 0; // bytes before the first number
    int behind = 0; // bytes of other leaves behind the last
    int length = 1;
    int depth = 0; // of vectors in vectors
};

// Sizes in brackets in the title of a leaf; not the range of a Double32_t.
Shape sizes_in(const std::string &title) {
    Shape shape;
    for (std::size_t at = title.find('['); at != std::string::npos; at = title.find('[', at + 1)) {
        const std::string size = title.substr(at + 1, title.find(']', at) - at - 1);
        const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
        const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; };
        if (!size.empty() && size.size() < 10 && std::all_of(size.begin(), size.end(), is_digit))
            shape.push_back(std::stol(size));
        else if (!size.empty() && std::all_of(size.begin(), size.end(), is_word))
            shape.push_back(0);
    }
    return shape;
}

// Takes the collections off a type: what is left, and how many there were.
std::pair<std::string, int> inside_collections(std::string type) {
    static const char *const names[] = {
        "vector<", "ROOT::VecOps::RVec<", "ROOT::RVec<",    "list<",        "deque<",
        "set<",    "multiset<",           "unordered_set<", "forward_list<"};
    int depth = 0;
    for (bool found = true; found;) {
        found = false;
        for (const char *prefix : {"const ", "std::"})
            if (type.rfind(prefix, 0) == 0)
                type.erase(0, std::strlen(prefix));
        for (const char *name : names)
            if (!found && type.rfind(name, 0) == 0 && type.back() == '>') {
                type = type.substr(std::strlen(name), type.size() - std::strlen(name) - 1);
                while (!type.empty() && type.back() == ' ')
                    type.pop_back();
                ++depth;
                found = true;
            }
    }
    return {type, depth};
}

constexpr const char *an_object = "an object, of which an expression in [layout.branches] can take a number";
constexpr const char *split = "an object, whose members are columns of their own";

// How a leaf of a TBranchElement lies in its baskets.
void place_in_object(Leaf &one, TBranchElement &branch) {
    const int kind = branch.GetStreamerType();
    const bool in_collection = branch.GetType() == 31 || branch.GetType() == 41;
    auto [inner, depth] = inside_collections(one.type);
    if (depth && !in_collection && (is_number(inner) || inner == "string")) {
        one.element = inner;
        one.depth = depth;
        one.shape.assign(depth, 0);
        one.lies = inner == "string" ? Lies::text_in_vectors : Lies::in_vectors;
        return;
    }
    if (inner == "string" && !depth && !in_collection) {
        one.lies = Lies::text;
        return;
    }
    if (one.type.rfind("array<", 0) == 0 && !in_collection) {
        const std::size_t comma = one.type.rfind(',');
        const std::string of = one.type.substr(6, comma - 6);
        const Shape length = sizes_in('[' + one.type.substr(comma + 1, one.type.size() - comma - 2) + ']');
        if (is_number(of) && length.size() == 1 && length[0] > 0) {
            one.element = of;
            one.shape = length;
            one.length = static_cast<int>(length[0]);
            return;
        }
    }
    one.element = one.type;
    if (one.type == "Double32_t" || one.type == "Float16_t") {
        TStreamerInfo *info = branch.GetInfo();
        const bool known = info && branch.GetID() >= 0 && branch.GetID() < info->GetElements()->GetEntries();
        const auto *element =
            known ? dynamic_cast<TStreamerElement *>(info->GetElements()->At(branch.GetID())) : nullptr;
        if (one.type == "Float16_t" || !element || element->GetFactor() != 0.0 || element->GetXmin() != 0.0) {
            one.not_read = "a " + one.type + " of fewer bits within an object";
            return;
        }
        one.element = "float";
    }
    if (!is_number(one.element) || kind == TStreamerInfo::kBits || kind == TStreamerInfo::kCharStar) {
        one.not_read = kind == TStreamerInfo::kBits ? "bits that ROOT keeps of an object" : an_object;
    } else if (in_collection) {
        one.lies = Lies::to_the_end;
        if (one.shape.empty() || one.shape[0] != 0)
            one.shape.insert(one.shape.begin(), 0);
        if (one.shape.size() == 1 && one.leaf->GetLenStatic() > 1)
            one.shape.push_back(one.leaf->GetLenStatic());
        if (kind > TStreamerInfo::kOffsetP && kind < TStreamerInfo::kOffsetP + 20)
            one.not_read = "arrays of different lengths in a collection of objects";
    } else if (kind > TStreamerInfo::kOffsetP && kind < TStreamerInfo::kOffsetP + 20) {
        one.lies = Lies::to_the_end;
        one.header = 1;
    } else {
        one.length = one.leaf->GetLenStatic();
    }
}

void list_leaves(TBranch &branch, std::vector<Leaf> &found) {
    auto *of_object = dynamic_cast<TBranchElement *>(&branch);
    const std::string name =
        of_object ? std::string(branch.GetFullName().Data()) : std::string(branch.GetName());
    if (branch.GetListOfBranches()->GetEntries()) {
        Leaf object{name, branch.GetClassName(), "", {}, split, &branch};
        if (of_object && (of_object->GetType() == 3 || of_object->GetType() == 4)) {
            object.type = of_object->GetType() == 3
                              ? "TClonesArray of " + std::string(of_object->GetClonesName())
                              : object.type;
            object.shape = {0};
        }
        found.push_back(object);
        for (auto *below : TRangeDynCast<TBranch>(branch.GetListOfBranches()))
            if (below)
                list_leaves(*below, found);
        return;
    }
    const bool plain = branch.IsA() == TBranch::Class();
    const int leaves = branch.GetListOfLeaves()->GetEntries();
    int before = 0;
    const std::size_t first = found.size();
    bool all_fixed = true;
    for (auto *leaf : TRangeDynCast<TLeaf>(branch.GetListOfLeaves())) {
        if (!leaf)
            continue;
        Leaf one;
        one.name = leaves > 1 ? name + '.' + leaf->GetName() : name;
        one.type = one.element = leaf->GetTypeName();
        one.branch = &branch;
        one.leaf = leaf;
        one.shape = sizes_in(leaf->GetTitle());
        if (leaf->GetLeafCount() && std::find(one.shape.begin(), one.shape.end(), 0) == one.shape.end())
            one.shape.insert(one.shape.begin(), 0);
        const std::string kind = leaf->ClassName();
        if (of_object) {
            place_in_object(one, *of_object);
        } else if (!plain || kind == "TLeafObject") {
            one.type = plain || !*branch.GetClassName() ? one.type : branch.GetClassName();
            one.not_read = an_object;
        } else if (kind == "TLeafC") {
            one.type = "char*";
            one.shape.clear();
            one.lies = Lies::text;
        } else if (one.type == "Double32_t" || one.type == "Float16_t") {
            one.element = "double";
            one.lies = Lies::as_root_says;
        } else if (!is_number(one.type)) {
            one.not_read = an_object;
        } else if (leaf->GetLeafCount()) {
            one.lies = Lies::to_the_end;
        } else {
            one.length = leaf->GetLenStatic();
        }
        all_fixed &= one.lies == Lies::fixed && one.not_read.empty();
        one.header += before;
        before += leaf->GetLenType() * leaf->GetLenStatic();
        found.push_back(one);
    }
    if (leaves < 2)
        return;
    for (std::size_t i = first; i < found.size(); ++i) {
        Leaf &one = found[i];
        if (all_fixed)
            one.behind = before - one.header - one.length * one.leaf->GetLenType();
        else if (one.not_read.empty() && one.lies != Lies::text)
            one.lies = Lies::as_root_says, one.element = "double";
        else if (one.not_read.empty())
            one.not_read = "text among other leaves of a branch";
    }
}

std::vector<Leaf> leaves_of(TTree &tree) {
    std::vector<Leaf> found;
    for (auto *branch : TRangeDynCast<TBranch>(tree.GetListOfBranches()))
        if (branch)
            list_leaves(*branch, found);
    return found;
}

struct Damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// Bytes that are not what they were taken for.
struct Otherwise : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class T> T big_endian(const char *at) {
    std::conditional_t<sizeof(T) == 8, std::uint64_t,
                       std::conditional_t<sizeof(T) == 4, std::uint32_t,
                                          std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint8_t>>>
        bits;
    std::memcpy(&bits, at, sizeof bits);
    if constexpr (sizeof(T) == 8)
        bits = __builtin_bswap64(bits);
    else if constexpr (sizeof(T) == 4)
        bits = __builtin_bswap32(bits);
    else if constexpr (sizeof(T) == 2)
        bits = __builtin_bswap16(bits);
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// The entries of a basket in memory, each inside its buffer.
class Entries {
  public:
    Entries(TBasket &basket, long events) : events_(events), first_(basket.GetKeylen()) {
        const TBuffer *buffer = basket.GetBufferRef();
        end_ = basket.GetLast();
        if (!buffer || basket.GetNevBuf() != events || first_ <= 0 || end_ < first_ ||
            end_ > buffer->BufferSize())
            throw Damaged("");
        bytes_ = buffer->Buffer();
        offsets_ = basket.GetEntryOffset();
        if (!offsets_ && events && (end_ - first_) % events)
            throw Damaged("");
        each_ = offsets_ || !events ? 0 : static_cast<int>((end_ - first_) / events);
        int previous = first_;
        for (long i = 0; offsets_ && i < events; ++i) {
            if (offsets_[i] < previous || offsets_[i] > end_)
                throw Damaged("");
            previous = offsets_[i];
        }
    }

    long events() const { return events_; }
    const char *begin(long i) const { return bytes_ + (offsets_ ? offsets_[i] : first_ + i * each_); }
    const char *end(long i) const { return i + 1 < events_ ? begin(i + 1) : bytes_ + end_; }
    int total() const { return end_ - first_; }

  private:
    long events_;
    int first_, end_ = 0, each_ = 0;
    const char *bytes_ = nullptr;
    const Int_t *offsets_ = nullptr;
};

constexpr std::uint32_t byte_count_mask = 0x40000000;

const char *behind_header(const char *at, const char *end) {
    return end - at >= 6 && big_endian<std::uint32_t>(at) & byte_count_mask ? at + 6 : at;
}

// Numbers of vectors in vectors.
template <class T> void unpack(const char *&at, const char *end, int depth, std::vector<T> &values) {
    if (end - at < 4)
        throw Otherwise("");
    const auto length = big_endian<std::int32_t>(at);
    at += 4;
    if (length < 0)
        throw Otherwise("");
    if (depth > 1) {
        for (int i = 0; i < length; ++i)
            unpack(at, end, depth - 1, values);
        return;
    }
    if ((end - at) / static_cast<long>(sizeof(T)) < length)
        throw Otherwise("");
    for (int i = 0; i < length; ++i, at += sizeof(T))
        values.push_back(big_endian<T>(at));
}

std::string unpack_text(const char *&at, const char *end) {
    long length = at < end ? static_cast<unsigned char>(*at++) : 0;
    if (length == 255) {
        if (end - at < 4)
            throw Otherwise("");
        length = big_endian<std::int32_t>(at);
        at += 4;
    }
    if (length < 0 || end - at < length)
        throw Otherwise("");
    const std::string text(at, at + std::min(length, 60l));
    at += length;
    return text;
}

void unpack_texts(const char *&at, const char *end, int depth, std::vector<std::string> &texts) {
    if (!depth) {
        texts.push_back(unpack_text(at, end));
        return;
    }
    if (end - at < 4)
        throw Otherwise("");
    const auto length = big_endian<std::int32_t>(at);
    at += 4;
    if (length < 0 || length > end - at)
        throw Otherwise("");
    for (int i = 0; i < length; ++i)
        unpack_texts(at, end, depth - 1, texts);
}

template <class T>
void numbers_in(const Leaf &one, const Entries &entries, std::vector<T> &values, Sizes &sizes) {
    values.clear();
    sizes.one_by_one.clear();
    sizes.events = static_cast<std::size_t>(entries.events());
    if (one.lies == Lies::fixed) {
        const long bytes = static_cast<long>(sizeof(T)) * one.length;
        sizes.each = static_cast<std::size_t>(one.length);
        values.resize(sizes.events * sizes.each);
        T *to = values.data();
        for (long i = 0; i < entries.events(); ++i) {
            const char *at = entries.begin(i) + one.header;
            if (entries.end(i) - at != bytes + one.behind)
                throw Otherwise("");
            for (int k = 0; k < one.length; ++k, at += sizeof(T))
                *to++ = big_endian<T>(at);
        }
        return;
    }
    for (long i = 0; i < entries.events(); ++i) {
        const char *at = entries.begin(i), *end = entries.end(i);
        const std::size_t before = values.size();
        if (one.lies == Lies::in_vectors) {
            at = behind_header(at, end);
            unpack(at, end, one.depth, values);
            if (at != end)
                throw Otherwise("");
        } else if (at < end) { // ROOT leaves an empty array of a pointer without its header
            at += one.header;
            if (at > end || (end - at) % static_cast<long>(sizeof(T)))
                throw Otherwise("");
            for (; at < end; at += sizeof(T))
                values.push_back(big_endian<T>(at));
        }
        sizes.one_by_one.push_back(values.size() - before);
    }
}

// Calls `use` with each basket of a branch, which is in memory then, and how many entries it has, until that
// returns false.
template <class Use> void each_basket(TBranch &branch, Long64_t entries, bool strict, bool fixed, Use &&use) {
    if (entries == 0)
        return;
    const Baskets baskets(branch, entries);
    if (!baskets.fit())
        throw Damaged("");
    bool more = true;
    for (Int_t i = 0; more && i < baskets.count(); ++i) {
        const bool sound = strict ? baskets.is_sound(i, fixed) : baskets.header_is_sound(i);
        TBasket *basket = sound ? branch.GetBasket(i) : nullptr;
        if (!basket)
            throw Damaged("");
        more = use(*basket, static_cast<long>(baskets.first_of(i + 1) - baskets.first_of(i)));
        branch.DropBaskets();
    }
}

// As the check of the baskets that a selection reads.
bool is_fixed(const Leaf &one) {
    return one.lies == Lies::fixed || (one.lies == Lies::as_root_says && !one.leaf->GetLeafCount());
}

// Calls `use` with the numbers of a leaf, some events after another.
template <class T, class Use> void each_numbers(const Leaf &one, bool whole, Use &&use) {
    TBranch &branch = *one.branch;
    std::vector<T> values;
    Sizes sizes;
    long bytes = 0, entry = 0;
    each_basket(branch, branch.GetEntries(), whole, is_fixed(one), [&](TBasket &basket, long events) {
        if (one.lies == Lies::as_root_says) {
            if (!basket.GetBufferRef() || basket.GetLast() > basket.GetBufferRef()->BufferSize())
                throw Damaged("");
            values.clear();
            sizes = {static_cast<std::size_t>(events), 0, {}};
            for (const long end = entry + events; entry < end; ++entry) {
                if (branch.GetEntry(entry) < 0)
                    throw Damaged("");
                const int length = one.leaf->GetLen();
                for (int k = 0; k < length; ++k)
                    values.push_back(static_cast<T>(one.leaf->GetValue(k)));
                sizes.one_by_one.push_back(static_cast<std::size_t>(length));
            }
        } else {
            numbers_in(one, Entries(basket, events), values, sizes);
        }
        use(values, sizes);
        bytes += basket.GetObjlen();
        return whole || bytes < most_bytes;
    });
}

void read_text(const Leaf &one, Column &column) {
    long bytes = 0;
    std::vector<std::string> texts;
    column.is_text = true;
    each_basket(*one.branch, one.branch->GetEntries(), false, false, [&](TBasket &basket, long events) {
        const Entries entries(basket, events);
        for (long i = 0; i < events; ++i) {
            texts.clear();
            const char *at = entries.begin(i), *end = entries.end(i);
            bool right = false;
            for (const char *start : {at, behind_header(at, end)}) {
                try {
                    texts.clear();
                    at = start;
                    unpack_texts(at, end, one.depth, texts);
                    right = at == end;
                } catch (const Otherwise &) {
                }
                if (right)
                    break;
            }
            if (!right)
                throw Otherwise("");
            for (const auto &text : texts)
                column.add_text(text);
        }
        column.numbers.add(std::vector<std::uint8_t>{}, Sizes{static_cast<std::size_t>(events), 0, {}});
        bytes += entries.total();
        return bytes < most_bytes;
    });
}

bool listed_in(const std::vector<std::string> &names, const std::string &name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// The columns so far, by name and type: files may differ.
class Columns {
  public:
    Column &of(const std::string &name, const std::string &type, const Shape &shape) {
        auto [place, is_new] = places_.try_emplace({name, type}, columns_.size());
        if (is_new) {
            columns_.push_back(std::make_unique<Column>());
            columns_.back()->name = name;
            columns_.back()->type = type;
            columns_.back()->shape = shape;
        }
        return *columns_[place->second];
    }
    std::string json() const {
        return listed(columns_, [](const auto &column) { return column->json(); });
    }

  private:
    std::map<std::pair<std::string, std::string>, std::size_t> places_;
    std::vector<std::unique_ptr<Column>> columns_;
};

constexpr const char *damaged = "it cannot be unpacked (the file is damaged)";
constexpr const char *otherwise = "it is written in a way that is not known here";

// What `read` throws becomes the reason why the column is not read.
template <class Read> void explained(Column &column, int file, Read &&read) {
    try {
        read();
    } catch (const Otherwise &) {
        column.not_read = otherwise;
    } catch (const std::exception &) { // of ROOT too, from a damaged header of a basket or a page
        column.not_read = damaged;
        column.damaged_in = file;
    }
}

void survey_tree(TTree &tree, int file, const std::vector<std::string> &whole, bool others,
                 Columns &columns) {
    for (const Leaf &one : leaves_of(tree)) {
        if (!others && !listed_in(whole, one.name))
            continue;
        Column &column = columns.of(one.name, one.type, one.shape);
        if (!one.not_read.empty())
            column.not_read = one.not_read;
        else if (column.not_read.empty())
            explained(column, file, [&] {
                if (one.lies == Lies::text || one.lies == Lies::text_in_vectors)
                    read_text(one, column);
                else
                    with_type(one.element, [&](auto zero) {
                        using T = decltype(zero);
                        each_numbers<T>(one, listed_in(whole, one.name),
                                        [&](const std::vector<T> &values, const Sizes &sizes) {
                                            column.numbers.add(values, sizes);
                                        });
                    });
            });
    }
}

// RNTuple

using Descriptor = ROOT::RNTupleDescriptor;
using Structure = ROOT::ENTupleStructure;

struct Field {
    std::string name, type, element;
    Shape shape;
    std::string not_read;
    ROOT::DescriptorId_t id = ROOT::kInvalidDescriptorId, collection = ROOT::kInvalidDescriptorId;
};

std::string shown_type(const std::string &type) {
    return type.empty() ? "an untyped record" : type;
}

void list_fields(const Descriptor &all, ROOT::DescriptorId_t id, Field one, std::vector<Field> &found) {
    const auto below = [&](ROOT::DescriptorId_t of) {
        std::vector<ROOT::DescriptorId_t> ids;
        for (const auto &field : all.GetFieldIterable(of))
            ids.push_back(field.GetId());
        return ids;
    };
    for (;;) {
        const auto &field = all.GetFieldDescriptor(id);
        const auto inner = below(id);
        const bool array = field.GetStructure() == Structure::kPlain && field.GetNRepetitions() > 0;
        if ((array || field.GetStructure() == Structure::kCollection) && inner.size() == 1) {
            if (!array && one.shape.empty())
                one.collection = id;
            one.shape.push_back(array ? static_cast<long>(field.GetNRepetitions()) : 0);
            id = inner[0];
        } else if (field.GetStructure() == Structure::kRecord) {
            Field object = one;
            object.not_read = split;
            found.push_back(object);
            for (const auto member : inner) {
                Field next = one;
                next.name += '.' + all.GetFieldDescriptor(member).GetFieldName();
                next.type = all.GetFieldDescriptor(member).GetTypeName();
                list_fields(all, member, next, found);
            }
            return;
        } else if (field.GetStructure() == Structure::kPlain && inner.size() == 1) {
            id = inner[0]; // of an enumeration, an atomic number
        } else {
            one.id = id;
            one.element = field.GetTypeName();
            const bool read = field.GetStructure() == Structure::kPlain && inner.empty() &&
                              (is_number(one.element) || one.element == "std::string");
            if (!read)
                one.not_read = an_object;
            found.push_back(one);
            return;
        }
    }
}

std::vector<Field> fields_of(const Descriptor &all) {
    std::vector<Field> found;
    for (const auto &field : all.GetTopLevelFields()) {
        Field one;
        one.name = field.GetFieldName();
        one.type = shown_type(field.GetTypeName());
        const std::size_t first = found.size();
        list_fields(all, field.GetId(), one, found);
        if (na64root_ntuple::added_later(all, field.GetId()))
            for (std::size_t i = first; i < found.size(); ++i)
                found[i].not_read =
                    "it was added after the first entries of the RNTuple, where it would be read as 0";
    }
    return found;
}

// Calls `use` with the numbers of a field, some events after another.
template <class T, class Use>
void each_numbers(ROOT::RNTupleReader &reader, const Field &one, bool whole, Use &&use) {
    constexpr std::size_t at_once = 1 << 15;
    const auto read = [&](auto view) {
        const std::size_t all = view.GetFieldRange().size(), events = reader.GetNEntries();
        std::size_t each = 1;
        bool nested = false;
        for (std::size_t i = 0; i < one.shape.size(); ++i) {
            nested |= i > 0 && one.shape[i] == 0;
            each *= one.shape[i] ? static_cast<std::size_t>(one.shape[i]) : 1;
        }
        const bool varies = !one.shape.empty() && one.shape[0] == 0;
        nested |= varies && one.collection == ROOT::kInvalidDescriptorId;
        std::unique_ptr<ROOT::RNTupleCollectionView> collection;
        if (varies && !nested)
            collection =
                std::make_unique<ROOT::RNTupleCollectionView>(reader.GetCollectionView(one.collection));
        std::vector<T> values;
        Sizes sizes;
        std::size_t at = 0;
        for (std::size_t event = 0; event < events && (whole || at * sizeof(T) < most_bytes);) {
            values.clear();
            sizes = {};
            sizes.each = each;
            sizes.told_apart = !nested;
            while (event < events && values.size() < at_once) {
                // Numbers of arrays in arrays are all taken for those of the first event.
                const std::size_t size = nested   ? (event ? 0 : all)
                                         : varies ? each * (*collection)(event)
                                                  : each;
                if (size > all - at)
                    throw Damaged("");
                for (const std::size_t end = at + size; at < end; ++at)
                    values.push_back(static_cast<T>(view(at)));
                if (varies || nested)
                    sizes.one_by_one.push_back(size);
                ++sizes.events;
                ++event;
            }
            use(values, sizes);
        }
    };
    if (one.element == "bool")
        read(reader.GetDirectAccessView<bool>(one.id));
    else if (one.element == "char")
        read(reader.GetDirectAccessView<char>(one.id));
    else
        read(reader.GetDirectAccessView<T>(one.id));
}

void survey_ntuple(ROOT::RNTupleReader &reader, int file, const std::vector<std::string> &whole, bool others,
                   Columns &columns) {
    for (const Field &one : fields_of(reader.GetDescriptor())) {
        if (!others && !listed_in(whole, one.name))
            continue;
        Column &column = columns.of(one.name, one.type, one.shape);
        if (!one.not_read.empty())
            column.not_read = one.not_read;
        else if (column.not_read.empty())
            explained(column, file, [&] {
                if (one.element == "std::string") {
                    column.is_text = true;
                    auto view = reader.GetView<std::string>(one.id);
                    long bytes = 0;
                    for (const auto i : view.GetFieldRange()) {
                        column.add_text(view(i));
                        if ((bytes += static_cast<long>(view(i).size())) > most_bytes)
                            break;
                    }
                    const auto events = static_cast<std::size_t>(reader.GetNEntries());
                    column.numbers.add(std::vector<std::uint8_t>{}, Sizes{events, 0, {}});
                } else {
                    with_type(one.element, [&](auto zero) {
                        using T = decltype(zero);
                        each_numbers<T>(reader, one, listed_in(whole, one.name),
                                        [&](const std::vector<T> &values, const Sizes &sizes) {
                                            column.numbers.add(values, sizes);
                                        });
                    });
                }
            });
    }
}

// Files

std::unique_ptr<TFile> opened(const std::string &path) {
    std::unique_ptr<TFile> file(TFile::Open(path.c_str(), "READ"));
    if (!file || file->IsZombie())
        throw std::runtime_error("cannot open " + path);
    return file;
}

TKey *key_of(TFile &file, const std::string &name) {
    const std::size_t slash = name.rfind('/');
    TDirectory *folder =
        slash == std::string::npos ? &file : file.GetDirectory(name.substr(0, slash).c_str());
    return folder ? folder->GetKey(name.substr(slash == std::string::npos ? 0 : slash + 1).c_str()) : nullptr;
}

// Calls one of both with what is called `name` in a file.
template <class OfTree, class OfNtuple>
void with_tree(const std::string &path, const std::string &name, OfTree &&of_tree, OfNtuple &&of_ntuple) {
    const auto file = opened(path);
    TKey *key = key_of(*file, name);
    if (!key)
        throw std::runtime_error("no " + name + " in " + path);
    if (std::string(key->GetClassName()) == "ROOT::RNTuple") {
        if (!na64root_ntuple::anchor_is_sound(*file, *key))
            throw std::runtime_error("damaged");
        of_ntuple();
        return;
    }
    std::unique_ptr<TObject> object(key->ReadObj());
    auto *tree = dynamic_cast<TTree *>(object.get());
    if (!tree)
        throw std::runtime_error("damaged");
    of_tree(*tree);
}

struct Key {
    std::string name, type, title;
    int older = 0;
};

// `seen`: where folders are in the file. A damaged file may say that one is in itself, each is entered once.
void list_keys(TDirectory &folder, const std::string &prefix, std::set<Long64_t> &seen,
               std::vector<Key> &keys) {
    std::map<std::string, std::pair<int, std::size_t>> newest;
    for (auto *key : TRangeDynCast<TKey>(folder.GetListOfKeys())) {
        if (!key)
            continue;
        const std::string name = prefix + key->GetName();
        const auto found = newest.find(name);
        if (found != newest.end()) {
            Key &known = keys[found->second.second];
            ++known.older;
            if (key->GetCycle() > found->second.first) {
                found->second.first = key->GetCycle();
                known.type = key->GetClassName();
                known.title = key->GetTitle();
            }
            continue;
        }
        newest[name] = {key->GetCycle(), keys.size()};
        keys.push_back({name, key->GetClassName(), key->GetTitle()});
        if (keys.back().type == "TDirectoryFile" && seen.insert(key->GetSeekKey()).second)
            if (TDirectory *below = folder.GetDirectory(key->GetName()))
                list_keys(*below, name + '/', seen, keys);
    }
}

// A number of each event, of any type, as it was found to fit into 32 bits.
std::vector<std::uint32_t> whole_numbers(TTree *tree, ROOT::RNTupleReader *reader, const std::string &name) {
    std::vector<std::uint32_t> numbers;
    const auto take = [&](const auto &values, const Sizes &) {
        for (const auto value : values)
            numbers.push_back(static_cast<std::uint32_t>(value));
    };
    const auto none = [&name] { return std::runtime_error("no number " + name); };
    if (tree) {
        for (const Leaf &one : leaves_of(*tree))
            if (one.name == name && one.not_read.empty() &&
                with_type(one.element, [&](auto zero) { each_numbers<decltype(zero)>(one, true, take); }))
                return numbers;
        throw none();
    }
    for (const Field &one : fields_of(reader->GetDescriptor()))
        if (one.name == name && one.not_read.empty() && with_type(one.element, [&](auto zero) {
                each_numbers<decltype(zero)>(*reader, one, true, take);
            }))
            return numbers;
    throw none();
}

} // namespace

std::string leaves(TTree &tree, const std::vector<std::string> &names) {
    return listed(names, [&tree](const std::string &name) -> std::string {
        TBranch *branch = tree.GetBranch(name.c_str());
        if (!branch)
            return "null";
        const std::string json = "{\"class\":" + quoted(branch->GetClassName());
        auto *leaf =
            branch->GetNleaves() == 1 ? static_cast<TLeaf *>(branch->GetListOfLeaves()->At(0)) : nullptr;
        if (!leaf)
            return json + '}';
        return json + ",\"type\":" + quoted(leaf->GetTypeName()) + ",\"title\":" + quoted(leaf->GetTitle()) +
               ",\"length\":" + std::to_string(leaf->GetLenStatic()) +
               ",\"counted\":" + (leaf->GetLeafCount() ? "true" : "false") + '}';
    });
}

std::string contents(const std::string &path) {
    const auto file = opened(path);
    std::vector<Key> keys;
    std::set<Long64_t> seen;
    list_keys(*file, "", seen, keys);
    return listed(keys, [](const Key &key) {
        return "{\"name\":" + quoted(key.name) + ",\"class\":" + quoted(key.type) +
               ",\"older\":" + std::to_string(key.older) + '}';
    });
}

std::string survey(const std::vector<std::string> &files, const std::string &tree,
                   const std::vector<std::string> &whole, bool others) {
    Columns columns;
    std::string entries;
    for (int file = 0; file < static_cast<int>(files.size()); ++file)
        with_tree(
            files[file], tree,
            [&](TTree &found) {
                entries += (file ? "," : "") + std::to_string(found.GetEntries());
                survey_tree(found, file, whole, others, columns);
            },
            [&] {
                const auto reader = ROOT::RNTupleReader::Open(tree, files[file]);
                entries += (file ? "," : "") + std::to_string(reader->GetNEntries());
                survey_ntuple(*reader, file, whole, others, columns);
            });
    return "{\"entries\":[" + entries + "],\"columns\":" + columns.json() + '}';
}

std::string spills(const std::vector<std::string> &files, const std::string &tree,
                   const std::vector<std::string> &numbers, const std::vector<std::string> &flags,
                   bool once) {
    struct Sums {
        long events = 0, triggers = 0;
    };
    std::map<std::pair<std::uint32_t, std::uint32_t>, Sums> found;
    EventNumbers seen;
    long duplicates = 0;
    const auto add = [&](TTree *of, ROOT::RNTupleReader *reader) {
        std::vector<std::vector<std::uint32_t>> columns;
        for (const auto *names : {&numbers, &flags})
            for (const auto &name : *names)
                columns.push_back(whole_numbers(of, reader, name));
        for (const auto &column : columns)
            if (column.size() != columns[0].size())
                throw std::runtime_error("columns of different lengths");
        Sums *sums = nullptr;
        std::pair<std::uint32_t, std::uint32_t> last;
        for (std::size_t i = 0; i < columns[0].size(); ++i) {
            const std::pair<std::uint32_t, std::uint32_t> spill{columns[0][i], columns[1][i]};
            if (!sums || spill != last) {
                sums = &found[spill];
                last = spill;
            }
            ++sums->events;
            sums->triggers +=
                !flags.empty() && columns[3][i] && columns[4][i] && columns[5][i] && !columns[6][i];
            if (once)
                duplicates += !seen.add(spill.first, spill.second, columns[2][i]);
        }
    };
    for (const auto &path : files)
        with_tree(
            path, tree, [&](TTree &of) { add(&of, nullptr); },
            [&] { add(nullptr, ROOT::RNTupleReader::Open(tree, path).get()); });
    return "{\"duplicates\":" + std::to_string(duplicates) + ",\"spills\":" +
           listed(found,
                  [](const auto &item) {
                      return '[' + std::to_string(item.first.first) + ',' +
                             std::to_string(item.first.second) + ',' + std::to_string(item.second.events) +
                             ',' + std::to_string(item.second.triggers) + ']';
                  }) +
           '}';
}

} // namespace na64root::rdf
