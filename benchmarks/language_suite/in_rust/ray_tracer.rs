mod suite;

use std::ops::{Add, Mul, Sub};

#[derive(Clone, Copy)]
struct Vector {
    x: f64,
    y: f64,
    z: f64,
}

const fn vec(x: f64, y: f64, z: f64) -> Vector {
    Vector { x, y, z }
}

impl Add for Vector {
    type Output = Vector;
    fn add(self, o: Vector) -> Vector {
        vec(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vector {
    type Output = Vector;
    fn sub(self, o: Vector) -> Vector {
        vec(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f64> for Vector {
    type Output = Vector;
    fn mul(self, k: f64) -> Vector {
        vec(self.x * k, self.y * k, self.z * k)
    }
}

impl Vector {
    fn dot(self, o: Vector) -> f64 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    fn unit(self) -> Vector {
        self * (1.0 / self.dot(self).sqrt())
    }
}

const FAR: f64 = 1e20;

struct Sphere {
    centre: Vector,
    radius: f64,
    colour: Vector,
    mirror: f64,
}

impl Sphere {
    /// Distance to the sphere, or FAR.
    fn hit(&self, origin: Vector, direction: Vector) -> f64 {
        let to = self.centre - origin;
        let along = to.dot(direction);
        let square = self.radius * self.radius - to.dot(to) + along * along;
        if square <= 0.0 {
            return FAR;
        }
        let root = square.sqrt();
        if along - root > 1e-6 {
            return along - root;
        }
        if along + root > 1e-6 { along + root } else { FAR }
    }
}

fn trace(spheres: &[Sphere], mut origin: Vector, mut direction: Vector, light: Vector) -> Vector {
    let white = vec(1.0, 1.0, 1.0);
    let mut colour = vec(0.0, 0.0, 0.0);
    let mut weight = 1.0;
    for _ in 0..5 {
        let mut nearest = FAR;
        let mut which = None;
        for sphere in spheres {
            let distance = sphere.hit(origin, direction);
            if distance < nearest {
                nearest = distance;
                which = Some(sphere);
            }
        }
        let (mut point, normal, base, mirror);
        if direction.y < -1e-9 && -origin.y / direction.y < nearest {
            nearest = -origin.y / direction.y;
            point = origin + direction * nearest;
            normal = vec(0.0, 1.0, 0.0);
            let square = point.x.floor() as i64 + point.z.floor() as i64;
            base = if square & 1 != 0 { vec(0.85, 0.85, 0.85) } else { vec(0.25, 0.25, 0.3) };
            mirror = 0.15;
        } else if let Some(sphere) = which {
            point = origin + direction * nearest;
            normal = (point - sphere.centre) * (1.0 / sphere.radius);
            base = sphere.colour;
            mirror = sphere.mirror;
        } else {
            let t = 0.5 * (direction.y + 1.0);
            let sky = white * (1.0 - t) + vec(0.35, 0.6, 1.0) * t;
            return colour + sky * weight;
        }
        point = point + normal * 1e-6;
        let reflected = direction - normal * (2.0 * direction.dot(normal));
        let (mut bright, mut shine) = (0.15, 0.0);
        let facing = normal.dot(light);
        if facing > 0.0 && !spheres.iter().any(|s| s.hit(point, light) < FAR) {
            bright += 0.85 * facing;
            let mut s = reflected.dot(light);
            if s > 0.0 {
                for _ in 0..5 {
                    s *= s;
                }
                shine = 0.6 * s;
            }
        }
        let here = base * bright + white * shine;
        colour = colour + here * (weight * (1.0 - mirror));
        weight *= mirror;
        if weight < 0.01 {
            break;
        }
        origin = point;
        direction = reflected;
    }
    colour
}

fn level(x: f64) -> u8 {
    (255.0 * (if x < 1.0 { x } else { 1.0 }).sqrt() + 0.5) as u8
}

fn sphere(centre: Vector, radius: f64, colour: Vector, mirror: f64) -> Sphere {
    Sphere { centre, radius, colour, mirror }
}

fn run(n: &mut usize, threads: usize) -> Vec<u8> {
    let (width, height) = (4 * *n, 3 * *n);
    let spheres = [
        sphere(vec(0.0, 1.0, 0.0), 1.0, vec(0.9, 0.25, 0.2), 0.3),
        sphere(vec(-2.1, 0.8, -0.6), 0.8, vec(0.2, 0.5, 0.9), 0.4),
        sphere(vec(2.0, 0.7, -0.9), 0.7, vec(0.95, 0.8, 0.2), 0.2),
        sphere(vec(0.9, 0.35, -1.9), 0.35, vec(0.3, 0.85, 0.4), 0.1),
        sphere(vec(-0.8, 0.3, -2.0), 0.3, vec(0.9, 0.9, 0.95), 0.7),
    ];
    let (eye, light) = (vec(0.0, 1.6, -6.0), vec(-0.6, 1.0, -0.7).unit());
    let mut picture = vec![0u8; 3 * width * height];
    suite::parts(&mut picture, 3 * width, threads, |row, line| {
        for (column, pixel) in line.chunks_mut(3).enumerate() {
            let x = (column as f64 + 0.5 - 0.5 * width as f64) / height as f64;
            let y = (0.5 * height as f64 - row as f64 - 0.5) / height as f64;
            let colour = trace(&spheres, eye, vec(x, y - 0.12, 1.1).unit(), light);
            pixel.copy_from_slice(&[level(colour.x), level(colour.y), level(colour.z)]);
        }
    });
    picture
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, picture| suite::report_bytes(&picture));
}
