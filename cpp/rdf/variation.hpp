// One direction of a systematic source in the compiled event loop: the columns of an event under its change.
//
// What systematics.hpp does to a branch is done to the columns that the stages made of it, so that nothing is
// read again and only what a variation changes is evaluated once more.
#ifndef NA64ROOT_RDF_VARIATION_HPP
#define NA64ROOT_RDF_VARIATION_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ROOT/RVec.hxx"
#include "event_columns.hpp"
#include "na64root/selection.hpp"
#include "na64root/systematics.hpp"

namespace na64root::rdf {

// Arrays of the event at work, as long as it is; null before their stage.
struct Cells {
    const ROOT::RVecD *ecal = nullptr, *veto = nullptr, *hcal = nullptr;
};

class Variation {
  public:
    enum Kind { scale, threshold, resolution, stochastic };

    Variation(Kind kind, double size, std::uint64_t seed, std::uint32_t source)
        : kind_(kind), size_(size), seed_(seed), source_(source) {}

    static std::optional<Kind> kind(const std::string &name) {
        static const std::map<std::string, Kind> kinds = {{"scale", scale},
                                                          {"threshold", threshold},
                                                          {"resolution", resolution},
                                                          {"stochastic", stochastic}};
        const auto found = kinds.find(name);
        return found == kinds.end() ? std::nullopt : std::optional(found->second);
    }

    // Also change a branch, or a derived column by its name; `single`: values are rounded as its type does.
    // False for what is no column here.
    bool change(const std::string &name, bool single) {
        bool known = false;
        for (const Known &column : known_columns)
            if (name == (derived_by_itself(column) ? column.name : column.branch) &&
                column.column != hcal_sum && column.column != period && column.column != run_number) {
                change_[column.column] = single ? in_single_precision : in_double_precision;
                known = true;
            }
        return known;
    }

    // Whether the order of changes matters: of a column and of what it is made of.
    bool is_ambiguous() const {
        return change_[out_of_time] && (change_[ecal_total] || change_[ecal_no_time_cut]);
    }

    bool reaches(int column) const {
        switch (column) {
        case hcal_sum:
            return change_[hcal0] || change_[hcal1] || change_[hcal2];
        case out_of_time:
            return change_[out_of_time] || change_[ecal_total] || change_[ecal_no_time_cut];
        default:
            return change_[column];
        }
    }

    bool smears() const { return kind_ == resolution || kind_ == stochastic; }
    double normal(const double *values) const {
        const auto whole = [&](Column column) { return static_cast<std::uint32_t>(values[column]); };
        return event_normal(seed_, whole(run_number), whole(spill), whole(spill_event), source_);
    }

    // A column of the event under the change. `normal`: of this event, where it smears.
    double varied(int column, const double *values, double normal, const Cells &cells,
                  const std::vector<double> &balances, const std::vector<HcalCore> &cores) const {
        switch (column) {
        case hcal_sum:
            return of(hcal0, values, normal) + of(hcal1, values, normal) + of(hcal2, values, normal);
        case out_of_time: {
            const double energy =
                out_of_time_energy(of(ecal_no_time_cut, values, normal), of(ecal_total, values, normal));
            return change_[out_of_time] ? changed(column, energy, normal) : energy;
        }
        case leading_cell:
            return leading_ecal_cell(all(column, *cells.ecal, normal));
        case veto: {
            const auto index = static_cast<std::size_t>(values[period]);
            return veto_energy(all(column, *cells.veto, normal),
                               balances[std::min(index, balances.size() - 1)]);
        }
        case r:
            return hcal_r_in_period(all(column, *cells.hcal, normal), values[period], cores);
        case r12:
            return hcal_r12_in_period(all(column, *cells.hcal, normal), values[period], cores);
        default:
            return of(column, values, normal);
        }
    }

  private:
    enum Change : unsigned char { none, in_double_precision, in_single_precision };

    // Named by itself in a source, and not by the branch that brings it.
    static bool derived_by_itself(const Known &column) { return column.column == out_of_time; }

    double changed(int column, double value, double normal) const {
        double result = value;
        switch (kind_) {
        case scale:
            result = scaled(value, size_);
            break;
        case threshold:
            result = against_threshold(value, size_);
            break;
        case resolution:
            result = smeared(value, size_, normal);
            break;
        case stochastic:
            result = smeared_stochastic(value, size_, normal);
            break;
        }
        return change_[column] == in_single_precision ? static_cast<double>(static_cast<float>(result))
                                                      : result;
    }

    double of(int column, const double *values, double normal) const {
        return change_[column] ? changed(column, values[column], normal) : values[column];
    }

    ROOT::RVecD all(int column, const ROOT::RVecD &energies, double normal) const {
        ROOT::RVecD result(energies);
        for (double &energy : result)
            energy = changed(column, energy, normal);
        return result;
    }

    Kind kind_;
    double size_;
    std::uint64_t seed_;
    std::uint32_t source_;
    std::array<Change, number_of_columns> change_{};
};

} // namespace na64root::rdf

#endif
