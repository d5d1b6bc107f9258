mod suite;

const UNIT: &[u8] =
    b"GATTACAGGCCTTAAGCGCGATATCCGGTTAACTGACGTACGTTAGCATCGATCGGATCCAATTGCGCAATGCCTAGGCTAACCGTTAGGCATGCAAGCTT";

fn repeat(out: &mut Vec<u8>, title: &str, length: usize) {
    out.extend_from_slice(title.as_bytes());
    for i in 0..length {
        out.push(UNIT[i % UNIT.len()]);
        if i % 60 == 59 {
            out.push(b'\n');
        }
    }
    if length % 60 > 0 {
        out.push(b'\n');
    }
}

fn weighted(out: &mut Vec<u8>, title: &str, length: usize, letters: &[u8], weights: &[f64], mut seed: i64) -> i64 {
    let mut total = 0.0;
    let mut limits = Vec::new();
    for weight in weights {
        total += weight;
        limits.push(total);
    }
    out.extend_from_slice(title.as_bytes());
    for i in 0..length {
        seed = (seed * 3877 + 29573) % 139968;
        let r = seed as f64 / 139968.0;
        let mut k = 0;
        while k < letters.len() - 1 && r >= limits[k] {
            k += 1;
        }
        out.push(letters[k]);
        if i % 60 == 59 {
            out.push(b'\n');
        }
    }
    if length % 60 > 0 {
        out.push(b'\n');
    }
    seed
}

fn run(n: &mut usize, _: usize) -> Vec<u8> {
    let many = [0.27, 0.12, 0.12, 0.27, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02];
    let four = [0.303, 0.198, 0.1975, 0.3015];
    let mut out = Vec::new();
    repeat(&mut out, ">ONE repeated\n", *n);
    let seed = weighted(&mut out, ">TWO codes\n", *n, b"acgtBDHKMNRSVWY", &many, 42);
    weighted(&mut out, ">THREE bases\n", *n, b"acgt", &four, seed);
    out
}

fn main() {
    suite::drive(|n, _| n as usize, run, |_, out| suite::report_bytes(&out));
}
