#include "suite.h"

static const u8 *a, *b;
static i64 rows, columns, distance;

static void prepare(i64 n, const u8 *data, size_t size) { // two words with a newline between them
  a = data;
  b = (const u8 *)memchr(data, '\n', size) + 1;
  rows = b - a - 1;
  columns = size - rows - 1;
}

static void run(int threads) {
  i64 *previous = malloc((columns + 1) * sizeof(i64)), *current = malloc((columns + 1) * sizeof(i64));
  for (i64 j = 0; j <= columns; j++) previous[j] = j;
  for (i64 i = 0; i < rows; i++) {
    current[0] = i + 1;
    for (i64 j = 0; j < columns; j++) {
      i64 best = previous[j] + (a[i] != b[j]);
      if (previous[j + 1] + 1 < best) best = previous[j + 1] + 1;
      if (current[j] + 1 < best) best = current[j] + 1;
      current[j + 1] = best;
    }
    i64 *t = previous;
    previous = current;
    current = t;
  }
  distance = previous[columns];
  free(previous), free(current);
}

static void report(void) { printf("%ld", distance); }
