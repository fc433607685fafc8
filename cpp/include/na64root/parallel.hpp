// Work in parts on several threads, with the result of one.
#ifndef NA64ROOT_PARALLEL_HPP
#define NA64ROOT_PARALLEL_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

namespace na64root {

// Calls work(begin, end) on `threads` parts of [0, n), the first part on the calling thread; an exception of
// any of them comes out.
template <class Work> void in_parts(std::ptrdiff_t n, int threads, const Work &work) {
    if (threads < 1)
        throw std::invalid_argument("give at least one thread");
    const auto parts = std::max<std::ptrdiff_t>(1, std::min<std::ptrdiff_t>(threads, n));
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(parts));
    const auto part = [&](std::ptrdiff_t i) {
        try {
            work(n * i / parts, n * (i + 1) / parts);
        } catch (...) {
            errors[static_cast<std::size_t>(i)] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (std::ptrdiff_t i = 1; i < parts; ++i)
        others.emplace_back(part, i);
    part(0);
    for (std::thread &other : others)
        other.join();
    for (const std::exception_ptr &error : errors)
        if (error)
            std::rethrow_exception(error);
}

// Calls make(entry, event) for the entries [first, last), from any thread, and take(event) for each in their
// order, on the calling thread. While this one takes a block of events, the others make the next block.
template <class Event, class Make, class Take>
void in_order(std::uint64_t first, std::uint64_t last, int threads, const Make &make, const Take &take) {
    if (threads == 1) {
        Event event{};
        for (; first < last; ++first) {
            make(first, event);
            take(event);
        }
        return;
    }
    constexpr std::uint64_t block = 512, chunk = 16; // events
    std::vector<Event> made, next(std::min(block, last - first));
    std::uint64_t made_size = 0;
    while (first < last || made_size > 0) {
        const std::uint64_t size = std::min(block, last - first);
        std::atomic<std::uint64_t> begin{0};
        in_parts(threads, threads, [&](std::ptrdiff_t part, std::ptrdiff_t) {
            if (part == 0)
                for (std::uint64_t i = 0; i < made_size; ++i)
                    take(made[i]);
            for (std::uint64_t start = begin.fetch_add(chunk); start < size; start = begin.fetch_add(chunk))
                for (std::uint64_t i = start; i < std::min(start + chunk, size); ++i)
                    make(first + i, next[i]);
        });
        first += size;
        made_size = size;
        made.swap(next);
        next.resize(made.size());
    }
}

} // namespace na64root

#endif
