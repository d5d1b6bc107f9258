#include "suite.h"

typedef struct {
  const u8 *word;
  i64 size, count;
} Entry;

static const u8 *text;
static size_t length, used, mask;
static Entry *table;

static void prepare(i64 n, const u8 *data, size_t size) {
  text = data;
  length = size;
}

static Entry *find(Entry *table, size_t mask, const u8 *word, i64 size) {
  u64 hash = 14695981039346656037u;
  for (i64 i = 0; i < size; i++) hash = (hash ^ word[i]) * 1099511628211u;
  size_t i = hash & mask;
  while (table[i].count && (table[i].size != size || memcmp(table[i].word, word, size))) i = (i + 1) & mask;
  return &table[i];
}

static void add(const u8 *word, i64 size) {
  Entry *e = find(table, mask, word, size);
  if (e->count++) return;
  e->word = word, e->size = size;
  if (2 * ++used <= mask) return;
  size_t slots = 2 * (mask + 1);
  Entry *grown = calloc(slots, sizeof(Entry));
  for (size_t k = 0; k <= mask; k++)
    if (table[k].count) *find(grown, slots - 1, table[k].word, table[k].size) = table[k];
  free(table);
  table = grown, mask = slots - 1;
}

static int before(const void *p, const void *q) {
  const Entry *a = p, *b = q;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  i64 size = a->size < b->size ? a->size : b->size;
  int order = memcmp(a->word, b->word, size);
  return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

static void run(int threads) {
  table = calloc(16, sizeof(Entry));
  mask = 15, used = 0;
  size_t i = 0;
  while (i < length) {
    while (i < length && (text[i] == ' ' || text[i] == '\n')) i++;
    size_t start = i;
    while (i < length && text[i] != ' ' && text[i] != '\n') i++;
    if (i > start) add(text + start, i - start);
  }
  size_t kept = 0;
  for (size_t k = 0; k <= mask; k++)
    if (table[k].count) table[kept++] = table[k];
  qsort(table, kept, sizeof(Entry), before);
}

static void report(void) {
  printf("%zu", used);
  for (int k = 0; k < 10; k++) printf(" %.*s %ld", (int)table[k].size, table[k].word, table[k].count);
  free(table);
}
