// References are worked out by hand from the definitions of the cuts (independent of the code).
#include "check.hpp"
#include "na64root/selection.hpp"

#include <vector>

using namespace na64root;

int main() {
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();

    const std::array<RunRange, 2> ranges{{{10, 20}, {30, 30}}};
    CHECK(range_index(ranges, 9) == 2);
    CHECK(range_index(ranges, 10) == 0);
    CHECK(range_index(ranges, 20) == 0);
    CHECK(range_index(ranges, 21) == 2);
    CHECK(range_index(ranges, 30) == 1);
    CHECK(run_period(30, ranges) == 1.0 && in_run_period(1.0, 2));
    CHECK(run_period(9, ranges) == 2.0 && !in_run_period(2.0, 2));

    CHECK(passes_trigger(true, true, true, false));
    CHECK(!passes_trigger(false, true, true, false));
    CHECK(!passes_trigger(true, false, true, false));
    CHECK(!passes_trigger(true, true, false, false));
    CHECK(!passes_trigger(true, true, true, true));

    CHECK(out_of_time_energy(120.0, 95.0) == 25.0);
    CHECK(passes_pile_up(29.9, 30.0));
    CHECK(!passes_pile_up(30.0, 30.0));
    for (const double bad : {nan, infinity, -infinity}) {
        CHECK(!passes_pile_up(bad, 30.0));
        CHECK(!passes_straw(bad, 2, 1, 5));
        CHECK(!passes_straw(2, bad, 1, 5));
        CHECK(!passes_srd(0.01, bad, 0.01, 0.001, 0.08, 2));
        CHECK(!passes_momentum(bad, 100, 3));
        CHECK(!passes_preshower(bad, 0.4));
        CHECK(!passes_ecal(bad, 85));
        CHECK(!passes_veto(bad, 0.01));
        CHECK(!passes_hcal_s1(bad, 20, 0, 1, 15));
        CHECK(!passes_hcal_s1(0, bad, 0, 1, 15));
        CHECK(!passes_hcal_s1(0, 20, bad, 1, 15));
        CHECK(!passes_hcal_s2(bad, 0, 0, 1));
        CHECK(!passes_hcal_s2(0, bad, 0, 1));
        CHECK(!passes_hcal_s2(0, 0, bad, 1));
        CHECK(!passes_r(bad, 0.06));
        CHECK(!passes_shower_chi2(bad, 10));
        CHECK(!showers_in_hcal1(bad, 20, 1, 15));
        CHECK(!showers_in_hcal1(20, bad, 1, 15));
        CHECK(!passes_dimuon(bad, 2, 2, 2.0, 1.3, 1.5));
        CHECK(!passes_dimuon(1.9, bad, 2, 2.0, 1.3, 1.5));
        CHECK(!passes_dimuon(1.9, 2, bad, 2.0, 1.3, 1.5));
        CHECK(passes_dimuon(2.1, bad, bad, 2.0, 1.3, 1.5));
        CHECK(std::isnan(veto_energy(std::vector<double>{0, 0, bad, 0, 0, 0}, 0.3)));
    }

    CHECK(passes_straw(1, 5, 1, 5));
    CHECK(!passes_straw(0, 3, 1, 5));
    CHECK(!passes_straw(3, 6, 1, 5));

    std::array<double, 72> ecal{};
    CHECK(leading_ecal_cell(ecal) == -1);
    ecal[3 * 6 + 2] = 1.0;      // preshower (3,2)
    ecal[36 + 3 * 6 + 2] = 4.0; // main (3,2)
    ecal[36 + 2 * 6 + 3] = 4.5; // main (2,3)
    CHECK(leading_ecal_cell(ecal) == 3 * 6 + 2);
    CHECK(passes_beam_cell(leading_ecal_cell(ecal), 3, 2));
    CHECK(!passes_beam_cell(leading_ecal_cell(ecal), 2, 3));
    ecal[36 + 2 * 6 + 3] = 5.0;
    CHECK(leading_ecal_cell(ecal) == -1);
    ecal[36 + 5 * 6 + 5] = 5.5;
    CHECK(leading_ecal_cell(ecal) == 35);
    ecal[0] = nan;
    CHECK(leading_ecal_cell(ecal) == -1);
    CHECK_THROWS(std::invalid_argument, leading_ecal_cell(std::vector<double>(36)));

    CHECK(passes_srd(0.002, 0.09, 0.07, 0.001, 0.08, 2));
    CHECK(!passes_srd(0.002, 0.09, 0.08, 0.001, 0.08, 2));
    CHECK(!passes_srd(0.001, 0.02, 0.02, 0.001, 0.08, 2));
    CHECK(passes_momentum(97.1, 100, 3) && passes_momentum(102.9, 100, 3));
    CHECK(!passes_momentum(97.0, 100, 3) && !passes_momentum(103.0, 100, 3));
    CHECK(passes_preshower(0.41, 0.4) && !passes_preshower(0.4, 0.4));
    CHECK(passes_ecal(49.9, 50) && !passes_ecal(50, 50));

    // sqrt(4 * 9) = 6; 2 < 0.3 * 9, so 9; equality of the balance keeps the mean: sqrt(3 * 10).
    CHECK(veto_counter_energy(4, 9, 0.3) == 6);
    CHECK(veto_counter_energy(9, 2, 0.3) == 9);
    CHECK_CLOSE(veto_counter_energy(3, 10, 0.3), std::sqrt(30.0), 1e-15);
    CHECK(veto_counter_energy(0, 0, 0.3) == 0);
    CHECK(veto_counter_energy(-0.001, 0.002, 0.3) == 0.002);
    CHECK(veto_counter_energy(-0.002, -0.001, 0.3) == -0.001);
    CHECK(veto_counter_energy(-0.002, -0.001, 0.9) == -0.001);
    CHECK(veto_energy(std::array<double, 6>{4, 9, 9, 2, 1, 1}, 0.3) == 16);
    CHECK_THROWS(std::invalid_argument, veto_energy(std::vector<double>(5), 0.3));
    CHECK(passes_veto(0.0099, 0.01) && !passes_veto(0.01, 0.01));

    CHECK(passes_hcal_s1(0.5, 10, 6, 1, 15));
    CHECK(!passes_hcal_s1(1.0, 10, 6, 1, 15));
    CHECK(!passes_hcal_s1(0.5, 10, 5, 1, 15));
    CHECK(passes_hcal_s2(0.3, 0.3, 0.3, 1));
    CHECK(!passes_hcal_s2(0.5, 0.5, 0.0, 1));

    // HCAL1 and the zero-degree module are not in R.
    std::array<double, 36> hcal{};
    const HcalCore single{1 << 4, 1 << 4, 1 << 4}, wide{1 << 4, 1 << 4, 1 << 4 | 1 << 7};
    CHECK(std::isnan(hcal_r(hcal, single)));
    hcal[0] = 100.0;
    hcal[27 + 4] = 100.0;
    CHECK(std::isnan(hcal_r(hcal, single)));
    hcal[9 + 4] = 5.0;          // HCAL2 (1,1)
    hcal[18 + 4] = 1.0;         // HCAL3 (1,1)
    hcal[18 + 2 * 3 + 1] = 1.0; // HCAL3 (2,1)
    hcal[18 + 1 * 3 + 2] = 1.0; // HCAL3 (1,2)
    CHECK(hcal_r(hcal, single) == 0.25);
    CHECK(hcal_r(hcal, wide) == 0.125);
    const std::array<HcalCore, 2> cores{single, wide};
    CHECK(hcal_r_in_period(hcal, 0.0, cores) == 0.25);
    CHECK(hcal_r_in_period(hcal, 1.0, cores) == 0.125);
    CHECK(hcal_r_in_period(hcal, 2.0, cores) == 0.25);
    // HCAL1 (0,0) has 100 GeV outside of its core, HCAL2 (1,1) the 5 GeV in a core.
    CHECK(hcal_r12_in_period(hcal, 0.0, cores) == 1.0 - 5.0 / 105.0);
    CHECK(hcal_r12_in_period(hcal, 0.0, std::array<HcalCore, 1>{HcalCore{1, 0, 0}}) == 1.0 - 100.0 / 105.0);
    const std::vector<float> single_precision(hcal.begin(), hcal.end());
    CHECK(hcal_r(single_precision, wide) == 0.125);
    hcal[9] = -8.0;
    CHECK(std::isnan(hcal_r(hcal, single)));
    hcal[9] = nan;
    CHECK(std::isnan(hcal_r(hcal, single)));
    CHECK(passes_r(0.059, 0.06) && !passes_r(0.06, 0.06));
    CHECK(passes_shower_chi2(9.9, 10) && !passes_shower_chi2(10, 10));

    CHECK(showers_in_hcal1(1.0, 14.1, 1, 15));
    CHECK(!showers_in_hcal1(0.9, 14.2, 1, 15));
    CHECK(!showers_in_hcal1(1.0, 14.0, 1, 15));
    CHECK(passes_dimuon(2.1, 0, 0, 2.0, 1.3, 1.5));
    CHECK(!passes_dimuon(2.0, 0, 0, 2.0, 1.3, 1.5));
    CHECK(passes_dimuon(1.4, 1.6, 1.6, 2.0, 1.3, 1.5));
    CHECK(!passes_dimuon(1.4, 1.5, 1.6, 2.0, 1.3, 1.5));
    CHECK(!passes_dimuon(1.4, 1.6, 1.5, 2.0, 1.3, 1.5));
    CHECK(!passes_dimuon(1.3, 1.6, 1.6, 2.0, 1.3, 1.5));
    return check::failures;
}
