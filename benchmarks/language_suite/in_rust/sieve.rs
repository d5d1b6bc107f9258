mod suite;

fn run(n: &mut usize, _: usize) -> usize {
    let n = *n;
    let mut prime = vec![true; n + 1];
    let mut i = 2;
    while i * i <= n {
        if prime[i] {
            for j in (i * i..=n).step_by(i) {
                prime[j] = false;
            }
        }
        i += 1;
    }
    prime[2..].iter().filter(|p| **p).count()
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, found| found.to_string());
}
