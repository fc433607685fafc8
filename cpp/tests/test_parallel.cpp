#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.hpp"
#include "na64root/parallel.hpp"

using namespace na64root;

namespace {

// Every entry once, in order, whatever the number of threads; 1500 is no multiple of a block.
void entries_come_in_order() {
    std::vector<std::uint64_t> expected(1500);
    std::iota(expected.begin(), expected.end(), 7);
    for (const int threads : {1, 2, 3, 8}) {
        std::vector<std::uint64_t> taken;
        in_order<std::uint64_t>(
            7, 1507, threads, [](std::uint64_t entry, std::uint64_t &event) { event = entry; },
            [&](std::uint64_t event) { taken.push_back(event); });
        CHECK(taken == expected);
        taken.clear();
        in_order<std::uint64_t>(
            7, 7, threads, [](std::uint64_t, std::uint64_t &) {},
            [&](std::uint64_t event) { taken.push_back(event); });
        CHECK(taken.empty());
    }
}

// What stops one side stops all, and its exception comes out.
void exceptions_come_out() {
    for (const int threads : {1, 2, 3}) {
        const auto run = [&](std::uint64_t bad_make, std::uint64_t bad_take) -> std::string {
            std::set<std::uint64_t> taken;
            try {
                in_order<std::uint64_t>(
                    0, 2000, threads,
                    [&](std::uint64_t entry, std::uint64_t &event) {
                        if (entry == bad_make)
                            throw std::runtime_error("make");
                        event = entry;
                    },
                    [&](std::uint64_t event) {
                        if (event == bad_take)
                            throw std::runtime_error("take");
                        taken.insert(event);
                    });
            } catch (const std::runtime_error &error) {
                return error.what();
            }
            return "none after " + std::to_string(taken.size());
        };
        CHECK(run(1200, 9999) == "make");
        CHECK(run(9999, 700) == "take");
        CHECK(run(9999, 9999) == "none after 2000");
    }
}

} // namespace

int main() {
    entries_come_in_order();
    exceptions_come_out();
    return check::failures;
}
