//! `dial rules patterns`: what EventBridge must forward for the rules to see what they need.

use std::path::PathBuf;

use comfy_table::Cell;
use dial_rules::patterns::Patterns;

use crate::failure::{Outcome, Result};
use crate::output::{Output, note, number_cell};
use crate::rule_files;
use crate::settings::Settings;

pub(crate) fn run(paths: &[PathBuf], settings: &Settings, output: &Output) -> Result<Outcome> {
    let rules = rule_files::in_force(paths, settings)?.rules;
    let derived = Patterns::of(rules.rules().iter().map(AsRef::as_ref));
    if output.is_json() {
        output.json(&derived)?;
    } else {
        let rows = derived.patterns.iter().map(|pattern| {
            vec![
                Cell::new(&pattern.name),
                Cell::new(if pattern.read_only { "read-only calls too" } else { "" }),
                number_cell(pattern.rules.len() as u64),
                number_cell(pattern.characters() as u64),
            ]
        });
        output.table(&["pattern", "asks for", "rules", "characters"], rows)?;
        output.line("The patterns themselves: dial rules patterns --json")?;
    }
    let title = |id: &String| rules.rule(id).map_or_else(|| id.clone(), |rule| format!("{:?} ({id})", rule.title));
    for id in &derived.everything {
        note(&format!(
            "{} may match any event, so all events must be forwarded for it: have it name `eventName` or `eventSource`, \
             or compare a field with `|cased`",
            title(id)
        ));
    }
    for id in &derived.never {
        note(&format!("{} matches no event: its conditions contradict each other", title(id)));
    }
    Ok(Outcome::Fine)
}
