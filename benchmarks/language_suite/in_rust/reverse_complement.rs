mod suite;

fn run(text: &mut Vec<u8>, _: usize) -> Vec<u8> {
    let mut complement = [0u8; 256];
    for (from, to) in b"ACGTUMRWSYKVHDBNacgtumrwsykvhdbn".iter().zip(b"TGCAAKYWSRMBDHVNTGCAAKYWSRMBDHVN") {
        complement[*from as usize] = *to;
    }
    let mut out = Vec::new();
    let mut sequence = Vec::new();
    let mut i = 0;
    while i < text.len() {
        while i < text.len() && text[i] != b'\n' {
            out.push(text[i]);
            i += 1;
        }
        out.push(b'\n');
        i += 1;
        sequence.clear();
        while i < text.len() && text[i] != b'>' {
            if text[i] != b'\n' {
                sequence.push(complement[text[i] as usize]);
            }
            i += 1;
        }
        for (k, base) in sequence.iter().rev().enumerate() {
            out.push(*base);
            if k % 60 == 59 {
                out.push(b'\n');
            }
        }
        if sequence.len() % 60 > 0 {
            out.push(b'\n');
        }
    }
    out
}

fn main() {
    suite::drive(|_, text| text, run, |_, out| suite::report_bytes(&out));
}
