//! options -> plan -> run; nothing else.
fn main() {}
