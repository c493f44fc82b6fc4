/* Writes down, in order, what a process does to its files: the material to play power cuts from.

   LD_PRELOAD this and name a file in WRITE_TRACE. Each record is a line "OP PATH OFFSET LENGTH", for a
   write followed by its bytes. Only paths with "/traced/" in them are noted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int trace_fd = -1;
static ssize_t (*real_write)(int, const void *, size_t);

static int trace(void) {
  if (trace_fd < 0) {
    real_write = dlsym(RTLD_NEXT, "write");
    trace_fd = open(getenv("WRITE_TRACE"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  return trace_fd;
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, 4095);
  if (n < 0) return 0;
  path[n] = 0;
  return strstr(path, "/traced/") != NULL;
}

static void note(const char *op, const char *path, off_t at, size_t length, const void *data) {
  char line[4300];
  int fd = trace();
  int n = snprintf(line, sizeof line, "%s %s %lld %zu\n", op, path, (long long)at, length);
  if (real_write(fd, line, n) != n) abort();
  if (data && real_write(fd, data, length) != (ssize_t)length) abort();
}

ssize_t write(int fd, const void *data, size_t length) {
  char path[4096];
  trace();
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t n = real_write(fd, data, length);
  if (n > 0 && at >= 0 && path_of(fd, path)) note("write", path, at, n, data);
  return n;
}

static ssize_t traced_pwrite(int fd, const void *data, size_t length, off_t at) {
  static ssize_t (*real)(int, const void *, size_t, off_t);
  char path[4096];
  if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
  ssize_t n = real(fd, data, length, at);
  if (n > 0 && path_of(fd, path)) note("write", path, at, n, data);
  return n;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return traced_pwrite(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return traced_pwrite(fd, data, length, at); }

static int traced_sync(int fd, const char *name) {
  char path[4096];
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  int result = real(fd);
  if (result == 0 && path_of(fd, path)) note("sync", path, 0, 0, NULL);
  return result;
}
int fsync(int fd) { return traced_sync(fd, "fsync"); }
int fdatasync(int fd) { return traced_sync(fd, "fdatasync"); }

static int traced_truncate(int fd, off_t length) {
  char path[4096];
  int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
  int result = real(fd, length);
  if (result == 0 && path_of(fd, path)) note("truncate", path, length, 0, NULL);
  return result;
}
int ftruncate(int fd, off_t length) { return traced_truncate(fd, length); }
int ftruncate64(int fd, off_t length) { return traced_truncate(fd, length); }

int unlink(const char *path) {
  int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
  int result = real(path);
  if (result == 0 && strstr(path, "/traced/")) note("unlink", path, 0, 0, NULL);
  return result;
}
