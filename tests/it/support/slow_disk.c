/* Put before the C library in a broker: once the folder MQ_SLOW_DISK has a file `stalled`, no sync returns any more.
 * The first byte in the FIFO `begun` says that a file of messages is being synced; each number in the FIFO `marked` says
 * how many slots have just been written down as settled. While the folder has a file `creating`, no file of messages
 * is made: its first sync, an `fsync`, does not return; nor does a reading of one while there is a file `reading`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int in_folder(char *path, const char *name) {
    const char *folder = getenv("MQ_SLOW_DISK");
    return folder && snprintf(path, 4096, "%s/%s", folder, name) < 4096;
}

static int is_stalled(char *path) {
    return in_folder(path, "stalled") && access(path, F_OK) == 0;
}

/* Whether the file's name ends so. */
static int is_kind(int file, char *path, const char *kind) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, path, 4095), end = (ssize_t)strlen(kind);
    return len > end && memcmp(path + len - end, kind, (size_t)end) == 0;
}

static void say(char *path, const char *name, const void *bytes, size_t len) {
    if (!in_folder(path, name)) abort();
    int fifo = open(path, O_WRONLY | O_CLOEXEC);
    if (fifo < 0 || write(fifo, bytes, len) != (ssize_t)len) abort();
    close(fifo);
}

static void stall(int file) {
    char path[4096];
    if (!is_stalled(path)) return;
    if (is_kind(file, path, ".log")) say(path, "begun", "s", 1);
    for (;;) pause();
}

/* A mark has 16 bytes, of which the second number is a count with two flags; without them slots are settled. */
ssize_t pwrite64(int file, const void *bytes, size_t len, off64_t offset) {
    char path[4096];
    ssize_t done = syscall(SYS_pwrite64, file, bytes, len, offset);
    if (done < 0 || !is_stalled(path) || !is_kind(file, path, ".marks")) return done;
    uint32_t settled = 0;
    for (ssize_t at = 0; at + 16 <= done; at += 16) {
        uint32_t count;
        memcpy(&count, (const char *)bytes + at + 4, sizeof count);
        if (!(count >> 30)) settled += count;
    }
    if (settled) say(path, "marked", &settled, sizeof settled);
    return done;
}

int fdatasync(int file) {
    stall(file);
    return (int)syscall(SYS_fdatasync, file);
}

/* Waits while the folder has the file, and says once that it does. */
static void wait_while(int file, const char *name, const char *byte) {
    char path[4096];
    if (!in_folder(path, name) || access(path, F_OK) || !is_kind(file, path, ".log")) return;
    say(path, "begun", byte, 1);
    while (in_folder(path, name) && !access(path, F_OK)) usleep(10000);
}

ssize_t pread64(int file, void *bytes, size_t len, off64_t offset) {
    wait_while(file, "reading", "r");
    return syscall(SYS_pread64, file, bytes, len, offset);
}

int fsync(int file) {
    wait_while(file, "creating", "c");
    stall(file);
    return (int)syscall(SYS_fsync, file);
}
