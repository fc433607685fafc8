// Calls of C++ without the GIL that Ctrl-C and other signals end.
#ifndef NA64ROOT_BINDINGS_INTERRUPTIBLE_HPP
#define NA64ROOT_BINDINGS_INTERRUPTIBLE_HPP

#include <pybind11/pybind11.h>

#include "na64root/interruption.hpp"

namespace na64root::bindings {

// Python runs its handlers of signals here; what they raise stays set, for the end of the call.
inline bool no_signal_raised() {
    const pybind11::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() == 0;
}

// What `work()` returns, without the GIL; what a handler of a signal raised in its course comes out.
template <class Work> auto interruptible(const Work &work) {
    try {
        const pybind11::gil_scoped_release release;
        const Interruptible asking(&no_signal_raised);
        return work();
    } catch (const Interrupted &) {
        throw pybind11::error_already_set();
    }
}

} // namespace na64root::bindings

#endif
