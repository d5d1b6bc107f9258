mod suite;

fn entry(i: usize, j: usize) -> f64 {
    1.0 / ((i + j) * (i + j + 1) / 2 + i + 1) as f64
}

fn multiply(x: &[f64], out: &mut [f64], transposed: bool, threads: usize) {
    let size = out.len().div_ceil(threads);
    suite::parts(out, size, threads, |part, rows| {
        for (k, row) in rows.iter_mut().enumerate() {
            let i = part * size + k;
            *row = if transposed {
                x.iter().enumerate().map(|(j, v)| entry(j, i) * v).sum()
            } else {
                x.iter().enumerate().map(|(j, v)| entry(i, j) * v).sum()
            };
        }
    });
}

fn run(n: &mut usize, threads: usize) -> f64 {
    let (mut u, mut v, mut t) = (vec![1.0; *n], vec![0.0; *n], vec![0.0; *n]);
    for _ in 0..10 {
        multiply(&u, &mut t, false, threads);
        multiply(&t, &mut v, true, threads);
        multiply(&v, &mut t, false, threads);
        multiply(&t, &mut u, true, threads);
    }
    let uv: f64 = u.iter().zip(&v).map(|(a, b)| a * b).sum();
    let vv: f64 = v.iter().map(|a| a * a).sum();
    (uv / vv).sqrt()
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, norm| format!("{:?}", norm));
}
