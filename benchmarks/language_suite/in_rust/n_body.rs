mod suite;

struct Body {
    position: [f64; 3],
    velocity: [f64; 3],
    mass: f64,
}

fn body(position: [f64; 3], velocity: [f64; 3], mass: f64) -> Body {
    Body { position, velocity, mass }
}

fn advance(bodies: &mut [Body], dt: f64) {
    for i in 0..bodies.len() {
        let (head, tail) = bodies.split_at_mut(i + 1);
        let a = &mut head[i];
        for b in tail {
            let dx = a.position[0] - b.position[0];
            let dy = a.position[1] - b.position[1];
            let dz = a.position[2] - b.position[2];
            let square = dx * dx + dy * dy + dz * dz;
            let pull = dt / (square * square.sqrt());
            a.velocity[0] -= dx * b.mass * pull;
            a.velocity[1] -= dy * b.mass * pull;
            a.velocity[2] -= dz * b.mass * pull;
            b.velocity[0] += dx * a.mass * pull;
            b.velocity[1] += dy * a.mass * pull;
            b.velocity[2] += dz * a.mass * pull;
        }
    }
    for a in bodies {
        for k in 0..3 {
            a.position[k] += dt * a.velocity[k];
        }
    }
}

fn total_energy(bodies: &[Body]) -> f64 {
    let mut e = 0.0;
    for (i, a) in bodies.iter().enumerate() {
        let v = a.velocity;
        e += 0.5 * a.mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        for b in &bodies[i + 1..] {
            let dx = a.position[0] - b.position[0];
            let dy = a.position[1] - b.position[1];
            let dz = a.position[2] - b.position[2];
            e -= a.mass * b.mass / (dx * dx + dy * dy + dz * dz).sqrt();
        }
    }
    e
}

fn run(steps: &mut i64, _: usize) -> f64 {
    let mut bodies = [
        body([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 40.0),
        body([5.0, 0.5, 0.1], [0.1, 2.8, 0.05], 0.04),
        body([-9.0, 1.5, -0.2], [-0.2, -2.1, 0.02], 0.012),
        body([1.0, 15.0, 0.3], [-1.6, 0.1, -0.04], 0.002),
        body([-2.0, -25.0, 0.6], [1.25, -0.1, 0.03], 0.003),
    ];
    for _ in 0..*steps {
        advance(&mut bodies, 0.001);
    }
    total_energy(&bodies)
}

fn main() {
    suite::drive(|n, _| n, run, |_, energy| format!("{:?}", energy));
}
