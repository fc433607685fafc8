// Values that look like "no value" and not like a measurement, counted in the events of a loop of one thread.
#ifndef NA64ROOT_CLING_SUSPECTS_HPP
#define NA64ROOT_CLING_SUSPECTS_HPP

#include <array>
#include <cstddef>
#include <iterator>
#include <vector>

namespace na64root_ntuple {

class Suspects {
  public:
    static constexpr std::array<double, 16> values{-1.0, -9.0,  -99.0, -999.0, -9999.0, -99999.0,
                                                   -1e6, -1e10, -1e30, 999.0,  9999.0,  99999.0,
                                                   1e6,  1e10,  1e30,  -1e38};

    explicit Suspects(int branches) : events_(branches) {}

    // An event: a number, or an array in which the value is anywhere.
    bool add(int branch, double value) { return add(branch, std::array<double, 1>{value}); }
    template <class Range> auto add(int branch, const Range &numbers) -> decltype(std::begin(numbers), true) {
        for (std::size_t i = 0; i < values.size(); ++i)
            for (const double number : numbers)
                if (number == values[i] || number == static_cast<double>(static_cast<float>(values[i]))) {
                    ++events_[branch][i];
                    break;
                }
        return true;
    }

    long events(int branch, int value) const { return events_.at(branch).at(value); }
    static double value(int i) { return values.at(i); }
    static int size() { return static_cast<int>(values.size()); }

  private:
    std::vector<std::array<long, 16>> events_;
};

} // namespace na64root_ntuple

#endif
