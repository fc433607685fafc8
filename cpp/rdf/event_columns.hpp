// What the compiled event loop knows by name: columns of an event, and functions of selection.hpp.
#ifndef NA64ROOT_RDF_EVENT_COLUMNS_HPP
#define NA64ROOT_RDF_EVENT_COLUMNS_HPP

#include <cstddef>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "booking.hpp"
#include "na64root/selection.hpp"

namespace na64root::rdf {

// Columns by the stage of the loop that first reads them. A stage is read only for events that something
// later still wants, so that expensive arrays stay packed where no event of a basket gets so far.
enum Stage { of_all, of_triggers, of_ecal_cells, of_beam, of_veto, of_rest, number_of_stages };

enum Column {
    run_number,
    weight,
    one,
    period,
    is_physics,
    is_trigger_physics,
    is_on_spill,
    is_calibration,
    ecal_total,
    hcal0,
    hcal1,
    hcal2,
    hcal_sum,
    ecal_no_time_cut,
    out_of_time,
    straw_x,
    straw_y,
    leading_cell,
    srd0,
    srd1,
    srd2,
    momentum,
    preshower,
    veto,
    r,
    r12,
    hcal1_centre,
    hcal2_centre,
    shower_chi2,
    spill,
    spill_event,
    number_of_columns
};

struct Known {
    const char *name;
    Column column;
    Stage stage;
    const char *branch; // that it is made of, "" for none
};

constexpr Known known_columns[] = {
    {"run", run_number, of_all, "run"},
    {"na64_weight", weight, of_all, ""},
    {"na64_one", one, of_all, ""},
    {"na64_period", period, of_all, "run"},
    {"isPhysics", is_physics, of_all, "isPhysics"},
    {"isTriggerPhysics", is_trigger_physics, of_all, "isTriggerPhysics"},
    {"isOnSpill", is_on_spill, of_all, "isOnSpill"},
    {"isCalibration", is_calibration, of_all, "isCalibration"},
    {"ecalTotal", ecal_total, of_all, "ecalTotal"},
    {"hcal0", hcal0, of_all, "hcal0"},
    {"hcal1", hcal1, of_all, "hcal1"},
    {"hcal2", hcal2, of_all, "hcal2"},
    {"na64_hcal", hcal_sum, of_all, "hcal0"},
    {"ecalTotalNoTimecut", ecal_no_time_cut, of_triggers, "ecalTotalNoTimecut"},
    {"na64_out_of_time", out_of_time, of_triggers, "ecalTotalNoTimecut"},
    {"straw3X", straw_x, of_triggers, "straw3X"},
    {"straw3Y", straw_y, of_triggers, "straw3Y"},
    {"na64_leading_cell", leading_cell, of_ecal_cells, "ECAL_ene"},
    {"na64_srd0", srd0, of_beam, "SRD_ene"},
    {"na64_srd1", srd1, of_beam, "SRD_ene"},
    {"na64_srd2", srd2, of_beam, "SRD_ene"},
    {"trackMomentum", momentum, of_beam, "trackMomentum"},
    {"ecal0", preshower, of_beam, "ecal0"},
    {"na64_veto", veto, of_veto, "VETO_ene"},
    {"na64_r", r, of_rest, "HCAL_ene"},
    {"na64_r12", r12, of_rest, "HCAL_ene"},
    {"HCAL_ene[4]", hcal1_centre, of_rest, "HCAL_ene"},
    {"HCAL_ene[13]", hcal2_centre, of_rest, "HCAL_ene"},
    {"showerChi2", shower_chi2, of_rest, "showerChi2"},
    {"spill", spill, of_all, "spill"},
    {"spillevent", spill_event, of_all, "spillevent"},
};

using Predicate = bool (*)(const double *values, const int *arguments);

template <class To> To argument(double value) {
    if constexpr (std::is_same_v<To, bool>)
        return value != 0.0;
    else
        return static_cast<To>(value);
}

template <auto Function, class Signature = decltype(Function)> struct Call;
template <auto Function, class... Arguments> struct Call<Function, bool (*)(Arguments...)> {
    static constexpr std::size_t arity = sizeof...(Arguments);
    static bool call(const double *values, const int *arguments) {
        return call(values, arguments, std::index_sequence_for<Arguments...>{});
    }
    template <std::size_t... I>
    static bool call(const double *values, const int *arguments, std::index_sequence<I...>) {
        return Function(argument<Arguments>(values[arguments[I]])...);
    }
};

struct Compiled {
    Predicate call;
    std::size_t arity;
};

template <auto Function> constexpr Compiled compiled() {
    return {&Call<Function>::call, Call<Function>::arity};
}

inline const std::map<std::string, Compiled> &predicates() {
    static const std::map<std::string, Compiled> all = {
        {"in_run_period", compiled<&in_run_period>()},
        {"passes_trigger", compiled<&passes_trigger>()},
        {"passes_pile_up", compiled<&passes_pile_up>()},
        {"passes_straw", compiled<&passes_straw>()},
        {"passes_beam_cell", compiled<&passes_beam_cell>()},
        {"passes_srd", compiled<&passes_srd>()},
        {"passes_momentum", compiled<&passes_momentum>()},
        {"passes_preshower", compiled<&passes_preshower>()},
        {"passes_ecal", compiled<&passes_ecal>()},
        {"passes_veto", compiled<&passes_veto>()},
        {"passes_hcal_s1", compiled<&passes_hcal_s1>()},
        {"passes_hcal_s2", compiled<&passes_hcal_s2>()},
        {"passes_r", compiled<&passes_r>()},
        {"passes_shower_chi2", compiled<&passes_shower_chi2>()},
        {"showers_in_hcal1", compiled<&showers_in_hcal1>()},
        {"passes_dimuon", compiled<&passes_dimuon>()},
    };
    return all;
}

// A derived column as the stages make it: a function of columns. `take` keeps its numbers, or says no to
// them.
struct Definition {
    std::string column, function;
    std::vector<std::string> of;
    bool (*take)(Settings &settings, const std::vector<double> &numbers);
};

inline const std::vector<Definition> &definitions() {
    using Numbers = std::vector<double>;
    const auto none = [](Settings &, const Numbers &numbers) { return numbers.empty(); };
    const auto is_one = [](Settings &, const Numbers &numbers) { return numbers == Numbers{1.0}; };
    const auto cores = [](Settings &settings, const Numbers &numbers) {
        settings.cores.assign(numbers.begin(), numbers.end());
        return !numbers.empty() && numbers.size() % hcal_modules_behind_ecal == 0;
    };
    static const std::vector<Definition> all = {
        {"na64_weight",
         "sum",
         {"mcWeight"},
         [](Settings &settings, const Numbers &numbers) {
             settings.weighted = true;
             return numbers.empty();
         }},
        {"na64_weight", "constant", {}, is_one},
        {"na64_one", "constant", {}, is_one},
        {"na64_period",
         "run_period",
         {"run"},
         [](Settings &settings, const Numbers &numbers) {
             settings.ranges.assign(numbers.begin(), numbers.end());
             return numbers.size() % 2 == 0;
         }},
        {"na64_period",
         "good_run_period",
         {"run", "spill"},
         // Numbers of run periods and of ranges, these ranges, the good spills.
         [](Settings &settings, const Numbers &numbers) {
             if (numbers.size() < 2)
                 return false;
             const auto ranges = static_cast<std::size_t>(2.0 * numbers[1]);
             if (numbers.size() < 2 + ranges + 4 || (numbers.size() - 2 - ranges) % 4 != 0)
                 return false;
             const auto middle = numbers.begin() + 2 + static_cast<std::ptrdiff_t>(ranges);
             settings.periods = static_cast<int>(numbers[0]);
             settings.ranges.assign(numbers.begin() + 2, middle);
             settings.good.assign(middle, numbers.end());
             return true;
         }},
        {"na64_hcal", "sum", {"hcal0", "hcal1", "hcal2"}, none},
        {"na64_out_of_time", "out_of_time_energy", {"ecalTotalNoTimecut", "ecalTotal"}, none},
        {"na64_leading_cell", "leading_ecal_cell", {"ECAL_ene"}, none},
        {"na64_srd0", "sum", {"SRD_ene[0]"}, none},
        {"na64_srd1", "sum", {"SRD_ene[1]"}, none},
        {"na64_srd2", "sum", {"SRD_ene[2]"}, none},
        {"na64_veto",
         "veto_energy",
         {"VETO_ene"},
         [](Settings &settings, const Numbers &numbers) {
             settings.photomultiplier_balances = numbers;
             return !numbers.empty();
         }},
        {"na64_r", "hcal_r_in_period", {"HCAL_ene", "na64_period"}, cores},
        {"na64_r12", "hcal_r12_in_period", {"HCAL_ene", "na64_period"}, cores},
    };
    return all;
}

} // namespace na64root::rdf

#endif
