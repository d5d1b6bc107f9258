mod suite;

use std::collections::HashMap;

fn run(text: &mut String, _: usize) -> (usize, Vec<(String, i64)>) {
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for word in text.split_ascii_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    let mut order: Vec<(&str, i64)> = counts.into_iter().collect();
    order.sort_by_key(|(word, count)| (-count, *word));
    (order.len(), order[..10].iter().map(|(word, count)| (word.to_string(), *count)).collect())
}

fn report(_: &String, result: (usize, Vec<(String, i64)>)) -> String {
    let words: Vec<String> = result.1.iter().map(|(word, count)| format!("{word} {count}")).collect();
    format!("{} {}", result.0, words.join(" "))
}

fn main() {
    suite::drive(|_, data| String::from_utf8(data).unwrap(), run, report);
}
