// Columns of an RNTuple read where their pages lie in memory, without a value of a field between.
#ifndef NA64ROOT_RDF_NTUPLE_COLUMNS_HPP
#define NA64ROOT_RDF_NTUPLE_COLUMNS_HPP

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ROOT/RNTupleReadOptions.hxx"
#include "ROOT/RNTupleReader.hxx"
#include "ROOT/RNTupleView.hxx"
#include "sound_baskets.hpp"

namespace na64root::rdf {

// A field of numbers, or the items of an array of fixed length.
class NtupleColumn {
  public:
    virtual ~NtupleColumn() = default;
    virtual void read(std::uint64_t entry, double *numbers) = 0;
};

template <class Type> class ColumnOf : public NtupleColumn {
  public:
    ColumnOf(ROOT::RNTupleReader &reader, ROOT::DescriptorId_t field, int size)
        : view_(reader.GetDirectAccessView<Type>(field)), size_(static_cast<std::uint64_t>(size)) {}
    void read(std::uint64_t entry, double *numbers) override {
        for (std::uint64_t i = 0; i < size_; ++i)
            numbers[i] = view_(entry * size_ + i);
    }

  private:
    ROOT::RNTupleDirectAccessView<Type> view_;
    std::uint64_t size_;
};

// Files one after another, the branches of each stage; of one slot.
class NtupleColumns {
  public:
    // What all slots know: the first entry of each file, and the number of all.
    struct Files {
        std::string name;
        std::vector<std::string> paths;
        std::vector<std::uint64_t> first;
    };

    static std::unique_ptr<ROOT::RNTupleReader> open(const std::string &name, const std::string &path) {
        ROOT::RNTupleReadOptions options; // slots are threads, and pages are unpacked when they are asked for
        options.SetUseImplicitMT(ROOT::RNTupleReadOptions::EImplicitMT::kOff);
        return ROOT::RNTupleReader::Open(name, path, options);
    }

    // A column of what is wanted; null where the field is of another kind.
    static std::unique_ptr<NtupleColumn> column(ROOT::RNTupleReader &reader, const Input &input) {
        const auto &descriptor = reader.GetDescriptor();
        ROOT::DescriptorId_t id = descriptor.FindFieldId(input.name);
        if (id == ROOT::kInvalidDescriptorId)
            return nullptr;
        const auto &field = descriptor.GetFieldDescriptor(id);
        if (input.size > 1) {
            const auto &parts = field.GetLinkIds();
            if (field.GetNRepetitions() != static_cast<std::uint64_t>(input.size) || parts.size() != 1)
                return nullptr;
            id = parts.front();
        } else if (field.GetNRepetitions()) {
            return nullptr;
        }
        const std::string &type = descriptor.GetFieldDescriptor(id).GetTypeName();
        if (descriptor.GetFieldDescriptor(id).GetNRepetitions())
            return nullptr; // an array of arrays
        if (type == "double")
            return std::make_unique<ColumnOf<double>>(reader, id, input.size);
        if (type == "float")
            return std::make_unique<ColumnOf<float>>(reader, id, input.size);
        if (type == "std::int32_t")
            return std::make_unique<ColumnOf<std::int32_t>>(reader, id, input.size);
        if (type == "std::uint32_t")
            return std::make_unique<ColumnOf<std::uint32_t>>(reader, id, input.size);
        if (type == "bool")
            return std::make_unique<ColumnOf<bool>>(reader, id, input.size);
        if (type == "std::uint8_t")
            return std::make_unique<ColumnOf<std::uint8_t>>(reader, id, input.size);
        return nullptr;
    }

    // `files` and the branches of each stage live as long as this.
    void begin(const Files &files, const std::vector<Input> *branches, int stages) {
        files_ = &files;
        branches_ = branches;
        number_of_stages_ = stages;
    }

    // At an entry of all files.
    void at(std::uint64_t entry) {
        if (!reader_ || entry < begin_ || entry >= end_) {
            const auto next = std::upper_bound(files_->first.begin(), files_->first.end(), entry);
            const auto number = static_cast<std::size_t>(next - files_->first.begin()) - 1;
            auto reader = open(files_->name, files_->paths[number]);
            decltype(stages_) stages;
            for (int stage = 0; stage < number_of_stages_; ++stage) {
                auto &columns = stages.emplace_back();
                for (const Input &input : branches_[stage]) {
                    columns.push_back(column(*reader, input));
                    if (!columns.back())
                        throw std::runtime_error("branch " + input.name + " in " + files_->paths[number] +
                                                 " cannot be read");
                }
            }
            stages_ = std::move(stages); // before the reader that the former ones need
            reader_ = std::move(reader);
            begin_ = files_->first[number];
            end_ = files_->first[number + 1];
        }
        entry_ = entry - begin_;
    }

    void read(int stage, const std::vector<double *> &places) {
        auto &columns = stages_[static_cast<std::size_t>(stage)];
        for (std::size_t i = 0; i < columns.size(); ++i)
            columns[i]->read(entry_, places[i]);
    }

  private:
    const Files *files_ = nullptr;
    const std::vector<Input> *branches_ = nullptr;
    int number_of_stages_ = 0;
    std::unique_ptr<ROOT::RNTupleReader> reader_;
    std::vector<std::vector<std::unique_ptr<NtupleColumn>>> stages_; // after the reader, which they need
    std::uint64_t begin_ = 0, end_ = 0, entry_ = 0;
};

} // namespace na64root::rdf

#endif
