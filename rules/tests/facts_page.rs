//! docs/FACTS.md is what the code says.

#![allow(clippy::unwrap_used, clippy::panic)]

use dial_rules::facts;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/FACTS.md");

#[test]
fn the_page_is_what_the_code_says() {
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    let generated = facts::markdown();
    if written != generated {
        // So that the next run passes and the change shows in the diff.
        std::fs::write(PAGE, &generated).unwrap();
        panic!("docs/FACTS.md was out of date and has been written anew: look at it and commit it");
    }
}
