#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <tuple>

#include "check.hpp"
#include "na64root/event_numbers.hpp"
#include "na64root/random.hpp"

using namespace na64root;

namespace {

// Against a plain set of numbers, in any order and with neighbours across blocks of 64.
void a_number_is_new_once() {
    Random random(1, 0, Stream::gun);
    std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> plain;
    EventNumbers numbers;
    for (int i = 0; i < 20000; ++i) {
        const auto draw = [&](double n) { return static_cast<std::uint32_t>(random.uniform() * n); };
        const std::uint32_t run = 4000 + draw(3), spill = draw(4), event = draw(i % 2 ? 300 : 4.2e9);
        CHECK(numbers.add(run, spill, event) == plain.emplace(run, spill, event).second);
    }
    CHECK(numbers.size() == plain.size());
    CHECK(plain.size() < 19000); // there were duplicates
}

void merging_counts_what_both_have() {
    EventNumbers first, second;
    for (std::uint32_t event = 0; event < 1000; ++event)
        first.add(1, 2, event);
    for (std::uint32_t event = 900; event < 1300; ++event)
        second.add(1, 2, event);
    second.add(1, 3, 5);
    CHECK(first.merge(second) == 100);
    CHECK(first.size() == 1301);
    CHECK(!first.add(1, 3, 5));
    CHECK(first.add(2, 3, 5));
}

void a_filter_keeps_the_first_and_leaves_out_spills() {
    EventFilter filter(1, true);
    filter.leave_out_spill(7, 2);
    CHECK(filter.keep(0, 7, 1, 10, 1.0));
    CHECK(!filter.keep(0, 7, 1, 10, 1.0));
    CHECK(!filter.keep(0, 7, 1, 10, 0.5)); // whatever the weight of one event
    CHECK(!filter.keep(0, 7, 2, 10, 0.5));
    CHECK(filter.keep(0, 8, 2, 10, 1.0));
    CHECK(filter.duplicates() == 2 && filter.events_in_spills() == 1 && filter.weights_in_spills() == 0.5);
    EventFilter all(1, false);
    CHECK(all.keep(0, 7, 1, 10, 1.0) && all.keep(0, 7, 1, 10, 1.0) && all.duplicates() == 0);
}

void threads_find_duplicates_between_them() {
    EventFilter filter(2, true);
    CHECK(filter.keep(0, 7, 1, 10, 1.0) && filter.keep(1, 7, 1, 10, 1.0) && filter.keep(1, 7, 1, 11, 1.0));
    CHECK(filter.duplicates() == 1);
}

void spills_are_summed() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    SpillRecorder recorder(70.0, 1.0, true);
    CHECK(recorder.add(7, 1, 1, true, 60.0, 0.5));
    CHECK(recorder.add(7, 2, 1, true, 80.0, 0.5));
    CHECK(recorder.add(7, 1, 2, true, 60.0, 2.0)); // out of order
    CHECK(recorder.add(7, 1, 3, false, 1.0, 0.0));
    CHECK(!recorder.add(7, 1, 3, true, 1.0, 0.0));
    CHECK(recorder.add(7, 1, 4, true, 40.0, nan));
    CHECK(recorder.add(7, 1, 5, true, 1e9, -1.0));
    CHECK(recorder.spills().size() == 2 && recorder.out_of_order() == 1 && recorder.duplicates() == 1);
    const auto &spill = recorder.spills()[0];
    CHECK(spill.events == 5 && spill.triggers == 4 && spill.ecal_known == 4 && spill.hcal_known == 3);
    CHECK(spill.missing == 1 && spill.both_known == 3 && spill.hcal_sum == 1.5);
    CHECK(spill.ecal[60] == 2 && spill.ecal[40] == 1 && spill.ecal[149] == 1 && spill.hcal[0] == 2);
    CHECK(recorder.duplicate_examples().size() == 3 && recorder.duplicate_examples()[2] == 3);
    SpillRecorder simulated(70.0, 1.0, false);
    CHECK(simulated.add(7, 1, 1, true, 60.0, 0.5) && simulated.add(7, 1, 1, true, 60.0, 0.5));
    CHECK(simulated.duplicates() == 0 && simulated.spills()[0].events == 2);
}

} // namespace

int main() {
    a_number_is_new_once();
    merging_counts_what_both_have();
    a_filter_keeps_the_first_and_leaves_out_spills();
    threads_find_duplicates_between_them();
    spills_are_summed();
    return check::failures;
}
