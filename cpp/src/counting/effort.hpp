// A bound on how much an enumeration may take: it stops after so many fits, not after a time, so that every
// machine stops at the same place. It also stops where it is no longer wanted (interruption.hpp).
#ifndef NA64ROOT_SRC_COUNTING_EFFORT_HPP
#define NA64ROOT_SRC_COUNTING_EFFORT_HPP

#include <cstdint>
#include <limits>
#include <stdexcept>

#include "na64root/interruption.hpp"

namespace na64root::counting {

class Effort {
  public:
    // Fits of this thread, until the end of the scope; 0 for any number. Of scopes within each other the
    // inner one counts.
    explicit Effort(std::uint64_t most) : before_(left_) {
        left_ = most == 0 ? std::numeric_limits<std::uint64_t>::max() : most;
    }
    ~Effort() { left_ = before_; }
    Effort(const Effort &) = delete;
    Effort &operator=(const Effort &) = delete;

    // One fit, or what takes as long as some. Throws std::runtime_error where there were too many.
    static void spend(std::uint64_t fits = 1) {
        if (left_ < fits)
            throw std::runtime_error("there are too many counts to enumerate");
        left_ -= fits;
        ask(fits);
    }

    // What is bounded by nothing asks all the same whether it is wanted.
    static void ask(std::uint64_t fits = 1) {
        since_question_ += fits;
        if (since_question_ >= fits_between_questions) {
            since_question_ = 0;
            Interruptible::ask();
        }
    }

  private:
    // Some milliseconds.
    static constexpr std::uint64_t fits_between_questions = 2000;
    static inline thread_local std::uint64_t since_question_ = 0;
    static inline thread_local std::uint64_t left_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t before_;
};

} // namespace na64root::counting

#endif
