#include "suite.h"

// A table from packed bases to counts: open addressing, a power of two of slots, at most half full.
typedef struct {
  u64 *keys;
  i64 *counts;
  size_t used, mask;
} Table;

static Table new_table(size_t slots) { return (Table){malloc(slots * 8), calloc(slots, 8), 0, slots - 1}; }

static size_t find(const Table *t, u64 key) {
  size_t i = (key * 0x9E3779B97F4A7C15u >> 20) & t->mask;
  while (t->counts[i] && t->keys[i] != key) i = (i + 1) & t->mask;
  return i;
}

static void add(Table *t, u64 key) {
  size_t i = find(t, key);
  if (t->counts[i]++) return;
  t->keys[i] = key;
  if (2 * ++t->used <= t->mask) return;
  Table grown = new_table(2 * (t->mask + 1));
  for (size_t k = 0; k <= t->mask; k++)
    if (t->counts[k]) {
      size_t slot = find(&grown, t->keys[k]);
      grown.keys[slot] = t->keys[k];
      grown.counts[slot] = t->counts[k];
    }
  grown.used = t->used;
  free(t->keys), free(t->counts);
  *t = grown;
}

static const u8 *text;
static size_t length;
static i64 result[7];
static const int widths[7] = {1, 2, 3, 4, 6, 12, 18};
static const char *wanted[7] = {"a", "ga", "ggt", "ggta", "ggtatt", "ggtattttaatt", "ggtattttaatttatagt"};

static void prepare(i64 n, const u8 *data, size_t size) {
  text = data;
  length = size;
}

static u64 code(u8 base) { return base == 'a' ? 0 : base == 'c' ? 1 : base == 'g' ? 2 : 3; }

static void run(int threads) {
  for (int w = 0; w < 7; w++) {
    Table table = new_table(16);
    u64 key = 0, mask = ((u64)1 << 2 * widths[w]) - 1;
    for (size_t i = 0; i < length; i++) {
      key = (key << 2 | code(text[i])) & mask;
      if (i + 1 >= (size_t)widths[w]) add(&table, key);
    }
    key = 0;
    for (const char *c = wanted[w]; *c; c++) key = key << 2 | code(*c);
    result[w] = table.counts[find(&table, key)] * 1000000 + table.used;
    free(table.keys), free(table.counts);
  }
}

static void report(void) {
  for (int w = 0; w < 7; w++) printf(w ? " %ld" : "%ld", result[w]);
}
