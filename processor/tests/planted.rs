//! Planted truth: in a corpus with known sequences `dial scan` finds exactly these, whatever the order in which files hold the
//! events and however often they hold them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;

use support::Folder;
use support::planted::{Plan, RULES, assert_planted, plant};

/// 200,000 events.
const PLAN: Plan =
    Plan { events: 200_000, in_window: 200, too_late: 100, reversed: 100, arriving_late: 100, begin: 1_772_524_800 };
const FILES: usize = 7;

#[test]
fn exactly_what_was_planted_is_found() {
    let corpus = plant(PLAN, 1);
    assert_eq!(corpus.expected.len(), PLAN.in_window + PLAN.arriving_late);
    assert!(corpus.arriving.len() > PLAN.events * 3 / 2, "events come again");
    let folder = Folder::new();
    folder.write("rules.yml", RULES);
    for (n, part) in corpus.arriving.chunks(corpus.arriving.len().div_ceil(FILES)).enumerate() {
        let mut lines = String::new();
        part.iter().for_each(|event| writeln!(lines, "{event}").unwrap());
        folder.write(format!("trail/{n}.json"), lines);
    }
    let ended = folder.run("scan --json --rules rules.yml trail").expect(1, &[]);
    assert_planted(ended.findings().values(), &corpus);
}
