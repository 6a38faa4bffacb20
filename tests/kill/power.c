/* Writes down what a process does to the files of one folder, in order: for LD_PRELOAD.
 *
 * POWER_FOLDER names the folder, POWER_LOG the file that is written. A record is a line of text, then its bytes:
 *   "W path offset length\n" + bytes, "T path size 0\n", "S path 0 0\n", "U path 0 0\n"; S with "." syncs the folder.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int log_fd = -1;
static char folder[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("POWER_LOG"), *where = getenv("POWER_FOLDER");
    if (name == NULL || where == NULL || realpath(where, folder) == NULL) return;
    folder_length = strlen(folder);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name inside the folder, "." for the folder itself; NULL: somewhere else, or the shared memory of readers. */
static const char *inside(const char *path) {
    if (log_fd < 0 || strncmp(path, folder, folder_length) != 0) return NULL;
    if (path[folder_length] == 0) return ".";
    if (path[folder_length] != '/') return NULL;
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
    return path + folder_length + 1;
}

static const char *of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return inside(buffer);
}

static void put(const void *bytes, size_t length) {
    const char *from = bytes;
    while (length > 0) {
        long done = syscall(SYS_write, log_fd, from, length);
        if (done <= 0) abort();
        from += done;
        length -= (size_t)done;
    }
}

static void record(char what, const char *name, long long first, long long second, const void *bytes, size_t length) {
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%c %s %lld %lld\n", what, name, first, second);
    put(line, (size_t)size);
    put(bytes, length);
}

static void wrote(int fd, const void *bytes, ssize_t done, off64_t at) {
    char buffer[PATH_MAX];
    const char *name = done > 0 ? of(fd, buffer) : NULL;
    if (name != NULL) record('W', name, (long long)at, (long long)done, bytes, (size_t)done);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    off64_t at = lseek64(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, bytes, length);
    wrote(fd, bytes, done, at < 0 ? 0 : at);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, length, at);
    wrote(fd, bytes, done, at);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

static int synced(int fd, int failed) {
    char buffer[PATH_MAX];
    const char *name = failed ? NULL : of(fd, buffer);
    if (name != NULL) record('S', name, 0, 0, "", 0);
    return failed;
}

int fsync(int fd) { return synced(fd, (int)syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { return synced(fd, (int)syscall(SYS_fdatasync, fd)); }

int ftruncate64(int fd, off64_t size) {
    char buffer[PATH_MAX];
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    const char *name = failed ? NULL : of(fd, buffer);
    if (name != NULL) record('T', name, (long long)size, 0, "", 0);
    return failed;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int unlink(const char *path) {
    char whole[PATH_MAX];
    const char *name = realpath(path, whole) != NULL ? inside(whole) : NULL;
    int failed = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!failed && name != NULL) record('U', name, 0, 0, "", 0);
    return failed;
}
