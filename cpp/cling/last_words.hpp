// What is said where a skim cannot be written to its end. ROOT opens it again behind the loop, where no
// exception can pass: a file that the file system cut off would end the process by std::terminate, with all
// that is left.
#ifndef NA64ROOT_CLING_LAST_WORDS_HPP
#define NA64ROOT_CLING_LAST_WORDS_HPP

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

namespace na64root_skim {

inline std::string last_words;
inline std::vector<std::string> litter;
inline std::terminate_handler handler_before = nullptr;

[[noreturn]] inline void end_process() {
    std::error_code ignored;
    for (const auto &folder : litter)
        std::filesystem::remove_all(folder, ignored);
    const auto written = ::write(STDERR_FILENO, last_words.data(), last_words.size());
    ::_exit(written < 0 ? 1 : 2);
}

// From now on, and until `forget`, the process ends with these words and exit code 2, without these folders.
inline void prepare(const std::string &words, const std::vector<std::string> &folders) {
    last_words = words;
    litter = folders;
    handler_before = std::set_terminate(&end_process);
}
inline void forget() {
    std::set_terminate(handler_before);
}

} // namespace na64root_skim

#endif
