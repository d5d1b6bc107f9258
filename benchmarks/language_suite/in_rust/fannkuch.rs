mod suite;

fn run(n: &mut usize, _: usize) -> (i64, i64) {
    let n = *n;
    let mut p: Vec<usize> = (0..n).collect();
    let mut q = vec![0; n];
    let mut count = vec![0; n];
    let (mut checksum, mut most, mut r, mut sign) = (0, 0, n, 1);
    loop {
        while r > 1 {
            count[r - 1] = r;
            r -= 1;
        }
        if p[0] != 0 {
            q.copy_from_slice(&p);
            let mut flips = 0;
            while q[0] != 0 {
                let first = q[0];
                q[..=first].reverse();
                flips += 1;
            }
            most = most.max(flips);
            checksum += sign * flips;
        }
        sign = -sign;
        loop {
            if r == n {
                return (checksum, most);
            }
            p[..=r].rotate_left(1);
            count[r] -= 1;
            if count[r] > 0 {
                break;
            }
            r += 1;
        }
    }
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, r| format!("{} {}", r.0, r.1));
}
