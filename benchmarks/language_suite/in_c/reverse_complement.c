#include "suite.h"

static const u8 *text;
static size_t length;
static Bytes out;

static void prepare(i64 n, const u8 *data, size_t size) {
  text = data;
  length = size;
}

static void run(int threads) {
  static const char *from = "ACGTUMRWSYKVHDBNacgtumrwsykvhdbn", *to = "TGCAAKYWSRMBDHVNTGCAAKYWSRMBDHVN";
  u8 complement[256] = {0};
  for (int i = 0; from[i]; i++) complement[(u8)from[i]] = to[i];
  out = (Bytes){0};
  Bytes sequence = {0};
  size_t i = 0;
  while (i < length) {
    while (i < length && text[i] != '\n') push(&out, text[i++]);
    push(&out, '\n');
    i++;
    sequence.size = 0;
    while (i < length && text[i] != '>') {
      if (text[i] != '\n') push(&sequence, complement[text[i]]);
      i++;
    }
    for (size_t k = 0; k < sequence.size; k++) {
      push(&out, sequence.data[sequence.size - 1 - k]);
      if (k % 60 == 59) push(&out, '\n');
    }
    if (sequence.size % 60) push(&out, '\n');
  }
  free(sequence.data);
}

static void report(void) {
  report_bytes(out.data, out.size);
  free(out.data);
}
