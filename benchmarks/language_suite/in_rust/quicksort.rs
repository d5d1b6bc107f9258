mod suite;

fn sort(x: &mut [i64], mut low: isize, mut high: isize) {
    while low < high {
        let pivot = x[((low + high) / 2) as usize];
        let (mut i, mut j) = (low, high);
        while i <= j {
            while x[i as usize] < pivot {
                i += 1;
            }
            while x[j as usize] > pivot {
                j -= 1;
            }
            if i <= j {
                x.swap(i as usize, j as usize);
                i += 1;
                j -= 1;
            }
        }
        if j - low < high - i {
            sort(x, low, j);
            low = i;
        } else {
            sort(x, i, high);
            high = j;
        }
    }
}

fn prepare(n: i64, _: Vec<u8>) -> Vec<i64> {
    let mut seed = 42;
    let mut next = || {
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF;
        seed
    };
    (0..n).map(|_| next()).collect()
}

fn run(values: &mut Vec<i64>, _: usize) -> Vec<i64> {
    let mut work = values.clone();
    let last = work.len() as isize - 1;
    sort(&mut work, 0, last);
    work
}

fn report(_: &Vec<i64>, work: Vec<i64>) -> String {
    suite::report_bytes(&work.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

fn main() {
    suite::drive(prepare, run, report);
}
