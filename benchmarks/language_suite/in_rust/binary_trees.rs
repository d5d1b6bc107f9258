mod suite;

struct Tree {
    children: Option<(Box<Tree>, Box<Tree>)>,
}

fn grow(depth: i64) -> Box<Tree> {
    Box::new(Tree { children: (depth > 0).then(|| (grow(depth - 1), grow(depth - 1))) })
}

fn count(tree: &Tree) -> i64 {
    match &tree.children {
        Some((left, right)) => 1 + count(left) + count(right),
        None => 1,
    }
}

fn run(depth: &mut i64, _: usize) -> i64 {
    let kept = grow(*depth);
    let mut total = 0;
    for d in (4..=*depth).step_by(4) {
        for _ in 0..1 << (*depth - d + 4) {
            total += count(&grow(d));
        }
    }
    total + count(&kept)
}

fn main() {
    suite::drive(|n, _| n, run, |_, total| total.to_string());
}
