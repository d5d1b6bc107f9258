mod suite;

#[derive(Clone, Copy)]
enum Kind {
    Punctuation,
    String,
    Number,
    Word,
}

struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

fn run(text: &mut Vec<u8>, _: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let start = i;
        let kind = match text[i] {
            b' ' | b'\n' | b'\t' | b'\r' => {
                i += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                i += 1;
                Kind::Punctuation
            }
            b'"' => {
                i += 1;
                while text[i] != b'"' {
                    i += if text[i] == b'\\' { 2 } else { 1 };
                }
                i += 1;
                Kind::String
            }
            b'-' | b'0'..=b'9' => {
                while i < text.len() && matches!(text[i], b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
                    i += 1;
                }
                Kind::Number
            }
            _ => {
                while i < text.len() && text[i].is_ascii_lowercase() {
                    i += 1;
                }
                Kind::Word
            }
        };
        tokens.push(Token { kind, start, end: i });
    }
    tokens
}

fn report(_: &Vec<u8>, tokens: Vec<Token>) -> String {
    let mut kinds = [0; 4];
    let mut sum = 0;
    for token in tokens {
        kinds[token.kind as usize] += 1;
        sum = (sum * 31 + token.end - token.start) % 1000000007;
    }
    format!("{} {} {} {} {}", kinds[0], kinds[1], kinds[2], kinds[3], sum)
}

fn main() {
    suite::drive(|_, text| text, run, report);
}
