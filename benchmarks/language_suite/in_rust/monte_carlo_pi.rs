mod suite;

fn hits(mut seed: i64, draws: i64) -> i64 {
    let mut found = 0;
    for _ in 0..draws {
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
        let x = seed as f64 / 2147483648.0;
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
        let y = seed as f64 / 2147483648.0;
        if x * x + y * y <= 1.0 {
            found += 1;
        }
    }
    found
}

fn run(n: &mut i64, threads: usize) -> f64 {
    let draws = *n / 64;
    let mut counts = [0i64; 64];
    suite::parts(&mut counts, 1, threads, |chunk, count| count[0] = hits(chunk as i64 * 7919 + 1, draws));
    4.0 * counts.iter().sum::<i64>() as f64 / (draws * 64) as f64
}

fn main() {
    suite::drive(|n, _| n, run, |_, pi| format!("{:?}", pi));
}
