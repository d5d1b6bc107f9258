#include "suite.h"

static i64 n;
static Bytes out;

static void prepare(i64 size, const u8 *data, size_t length) { n = size; }

static const char *unit =
    "GATTACAGGCCTTAAGCGCGATATCCGGTTAACTGACGTACGTTAGCATCGATCGGATCCAATTGCGCAATGCCTAGGCTAACCGTTAGGCATGCAAGCTT";

static void repeat(const char *title, i64 length) {
  extend(&out, (const u8 *)title, strlen(title));
  size_t period = strlen(unit);
  for (i64 i = 0; i < length; i++) {
    push(&out, unit[i % period]);
    if (i % 60 == 59) push(&out, '\n');
  }
  if (length % 60) push(&out, '\n');
}

static i64 weighted(const char *title, i64 length, const char *letters, const double *weights, i64 seed) {
  double limits[32], total = 0;
  i64 kinds = strlen(letters);
  for (i64 k = 0; k < kinds; k++) limits[k] = total += weights[k];
  extend(&out, (const u8 *)title, strlen(title));
  for (i64 i = 0; i < length; i++) {
    seed = (seed * 3877 + 29573) % 139968;
    double r = seed / 139968.0;
    i64 k = 0;
    while (k < kinds - 1 && r >= limits[k]) k++;
    push(&out, letters[k]);
    if (i % 60 == 59) push(&out, '\n');
  }
  if (length % 60) push(&out, '\n');
  return seed;
}

static void run(int threads) {
  static const double many[] = {0.27, 0.12, 0.12, 0.27, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02};
  static const double four[] = {0.303, 0.198, 0.1975, 0.3015};
  out = (Bytes){0};
  repeat(">ONE repeated\n", n);
  i64 seed = weighted(">TWO codes\n", n, "acgtBDHKMNRSVWY", many, 42);
  weighted(">THREE bases\n", n, "acgt", four, seed);
}

static void report(void) {
  report_bytes(out.data, out.size);
  free(out.data);
}
