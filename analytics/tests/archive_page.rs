//! The columns on docs/ARCHIVE.md are what the code says.

#![allow(clippy::unwrap_used, clippy::panic)]

use dial_analytics::page;
use dial_analytics::table::TABLES;
use dial_analytics::views::VIEWS;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ARCHIVE.md");

#[test]
fn the_page_is_what_the_code_says() {
    let written = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = written.split_once("<!-- columns -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /columns -->\n").unwrap();
    let generated = format!("{before}<!-- columns -->\n{}<!-- /columns -->\n{after}", page::section());
    if written != generated {
        // So that the next run passes and the change shows in the diff.
        std::fs::write(PAGE, &generated).unwrap();
        panic!("docs/ARCHIVE.md was out of date and has been written anew: look at it and commit it");
    }
}

#[test]
fn every_table_and_view_is_on_the_page() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    for name in TABLES.iter().map(|table| table.name).chain(VIEWS.iter().map(|view| view.name)) {
        assert!(page.contains(&format!("| `{name}`")) || page.contains(&format!("### `{name}`")), "{name}");
    }
    for table in TABLES {
        assert!(page.contains(&format!("`{}/dt=YYYY-MM-DD/*.parquet`", table.folder)), "{}", table.folder);
    }
}
