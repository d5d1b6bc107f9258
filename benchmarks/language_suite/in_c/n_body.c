#include "suite.h"

typedef struct {
  double x, y, z, vx, vy, vz, mass;
} Body;

static i64 steps;
static double energy;

static void prepare(i64 n, const u8 *data, size_t size) { steps = n; }

static void advance(Body *bodies, int count, double dt) {
  for (int i = 0; i < count; i++) {
    Body *a = &bodies[i];
    for (int j = i + 1; j < count; j++) {
      Body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz;
      double pull = dt / (square * sqrt(square));
      a->vx -= dx * b->mass * pull;
      a->vy -= dy * b->mass * pull;
      a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull;
      b->vy += dy * a->mass * pull;
      b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < count; i++) {
    Body *a = &bodies[i];
    a->x += dt * a->vx;
    a->y += dt * a->vy;
    a->z += dt * a->vz;
  }
}

static double total_energy(const Body *bodies, int count) {
  double e = 0;
  for (int i = 0; i < count; i++) {
    const Body *a = &bodies[i];
    e += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
    for (int j = i + 1; j < count; j++) {
      const Body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      e -= a->mass * b->mass / sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return e;
}

static void run(int threads) {
  Body bodies[5] = {
      {0, 0, 0, 0, 0, 0, 40},
      {5.0, 0.5, 0.1, 0.1, 2.8, 0.05, 0.04},
      {-9.0, 1.5, -0.2, -0.2, -2.1, 0.02, 0.012},
      {1.0, 15.0, 0.3, -1.6, 0.1, -0.04, 0.002},
      {-2.0, -25.0, 0.6, 1.25, -0.1, 0.03, 0.003},
  };
  for (i64 i = 0; i < steps; i++) advance(bodies, 5, 0.001);
  energy = total_energy(bodies, 5);
}

static void report(void) { printf("%.17g", energy); }
