#include "suite.h"

static i64 n, checksum, most;

static void prepare(i64 size, const u8 *data, size_t length) { n = size; }

static void run(int threads) {
  i64 *p = malloc(n * sizeof(i64)), *q = malloc(n * sizeof(i64)), *count = malloc(n * sizeof(i64));
  checksum = most = 0;
  for (i64 i = 0; i < n; i++) p[i] = i;
  i64 r = n, sign = 1;
  for (;;) {
    while (r > 1) {
      count[r - 1] = r;
      r--;
    }
    if (p[0] != 0) {
      for (i64 i = 0; i < n; i++) q[i] = p[i];
      i64 flips = 0;
      while (q[0] != 0) {
        i64 low = 0, high = q[0];
        while (low < high) {
          i64 t = q[low];
          q[low++] = q[high];
          q[high--] = t;
        }
        flips++;
      }
      if (flips > most) most = flips;
      checksum += sign * flips;
    }
    sign = -sign;
    for (;;) { // the next permutation: rotate a prefix
      if (r == n) {
        free(p), free(q), free(count);
        return;
      }
      i64 first = p[0];
      for (i64 i = 0; i < r; i++) p[i] = p[i + 1];
      p[r] = first;
      count[r]--;
      if (count[r] > 0) break;
      r++;
    }
  }
}

static void report(void) { printf("%ld %ld", checksum, most); }
