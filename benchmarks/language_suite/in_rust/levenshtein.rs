mod suite;

fn run(words: &mut (Vec<u8>, Vec<u8>), _: usize) -> i64 {
    let (a, b) = words;
    let mut previous: Vec<i64> = (0..=b.len() as i64).collect();
    let mut current = vec![0; b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        current[0] = i as i64 + 1;
        for (j, y) in b.iter().enumerate() {
            let change = previous[j] + (x != y) as i64;
            current[j + 1] = change.min(previous[j + 1] + 1).min(current[j] + 1);
        }
        std::mem::swap(&mut previous, &mut current);
    }
    previous[b.len()]
}

fn prepare(_: i64, data: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let middle = data.iter().position(|c| *c == b'\n').unwrap();
    (data[..middle].to_vec(), data[middle + 1..].to_vec())
}

fn main() {
    suite::drive(prepare, run, |_, distance| distance.to_string());
}
