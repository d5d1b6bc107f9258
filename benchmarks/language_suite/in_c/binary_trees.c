#include "suite.h"

typedef struct Tree {
  struct Tree *left, *right;
} Tree;

static i64 depth, total;

static void prepare(i64 n, const u8 *data, size_t size) { depth = n; }

static Tree *grow(i64 depth) {
  Tree *t = malloc(sizeof *t);
  t->left = depth ? grow(depth - 1) : NULL;
  t->right = depth ? grow(depth - 1) : NULL;
  return t;
}

static i64 count(const Tree *t) { return t->left ? 1 + count(t->left) + count(t->right) : 1; }

static void drop(Tree *t) {
  if (t->left) drop(t->left), drop(t->right);
  free(t);
}

static void run(int threads) {
  Tree *kept = grow(depth);
  total = 0;
  for (i64 d = 4; d <= depth; d += 4)
    for (i64 i = 0; i < (i64)1 << (depth - d + 4); i++) {
      Tree *t = grow(d);
      total += count(t);
      drop(t);
    }
  total += count(kept);
  drop(kept);
}

static void report(void) { printf("%ld", total); }
