// Long work asks now and then whether it is still wanted, so that a signal ends it within seconds.
#ifndef NA64ROOT_INTERRUPTION_HPP
#define NA64ROOT_INTERRUPTION_HPP

namespace na64root {

// Work that is no longer wanted; no std::exception, so that nobody takes it for an error.
struct Interrupted {};

// Until the end of the scope, work of this thread asks `wanted`.
class Interruptible {
  public:
    using Wanted = bool (*)();

    explicit Interruptible(Wanted wanted);
    ~Interruptible();
    Interruptible(const Interruptible &) = delete;
    Interruptible &operator=(const Interruptible &) = delete;

    // Throws Interrupted where this thread's work is not wanted any more.
    static void ask();

  private:
    Wanted before_;
};

} // namespace na64root

#endif
