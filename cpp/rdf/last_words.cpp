#include "last_words.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <streambuf>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace na64root::rdf {
namespace {

struct Words {
    std::string before, after;
    std::vector<std::string> folders;
    std::string thrown;
};
std::vector<Words> prepared;
int waiting = 0; // calls of wait_at_most that are not over

std::atomic_flag ending = ATOMIC_FLAG_INIT;

// Standard error as it was: what the compiler says may be kept off it when the end comes.
int errors = -1;

void keep_errors() {
    if (errors < 0)
        errors = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

void close_errors() {
    if (prepared.empty() && waiting == 0) {
        ::close(errors);
        errors = -1;
    }
}

void say(const std::string &text) {
    [[maybe_unused]] const auto written = ::write(errors, text.data(), text.size());
}

[[noreturn]] void leave(int) {
    ::_exit(2);
}

// What is said is written first. Removing takes memory, which may be what is broken: an alarm ends that.
[[noreturn]] void end_process(const std::vector<std::string> &folders, int code) {
    std::signal(SIGALRM, leave);
    ::alarm(5);
    std::error_code ignored;
    for (const auto &folder : folders)
        std::filesystem::remove_all(folder, ignored);
    ::_exit(code);
}

// The first thread that gets here speaks, others wait for the end.
[[noreturn]] void end_with(const char *cause) {
    while (ending.test_and_set())
        ::pause();
    if (prepared.empty())
        ::_exit(2);
    const Words &words = prepared.back();
    say(words.before);
    say(cause);
    say(words.after);
    end_process(words.folders, 2);
}

[[noreturn]] void at_terminate() {
    if (!prepared.empty() && !prepared.back().thrown.empty())
        end_with(prepared.back().thrown.c_str());
    std::string cause = "an exception where none may be thrown";
    if (std::current_exception()) {
        try {
            throw;
        } catch (const std::exception &error) {
            std::string text = error.what();
            for (char &c : text)
                if (c == '\n' || c == '\r')
                    c = ' ';
            cause += ": " + text;
        } catch (...) {
        }
    }
    end_with(cause.c_str());
}

void at_exit() {
    if (!prepared.empty())
        end_with("exit() was called");
}

struct Crash {
    int signal;
    const char *cause;
};
constexpr std::array<Crash, 5> crashes{{{SIGFPE, "a whole number was divided by zero"},
                                        {SIGSEGV, "memory that is not there was read or written"},
                                        {SIGBUS, "memory that is not there was read or written"},
                                        {SIGILL, "there is no code to run"},
                                        {SIGABRT, "abort() was called"}}};

void at_crash(int number) {
    for (const auto &crash : crashes)
        if (crash.signal == number)
            end_with(crash.cause);
}

std::array<struct sigaction, crashes.size()> crashes_before;
std::terminate_handler terminate_before = nullptr;

// What RDataFrame says beside the exception that says why; all else, as of the compiler, passes.
class WithoutInterrupted : public std::streambuf {
  public:
    std::streambuf *passed_to = nullptr;

  protected:
    std::streamsize xsputn(const char *text, std::streamsize size) override {
        const std::string_view said(text, static_cast<std::size_t>(size));
        if (said.find("event loop was interrupted") != said.npos)
            return size;
        return passed_to->sputn(text, size);
    }
    int overflow(int c) override {
        return c == traits_type::eof() ? 0 : passed_to->sputc(static_cast<char>(c));
    }
    int sync() override { return passed_to->pubsync(); }
};
WithoutInterrupted filtered_errors;

stack_t stack_before{};
std::unique_ptr<char[]> stack; // for handlers, where a recursion without end has used up the other

void handle_crashes() {
    constexpr std::size_t size = 1 << 16;
    stack = std::make_unique<char[]>(size);
    stack_t other{};
    other.ss_sp = stack.get();
    other.ss_size = size;
    ::sigaltstack(&other, &stack_before);
    struct sigaction action{};
    action.sa_handler = at_crash;
    action.sa_flags = SA_ONSTACK;
    for (std::size_t i = 0; i < crashes.size(); ++i)
        ::sigaction(crashes[i].signal, &action, &crashes_before[i]);
    terminate_before = std::set_terminate(at_terminate);
    filtered_errors.passed_to = std::cerr.rdbuf(&filtered_errors);
    [[maybe_unused]] static const int once = std::atexit(at_exit);
}

void handle_no_crashes() {
    std::cerr.rdbuf(filtered_errors.passed_to);
    std::set_terminate(terminate_before);
    for (std::size_t i = 0; i < crashes.size(); ++i)
        ::sigaction(crashes[i].signal, &crashes_before[i], nullptr);
    ::sigaltstack(&stack_before, nullptr);
    stack.reset();
}

constexpr std::array<int, 2> endings{SIGTERM, SIGHUP};
std::array<struct sigaction, endings.size()> endings_before;
struct sigaction alarm_before{};
unsigned patience = 0;
volatile std::sig_atomic_t asked_to_end = 0;
std::vector<std::string> folders_then;

[[noreturn]] void at_alarm(int) {
    while (ending.test_and_set())
        ::pause();
    say(asked_to_end == SIGHUP ? "na64root: ended by SIGHUP\n" : "na64root: ended by SIGTERM\n");
    end_process(folders_then, 128 + asked_to_end);
}

void at_ending(int number) {
    for (std::size_t i = 0; i < endings.size(); ++i)
        if (endings[i] == number)
            endings_before[i].sa_handler(number);
    if (asked_to_end == 0) {
        asked_to_end = number;
        ::alarm(patience);
    }
}

} // namespace

void prepare(const std::string &before, const std::string &after, const std::vector<std::string> &folders,
             const std::string &thrown) {
    keep_errors();
    prepared.push_back({before, after + "\n", folders, thrown});
    if (prepared.size() == 1)
        handle_crashes();
}

void forget() {
    if (prepared.size() == 1)
        handle_no_crashes();
    prepared.pop_back();
    close_errors();
}

void wait_at_most(unsigned seconds, const std::vector<std::string> &folders) {
    if (waiting++ > 0)
        return;
    keep_errors();
    patience = seconds;
    folders_then = folders;
    asked_to_end = 0;
    struct sigaction action{};
    action.sa_handler = at_alarm;
    ::sigaction(SIGALRM, &action, &alarm_before);
    action.sa_handler = at_ending;
    for (std::size_t i = 0; i < endings.size(); ++i) {
        ::sigaction(endings[i], nullptr, &endings_before[i]);
        const bool handled = !(endings_before[i].sa_flags & SA_SIGINFO) &&
                             endings_before[i].sa_handler != SIG_DFL &&
                             endings_before[i].sa_handler != SIG_IGN;
        if (handled)
            ::sigaction(endings[i], &action, nullptr);
    }
}

void wait_no_more() {
    if (--waiting > 0)
        return;
    if (asked_to_end != 0)
        ::alarm(0);
    for (std::size_t i = 0; i < endings.size(); ++i) {
        struct sigaction now{};
        ::sigaction(endings[i], nullptr, &now);
        if (now.sa_handler == at_ending) // Python ignores it once it has come
            ::sigaction(endings[i], &endings_before[i], nullptr);
    }
    ::sigaction(SIGALRM, &alarm_before, nullptr);
    close_errors();
}

} // namespace na64root::rdf
