// The driver of every Rust program: the same protocol as in_c/suite.h.
#![allow(dead_code)]
use std::io::{BufRead, Write};
use std::time::Instant;

pub fn drive<S, R>(prepare: fn(i64, Vec<u8>) -> S, run: fn(&mut S, usize) -> R, report: fn(&S, R) -> String) {
    let arguments: Vec<String> = std::env::args().collect();
    let data = arguments.get(3).map_or(Vec::new(), |path| std::fs::read(path).unwrap());
    let mut state = prepare(arguments[1].parse().unwrap(), data);
    let threads = arguments[2].parse().unwrap();
    for _ in std::io::stdin().lock().lines() {
        let start = Instant::now();
        let result = run(&mut state, threads);
        let seconds = start.elapsed().as_secs_f64();
        println!("{:.9} {}", seconds, report(&state, result));
        std::io::stdout().flush().unwrap();
    }
}

/// Length and CRC-32 of an output.
pub fn report_bytes(data: &[u8]) -> String {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= byte as u32;
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB88320 & (crc & 1).wrapping_neg());
        }
    }
    format!("{} {}", data.len(), !crc)
}

/// Calls `work(i, part i)` for equal parts of `out`, on `threads` threads that take the next part when they are free.
pub fn parts<T: Send>(out: &mut [T], size: usize, threads: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if threads <= 1 {
        for (i, part) in out.chunks_mut(size).enumerate() {
            work(i, part);
        }
        return;
    }
    let queue = std::sync::Mutex::new(out.chunks_mut(size).enumerate());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let next = queue.lock().unwrap().next();
                match next {
                    Some((i, part)) => work(i, part),
                    None => break,
                }
            });
        }
    });
}
