// A test program states checks and returns the number that failed.
#ifndef NA64ROOT_TESTS_CHECK_HPP
#define NA64ROOT_TESTS_CHECK_HPP

#include <cmath>
#include <cstdio>

namespace check {

inline int failures = 0;

inline void is_true(bool condition, const char *what, int line) {
    if (!condition) {
        ++failures;
        std::printf("line %d: %s\n", line, what);
    }
}

inline void is_close(double value, double expected, double relative, const char *what, int line) {
    if (!(std::abs(value - expected) <= relative * std::abs(expected))) {
        ++failures;
        std::printf("line %d: %s is %.17g, expected %.17g within %g\n", line, what, value, expected,
                    relative);
    }
}

template <class Exception, class Function> void throws(Function &&function, const char *what, int line) {
    try {
        function();
    } catch (const Exception &) {
        return;
    } catch (...) {
    }
    ++failures;
    std::printf("line %d: %s did not throw the exception expected\n", line, what);
}

} // namespace check

#define CHECK(condition) check::is_true(condition, #condition, __LINE__)
#define CHECK_CLOSE(value, expected, relative) check::is_close(value, expected, relative, #value, __LINE__)
#define CHECK_THROWS(exception, expression)                                                                  \
    check::throws<exception>([&] { (void)(expression); }, #expression, __LINE__)

#endif
