#include "suite.h"

static i64 n, inside;

static void prepare(i64 size, const u8 *data, size_t length) { n = size; }

static i64 hits(i64 seed, i64 draws) {
  i64 found = 0;
  for (i64 i = 0; i < draws; i++) {
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
    double x = seed / 2147483648.0;
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
    double y = seed / 2147483648.0;
    if (x * x + y * y <= 1.0) found++;
  }
  return found;
}

static void run(int threads) {
  i64 total = 0;
#pragma omp parallel for reduction(+ : total) num_threads(threads) if (threads > 1)
  for (i64 chunk = 0; chunk < 64; chunk++) total += hits(chunk * 7919 + 1, n / 64);
  inside = total;
}

static void report(void) { printf("%.17g", 4.0 * inside / (n / 64 * 64)); }
