#include "suite.h"

enum { PUNCTUATION, STRING, NUMBER, WORD };

typedef struct {
  i64 kind, start, end;
} Token;

static const u8 *text;
static i64 length, count, room;
static Token *tokens;

static void prepare(i64 n, const u8 *data, size_t size) {
  text = data;
  length = size;
}

static void add(i64 kind, i64 start, i64 end) {
  if (count == room) tokens = realloc(tokens, (room = room ? 2 * room : 16) * sizeof(Token));
  tokens[count++] = (Token){kind, start, end};
}

static int in_number(u8 c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void run(int threads) {
  tokens = NULL;
  count = room = 0;
  i64 i = 0;
  while (i < length) {
    u8 c = text[i];
    i64 start = i;
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      i++;
    } else if (c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':') {
      i++;
      add(PUNCTUATION, start, i);
    } else if (c == '"') {
      i++;
      while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      i++;
      add(STRING, start, i);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      while (i < length && in_number(text[i])) i++;
      add(NUMBER, start, i);
    } else {
      while (i < length && text[i] >= 'a' && text[i] <= 'z') i++;
      add(WORD, start, i);
    }
  }
}

static void report(void) {
  i64 kinds[4] = {0}, sum = 0;
  for (i64 i = 0; i < count; i++) {
    kinds[tokens[i].kind]++;
    sum = (sum * 31 + tokens[i].end - tokens[i].start) % 1000000007;
  }
  printf("%ld %ld %ld %ld %ld", kinds[0], kinds[1], kinds[2], kinds[3], sum);
  free(tokens);
}
