// What is said where the process ends while events are read: no exception passes from there to Python.
//
// Code of the card may divide a whole number by zero, call abort() or throw where nothing may be thrown, and
// ROOT throws where it closes a file that the file system cut off. Without words that is a trace of the
// stack, or nothing at all, and half of a result stays behind.
#ifndef NA64ROOT_RDF_LAST_WORDS_HPP
#define NA64ROOT_RDF_LAST_WORDS_HPP

#include <string>
#include <vector>

namespace na64root::rdf {

// From now on, and until `forget`, such an end is the line `before`, cause and `after`, exit code 2, and
// these folders are removed. May be called again within: the last ones count. What handled the signals before
// does so again once all is forgotten.
// `thrown` is the cause where an exception cannot pass; empty: what that says of itself.
void prepare(const std::string &before, const std::string &after, const std::vector<std::string> &folders,
             const std::string &thrown = "");
void forget();

// From now on, and until `wait_no_more`, SIGTERM and SIGHUP end the process after so many seconds with one
// line and without these folders, where whoever handles them (Python, once C++ has returned) has not ended it
// by then. Signals that nobody handles are left alone.
void wait_at_most(unsigned seconds, const std::vector<std::string> &folders);
void wait_no_more();

} // namespace na64root::rdf

#endif
