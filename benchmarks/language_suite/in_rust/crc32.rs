mod suite;

fn run(text: &mut Vec<u8>, _: usize) -> u32 {
    let mut table = [0u32; 256];
    for i in 0..256u32 {
        let mut c = i;
        for _ in 0..8 {
            c = if c & 1 == 1 { c >> 1 ^ 0xEDB88320 } else { c >> 1 };
        }
        table[i as usize] = c;
    }
    let mut crc = 0xFFFFFFFFu32;
    for &byte in text.iter() {
        crc = crc >> 8 ^ table[((crc ^ byte as u32) & 255) as usize];
    }
    crc ^ 0xFFFFFFFF
}

fn main() {
    suite::drive(|_, text| text, run, |_, crc| crc.to_string());
}
