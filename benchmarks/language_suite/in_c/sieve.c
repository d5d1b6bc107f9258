#include "suite.h"

static i64 n, found;

static void prepare(i64 size, const u8 *data, size_t length) { n = size; }

static void run(int threads) {
  u8 *prime = malloc(n + 1);
  memset(prime, 1, n + 1);
  for (i64 i = 2; i * i <= n; i++)
    if (prime[i])
      for (i64 j = i * i; j <= n; j += i) prime[j] = 0;
  found = 0;
  for (i64 i = 2; i <= n; i++)
    if (prime[i]) found++;
  free(prime);
}

static void report(void) { printf("%ld", found); }
