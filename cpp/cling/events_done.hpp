// How many events a loop over strings has seen so far, told to a thread that follows it.
#ifndef NA64ROOT_CLING_EVENTS_DONE_HPP
#define NA64ROOT_CLING_EVENTS_DONE_HPP

#include <atomic>
#include <vector>

#include "ROOT/RResultPtr.hxx"

namespace na64root::rdf {

class EventsDone {
  public:
    // `count`: of all events, booked and not yet run. Both live until the loop is over.
    EventsDone(ROOT::RDF::RResultPtr<ULong64_t> &count, unsigned slots) : slots_(slots) {
        count.OnPartialResultSlot(every, [this](unsigned slot, ULong64_t &events) {
            slots_[slot].events.store(events, std::memory_order_relaxed);
        });
    }

    unsigned long events() const {
        unsigned long sum = 0;
        for (const Slot &slot : slots_)
            sum += slot.events.load(std::memory_order_relaxed);
        return sum;
    }

  private:
    static constexpr ULong64_t every = 1000;
    struct alignas(64) Slot {
        std::atomic<unsigned long> events{0};
    };
    std::vector<Slot> slots_;
};

} // namespace na64root::rdf

#endif
