//! The tallymq binary.
fn main() {}
