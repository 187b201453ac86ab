//! `dial rules coverage`: rules by ATT&CK tactic and technique.

use comfy_table::Cell;
use dial_rules::coverage::Coverage;

use crate::cli::RuleCoverage;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, number_cell, plain};
use crate::rule_files;
use crate::settings::Settings;

pub(crate) fn run(args: &RuleCoverage, settings: &Settings, output: &Output) -> Result<Outcome> {
    let paths = &args.paths.paths;
    let rules = rule_files::in_force(paths, settings)?.rules;
    // What is only a part of correlations covers nothing by itself.
    let own = rules.rules().iter().filter(|rule| rules.correlations().makes_findings(&rule.id));
    let rules: &[_] = &own.cloned().collect::<Vec<_>>();
    let coverage = Coverage::of(rules);
    if args.navigator {
        let layer = serde_json::to_string_pretty(&coverage.navigator(rules));
        output.line(&layer.map_err(|error| Failure::outside("JSON", error))?)?;
    } else if output.is_json() {
        coverage.techniques.iter().try_for_each(|covered| output.json(covered))?;
    } else {
        let rows = coverage.tactics.iter().map(|(tactic, techniques)| {
            let list: Vec<String> =
                techniques.iter().map(|(technique, rules)| format!("{technique} ×{rules}")).collect();
            vec![Cell::new(plain(tactic)), number_cell(techniques.len() as u64), Cell::new(list.join("  "))]
        });
        output.table(&["tactic", "techniques", "rules of each"], rows)?;
    }
    note(&format!(
        "{} techniques in {} tactics from {} rules; {} rules without a technique",
        coverage.techniques.len(),
        coverage.tactics.len(),
        rules.len(),
        coverage.untagged.len()
    ));
    Ok(Outcome::Fine)
}
