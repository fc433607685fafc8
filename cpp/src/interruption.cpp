#include "na64root/interruption.hpp"

namespace na64root {

namespace {

// Here and not in the header: the library and the bindings would have one each.
thread_local Interruptible::Wanted wanted_here = nullptr;

} // namespace

Interruptible::Interruptible(Wanted wanted) : before_(wanted_here) {
    wanted_here = wanted;
}

Interruptible::~Interruptible() {
    wanted_here = before_;
}

void Interruptible::ask() {
    if (wanted_here != nullptr && !wanted_here())
        throw Interrupted{};
}

} // namespace na64root
