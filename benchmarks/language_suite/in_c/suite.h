// The driver of every C program: size, threads and input file are arguments; for each line on standard input the
// program runs once and answers with the seconds that it took and its result.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int64_t i64;
typedef uint64_t u64;
typedef uint8_t u8;

static void prepare(i64 n, const u8 *data, size_t size); // not timed
static void run(int threads);                            // timed
static void report(void);                                // prints the result, without a newline; frees it

typedef struct {
  u8 *data;
  size_t size, room;
} Bytes;

static inline void push(Bytes *b, u8 value) {
  if (b->size == b->room) b->data = realloc(b->data, b->room = b->room ? 2 * b->room : 64);
  b->data[b->size++] = value;
}

static inline void extend(Bytes *b, const u8 *data, size_t size) {
  if (b->size + size > b->room) b->data = realloc(b->data, b->room = 2 * (b->size + size));
  memcpy(b->data + b->size, data, size);
  b->size += size;
}

// Length and CRC-32 of an output.
static inline void report_bytes(const u8 *data, size_t size) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
  }
  printf("%zu %u", size, ~crc);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int count, char **arguments) {
  Bytes input = {0};
  if (count > 3) {
    FILE *file = fopen(arguments[3], "rb");
    fseek(file, 0, SEEK_END);
    input.size = ftell(file);
    input.data = malloc(input.size + 1);
    rewind(file);
    if (fread(input.data, 1, input.size, file) != input.size) return 1;
    fclose(file);
  }
  prepare(atoll(arguments[1]), input.data, input.size);
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    double start = seconds();
    run(atoi(arguments[2]));
    printf("%.9f ", seconds() - start);
    report();
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
