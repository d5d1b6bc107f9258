#include "suite.h"

static i64 n;
static u8 *counts;

static void prepare(i64 size, const u8 *data, size_t length) {
  n = size;
  counts = malloc(n * n);
}

static void run(int threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (i64 row = 0; row < n; row++)
    for (i64 column = 0; column < n; column++) {
      double cx = -2.0 + 3.0 * column / n, cy = -1.5 + 3.0 * row / n, x = 0, y = 0;
      i64 k = 0;
      while (k < 100 && x * x + y * y <= 4.0) {
        double next = x * x - y * y + cx;
        y = 2.0 * x * y + cy;
        x = next;
        k++;
      }
      counts[row * n + column] = k;
    }
}

static void report(void) { report_bytes(counts, n * n); }
