mod suite;

fn run(n: &mut usize, threads: usize) -> Vec<u8> {
    let n = *n;
    let mut counts = vec![0u8; n * n];
    suite::parts(&mut counts, n, threads, |row, line| {
        for (column, count) in line.iter_mut().enumerate() {
            let cx = -2.0 + 3.0 * column as f64 / n as f64;
            let cy = -1.5 + 3.0 * row as f64 / n as f64;
            let (mut x, mut y, mut k) = (0.0, 0.0, 0);
            while k < 100 && x * x + y * y <= 4.0 {
                (x, y) = (x * x - y * y + cx, 2.0 * x * y + cy);
                k += 1;
            }
            *count = k;
        }
    });
    counts
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, counts| suite::report_bytes(&counts));
}
