// Preloaded: fails the n-th call of a kind on a path below one folder, or ends the process there by SIGKILL.
// What is to fail is read from a file that NA64_FAULTS names, which all processes map; they count together.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, OPEN, RENAME, FSYNC, MKDIR, KINDS };

struct control {            // as tests/support/faults.py packs it
    long kind;              // -1: all kinds are one
    long number;            // from 1; 0: none fails
    long error;             // errno; 0: SIGKILL
    long stays;             // later ones fail, too, as on a full disk
    long counts[KINDS + 1]; // of each kind, of all
    char folder[1024];
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("NA64_FAULTS");
    const int file = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    control = mapped == MAP_FAILED ? NULL : mapped;
    close(file);
}

static int below(const char *path) {
    const size_t length = strlen(control->folder);
    return length && !strncmp(path, control->folder, length) && (path[length] == '/' || !path[length]);
}

static int strikes(enum kind kind) {
    const long all = __sync_add_and_fetch(&control->counts[KINDS], 1);
    const long same = __sync_add_and_fetch(&control->counts[kind], 1);
    const long count = control->kind < 0 ? all : same;
    if (!control->number || (control->kind >= 0 && control->kind != (long)kind) ||
        !(count == control->number || (control->stays && count > control->number)))
        return 0;
    if (!control->error) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = (int)control->error;
    return 1;
}

// Of a path, relative to a folder that is open, or to the current one.
static int path_strikes(enum kind kind, int at, const char *path) {
    char place[2300], folder[1200] = "";
    if (!control || !path)
        return 0;
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        const ssize_t length = readlink(link, folder, sizeof folder - 1);
        folder[length < 0 ? 0 : length] = 0;
        strcat(folder, "/");
    }
    snprintf(place, sizeof place, "%s%s", folder, path);
    return below(place) && strikes(kind);
}

static int file_strikes(enum kind kind, int file) {
    char link[64], path[1200];
    if (!control || file <= 2)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const int before = errno;
    const ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    path[length < 0 ? 0 : length] = 0;
    return below(path) && strikes(kind);
}

#define REAL(result, name, ...)                                                                              \
    static result (*real)(__VA_ARGS__);                                                                      \
    if (!real)                                                                                               \
    real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OF_FILE(result, name, kind, declared, passed, ...)                                                   \
    result name declared {                                                                                   \
        REAL(result, #name, __VA_ARGS__);                                                                    \
        return file_strikes(kind, file) ? -1 : real passed;                                                  \
    }

OF_FILE(ssize_t, write, WRITE, (int file, const void *data, size_t size), (file, data, size), int,
        const void *, size_t)
OF_FILE(ssize_t, pwrite, WRITE, (int file, const void *data, size_t size, off_t at), (file, data, size, at),
        int, const void *, size_t, off_t)
OF_FILE(ssize_t, pwrite64, WRITE, (int file, const void *data, size_t size, off64_t at),
        (file, data, size, at), int, const void *, size_t, off64_t)
OF_FILE(ssize_t, writev, WRITE, (int file, const struct iovec *data, int count), (file, data, count), int,
        const struct iovec *, int)
OF_FILE(int, ftruncate, WRITE, (int file, off_t size), (file, size), int, off_t)
OF_FILE(int, ftruncate64, WRITE, (int file, off64_t size), (file, size), int, off64_t)
OF_FILE(int, fsync, FSYNC, (int file), (file), int)
OF_FILE(int, fdatasync, FSYNC, (int file), (file), int)

static int writes(int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
}

#define OPENS(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                             \
        REAL(int, #name, const char *, int, ...);                                                            \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                      \
        va_end(more);                                                                                        \
        return writes(flags) && path_strikes(OPEN, AT_FDCWD, path) ? -1 : real(path, flags, mode);           \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                                       \
    int name(int at, const char *path, int flags, ...) {                                                     \
        REAL(int, #name, int, const char *, int, ...);                                                       \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                      \
        va_end(more);                                                                                        \
        return writes(flags) && path_strikes(OPEN, at, path) ? -1 : real(at, path, flags, mode);             \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

#define OPENS_STREAM(name)                                                                                   \
    FILE *name(const char *path, const char *mode) {                                                         \
        REAL(FILE *, #name, const char *, const char *);                                                     \
        return (mode[0] != 'r' || strchr(mode, '+')) && path_strikes(OPEN, AT_FDCWD, path)                   \
                   ? NULL                                                                                    \
                   : real(path, mode);                                                                       \
    }
OPENS_STREAM(fopen)
OPENS_STREAM(fopen64)

// Of a stream it is what `fwrite` hands over, whether or not it goes to the file at once.
size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    return control && file_strikes(WRITE, fileno(stream)) ? 0 : real(data, size, count, stream);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return path_strikes(RENAME, AT_FDCWD, to) ? -1 : real(from, to);
}
int renameat(int from_at, const char *from, int to_at, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return path_strikes(RENAME, to_at, to) ? -1 : real(from_at, from, to_at, to);
}
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    return path_strikes(RENAME, to_at, to) ? -1 : real(from_at, from, to_at, to, flags);
}
int link(const char *from, const char *to) {
    REAL(int, "link", const char *, const char *);
    return path_strikes(RENAME, AT_FDCWD, to) ? -1 : real(from, to);
}
int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    return path_strikes(RENAME, to_at, to) ? -1 : real(from_at, from, to_at, to, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return path_strikes(MKDIR, AT_FDCWD, path) ? -1 : real(path, mode);
}
int mkdirat(int at, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    return path_strikes(MKDIR, at, path) ? -1 : real(at, path, mode);
}
