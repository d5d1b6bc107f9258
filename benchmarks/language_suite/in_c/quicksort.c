#include "suite.h"

static i64 n, *values, *work;

static void prepare(i64 size, const u8 *data, size_t length) {
  n = size;
  values = malloc(n * sizeof(i64)), work = malloc(n * sizeof(i64));
  i64 seed = 42;
  for (i64 i = 0; i < n; i++) values[i] = seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
}

static void sort(i64 *x, i64 low, i64 high) {
  while (low < high) {
    i64 pivot = x[(low + high) / 2], i = low, j = high;
    while (i <= j) {
      while (x[i] < pivot) i++;
      while (x[j] > pivot) j--;
      if (i <= j) {
        i64 t = x[i];
        x[i++] = x[j];
        x[j--] = t;
      }
    }
    if (j - low < high - i) { // recursion into the shorter part
      sort(x, low, j);
      low = i;
    } else {
      sort(x, i, high);
      high = j;
    }
  }
}

static void run(int threads) {
  for (i64 i = 0; i < n; i++) work[i] = values[i];
  sort(work, 0, n - 1);
}

static void report(void) { report_bytes((u8 *)work, n * sizeof(i64)); }
