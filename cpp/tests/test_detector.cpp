// The detector from C++: where showers start, what they leave, and starts at the edges of sections.
#include <cmath>
#include <stdexcept>

#include "check.hpp"
#include "na64root/detector.hpp"

using namespace na64root;

namespace {

double sum(const CellEnergies &cells) {
    double total = 0.0;
    for (const auto &part : cells.ecal)
        for (const auto &row : part)
            for (const double energy : row)
                total += energy;
    for (const auto &module : cells.hcal)
        for (const auto &row : module)
            for (const double energy : row)
                total += energy;
    return total;
}

} // namespace

int main() {
    const DetectorConfig config;
    const Detector detector(config);
    const FourVector momentum{20.0, 0.0, 0.0, 20.0};
    Random random(1, 0);

    // In a gap the next calorimeter takes the shower; behind all of them nothing does.
    CHECK(detector.shower(momentum, {0.0, 0.0, 215.0}, random).section == Section::hcal2);
    CHECK(detector.shower(momentum, {0.0, 0.0, -10.0}, random).section == Section::preshower);
    CHECK(detector.shower(momentum, {0.0, 0.0, 52.0}, random).section == Section::veto);
    CHECK(!detector.shower(momentum, {0.0, 0.0, 530.0}, random).inside);

    // Starts at every edge, one bit before and after, give finite energies that never exceed the shower's.
    for (const double edge : {0.0, 4.8, 45.0, 50.0, 55.0, 60.0, 210.0, 220.0, 370.0, 380.0, 530.0})
        for (const double z : {std::nextafter(edge, -1e9), edge, std::nextafter(edge, 1e9)}) {
            CellEnergies cells{};
            detector.deposit(detector.shower(momentum, {0.0, 0.0, z}, random), cells);
            CHECK(sum(cells) >= 0.0 && sum(cells) < 20.2);
            CHECK(std::isfinite(cells.veto));
        }

    // A shower beside the cells leaves little, one that flies to them much.
    CellEnergies beside{}, towards{};
    detector.deposit(detector.shower(momentum, {200.0, 0.0, 220.0}, random), beside);
    CHECK(sum(beside) < 0.01);
    const FourVector slanted{20.0, -8.0, 0.0, std::sqrt(400.0 - 64.0)};
    detector.deposit(detector.shower(slanted, {35.0, 0.0, 220.0}, random), towards);
    CHECK(towards.hcal[1][2][1] > 10.0);

    const FourVector at_rest{};
    const Point front{};
    CHECK_THROWS(std::domain_error, detector.shower(at_rest, front, random));
    DetectorConfig wrong = config;
    wrong.hcal_cell_x = 0.0;
    CHECK_THROWS(std::invalid_argument, Detector(wrong));
    return check::failures;
}
