#include "suite.h"

static i64 n;
static double norm;

static void prepare(i64 size, const u8 *data, size_t length) { n = size; }

static inline double entry(i64 i, i64 j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void multiply(const double *x, double *out, int transposed, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (i64 i = 0; i < n; i++) {
    double sum = 0;
    if (transposed)
      for (i64 j = 0; j < n; j++) sum += entry(j, i) * x[j];
    else
      for (i64 j = 0; j < n; j++) sum += entry(i, j) * x[j];
    out[i] = sum;
  }
}

static void run(int threads) {
  double *u = malloc(n * sizeof(double)), *v = malloc(n * sizeof(double)), *t = malloc(n * sizeof(double));
  for (i64 i = 0; i < n; i++) u[i] = 1;
  for (int k = 0; k < 10; k++) {
    multiply(u, t, 0, threads), multiply(t, v, 1, threads);
    multiply(v, t, 0, threads), multiply(t, u, 1, threads);
  }
  double uv = 0, vv = 0;
  for (i64 i = 0; i < n; i++) uv += u[i] * v[i], vv += v[i] * v[i];
  norm = sqrt(uv / vv);
  free(u), free(v), free(t);
}

static void report(void) { printf("%.17g", norm); }
