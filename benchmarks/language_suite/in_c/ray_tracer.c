#include "suite.h"

typedef struct {
  double x, y, z;
} Vec;

typedef struct {
  Vec centre;
  double radius;
  Vec colour;
  double mirror;
} Sphere;

static inline Vec vec(double x, double y, double z) { return (Vec){x, y, z}; }
static inline Vec plus(Vec a, Vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline Vec minus(Vec a, Vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline Vec times(Vec a, double k) { return vec(a.x * k, a.y * k, a.z * k); }
static inline double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline Vec unit(Vec a) { return times(a, 1.0 / sqrt(dot(a, a))); }

static const double FAR = 1e20;
static Sphere spheres[5];
static i64 width, height;
static u8 *picture;

static void prepare(i64 n, const u8 *data, size_t size) {
  width = 4 * n, height = 3 * n;
  picture = malloc(width * height * 3);
  spheres[0] = (Sphere){{0.0, 1.0, 0.0}, 1.0, {0.9, 0.25, 0.2}, 0.3};
  spheres[1] = (Sphere){{-2.1, 0.8, -0.6}, 0.8, {0.2, 0.5, 0.9}, 0.4};
  spheres[2] = (Sphere){{2.0, 0.7, -0.9}, 0.7, {0.95, 0.8, 0.2}, 0.2};
  spheres[3] = (Sphere){{0.9, 0.35, -1.9}, 0.35, {0.3, 0.85, 0.4}, 0.1};
  spheres[4] = (Sphere){{-0.8, 0.3, -2.0}, 0.3, {0.9, 0.9, 0.95}, 0.7};
}

static inline double hit(const Sphere *s, Vec origin, Vec direction) { // distance to the sphere, or FAR
  Vec to = minus(s->centre, origin);
  double along = dot(to, direction);
  double square = s->radius * s->radius - dot(to, to) + along * along;
  if (square <= 0.0) return FAR;
  double root = sqrt(square);
  if (along - root > 1e-6) return along - root;
  return along + root > 1e-6 ? along + root : FAR;
}

static int in_shadow(Vec point, Vec light) {
  for (int k = 0; k < 5; k++)
    if (hit(&spheres[k], point, light) < FAR) return 1;
  return 0;
}

static Vec trace(Vec origin, Vec direction, Vec light) {
  Vec colour = vec(0.0, 0.0, 0.0);
  double weight = 1.0;
  for (int bounce = 0; bounce < 5; bounce++) {
    double nearest = FAR;
    int which = -1;
    for (int k = 0; k < 5; k++) {
      double distance = hit(&spheres[k], origin, direction);
      if (distance < nearest) nearest = distance, which = k;
    }
    Vec normal = vec(0.0, 1.0, 0.0), base = vec(0.0, 0.0, 0.0);
    double mirror = 0.15;
    Vec point = origin;
    if (direction.y < -1e-9 && -origin.y / direction.y < nearest) { // the floor comes first
      nearest = -origin.y / direction.y;
      point = plus(origin, times(direction, nearest));
      i64 square = (i64)floor(point.x) + (i64)floor(point.z);
      base = square & 1 ? vec(0.85, 0.85, 0.85) : vec(0.25, 0.25, 0.3);
    } else if (which >= 0) {
      point = plus(origin, times(direction, nearest));
      normal = times(minus(point, spheres[which].centre), 1.0 / spheres[which].radius);
      base = spheres[which].colour;
      mirror = spheres[which].mirror;
    } else {
      double t = 0.5 * (direction.y + 1.0);
      Vec sky = plus(times(vec(1.0, 1.0, 1.0), 1.0 - t), times(vec(0.35, 0.6, 1.0), t));
      return plus(colour, times(sky, weight));
    }
    point = plus(point, times(normal, 1e-6));
    Vec reflected = minus(direction, times(normal, 2.0 * dot(direction, normal)));
    double bright = 0.15, shine = 0.0;
    double facing = dot(normal, light);
    if (facing > 0.0 && !in_shadow(point, light)) {
      bright += 0.85 * facing;
      double s = dot(reflected, light);
      if (s > 0.0) {
        for (int k = 0; k < 5; k++) s *= s;
        shine = 0.6 * s;
      }
    }
    Vec here = plus(times(base, bright), times(vec(1.0, 1.0, 1.0), shine));
    colour = plus(colour, times(here, weight * (1.0 - mirror)));
    weight *= mirror;
    if (weight < 0.01) break;
    origin = point;
    direction = reflected;
  }
  return colour;
}

static inline u8 level(double x) { return (u8)(255.0 * sqrt(x < 1.0 ? x : 1.0) + 0.5); }

static void run(int threads) {
  Vec eye = vec(0.0, 1.6, -6.0), light = unit(vec(-0.6, 1.0, -0.7));
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (i64 row = 0; row < height; row++)
    for (i64 column = 0; column < width; column++) {
      double x = (column + 0.5 - 0.5 * width) / height, y = (0.5 * height - row - 0.5) / height;
      Vec colour = trace(eye, unit(vec(x, y - 0.12, 1.1)), light);
      u8 *pixel = picture + 3 * (row * width + column);
      pixel[0] = level(colour.x), pixel[1] = level(colour.y), pixel[2] = level(colour.z);
    }
}

static void report(void) { report_bytes(picture, width * height * 3); }
