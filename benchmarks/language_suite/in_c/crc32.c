#include "suite.h"

static const u8 *text;
static size_t length;
static uint32_t result;

static void prepare(i64 n, const u8 *data, size_t size) {
  text = data;
  length = size;
}

static void run(int threads) {
  uint32_t table[256];
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
    table[i] = c;
  }
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < length; i++) crc = crc >> 8 ^ table[(crc ^ text[i]) & 255];
  result = crc ^ 0xFFFFFFFFu;
}

static void report(void) { printf("%u", result); }
