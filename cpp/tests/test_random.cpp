#include "check.hpp"
#include "na64root/random.hpp"

using na64root::philox4x32;
using na64root::Random;
using Block = std::array<std::uint32_t, 4>;

int main() {
    // Known answers of Philox4x32-10, from the Random123 distribution (independent).
    CHECK((philox4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    CHECK((philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
           Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    CHECK((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
           Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));

    // An entry's stream does not depend on what was drawn before.
    Random first(7, 41), other(7, 42), again(7, 42);
    for (int i = 0; i < 5; ++i)
        first.uniform();
    for (int i = 0; i < 100; ++i)
        CHECK(other.uniform() == again.uniform());
    CHECK(Random(1, 0).uniform() != Random(2, 0).uniform());
    CHECK(Random(1, 0).uniform() != Random(1, 0, na64root::Stream::cascade).uniform());

    // Mean and variance of 10^6 numbers; bounds at 5 standard deviations, false alarm 6e-7 each.
    const int n = 1000000;
    double sum = 0, sum2 = 0, normal = 0, normal2 = 0, poisson = 0;
    for (int i = 0; i < n; ++i) {
        Random random(3, i);
        const double u = random.uniform(), g = random.normal();
        CHECK(u > 0.0 && u < 1.0);
        sum += u;
        sum2 += u * u;
        normal += g;
        normal2 += g * g;
        poisson += static_cast<double>(random.poisson(45.0));
    }
    CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(sum2 / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
    CHECK(std::abs(normal / n) < 5 * std::sqrt(1.0 / n));
    CHECK(std::abs(normal2 / n - 1) < 5 * std::sqrt(2.0 / n));
    CHECK(std::abs(poisson / n - 45) < 5 * std::sqrt(45.0 / n));
    return check::failures;
}
