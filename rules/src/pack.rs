//! The packs that come with DIAL, compiled into the program.

use crate::ruleset::RuleFile;

/// Every YAML file of the packs: its name within them, and its text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// What the names of files of tests end with.
pub const TEST_SUFFIX: &str = ".test.yml";

/// The packs' rules.
pub fn rules() -> Vec<RuleFile> {
    files(|name| !name.ends_with(TEST_SUFFIX))
}

/// The packs' tests.
pub fn tests() -> Vec<RuleFile> {
    files(|name| name.ends_with(TEST_SUFFIX))
}

fn files(wanted: impl Fn(&str) -> bool) -> Vec<RuleFile> {
    let named = FILES.iter().filter(|(name, _)| wanted(name));
    named.map(|(name, text)| RuleFile { name: format!("rules/packs/{name}"), text: (*text).to_owned() }).collect()
}
