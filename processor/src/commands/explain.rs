//! `dial rules explain`: a rule's conditions, one by one, on an event.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::{Event, rfc3339};
use dial_rules::explain::{Explanation, explain};
use dial_rules::rule::Rule;
use dial_rules::ruleset::RuleSet;
use serde_json::json;

use crate::cli::RuleExplain;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, plain};
use crate::rule_files;
use crate::settings::Settings;

/// The most characters of a condition or a value that a line shows.
const WIDEST: usize = 160;

pub(crate) fn run(args: &RuleExplain, settings: &Settings, output: &Output) -> Result<Outcome> {
    let paths = if args.rules.rules.is_empty() { &settings.rules.paths } else { &args.rules.rules };
    let rules = rule_files::load(paths, &settings.facts)?;
    let rule = find(&rules, &args.id)?;
    let (mut events, mut matched) = (0, 0);
    for decoded in Decoder::new(open(&args.event)?) {
        match decoded {
            Decoded::Event(event) => {
                let explanation = explain(rule, &event, rules.tables());
                events += 1;
                matched += u64::from(explanation.matched);
                show(rule, &event, &explanation, output)?;
            }
            Decoded::DeadLetter(letter) => note(&format!("byte {}: no event: {}", letter.offset, letter.reason)),
        }
    }
    if events == 0 {
        return Err(Failure::Usage(format!("{}: there is no event in it", args.event.display())));
    }
    note(&format!("{:?} matches {matched} of {events} events", rule.title));
    Ok(Outcome::Fine)
}

fn find<'r>(rules: &'r RuleSet, id: &str) -> Result<&'r Rule> {
    if let Some(rule) = rules.rule(id) {
        return Ok(rule);
    }
    let found: Vec<_> = rules.rules().iter().filter(|rule| rule.id.starts_with(id)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::Usage(format!("no rule has the id {id}: `dial rules list` shows them"))),
        many => Err(Failure::Usage(format!("{} rules have ids that begin with {id}: write more of it", many.len()))),
    }
}

pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::Usage(format!("{}: there is no such file", path.display())))
        }
        Err(error) => Err(Failure::outside(path.display(), error)),
    }
}

fn show(rule: &Rule, event: &Event, explanation: &Explanation, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(&json!({
            "rule_id": rule.id, "event_id": event.id(), "event_time": rfc3339(event.time()), "event_name": event.name(),
            "event_source": event.source(), "matched": explanation.matched, "conditions": explanation.parts,
        }));
    }
    let subject = format!("{} {} {} ({})", rfc3339(event.time()), event.source(), event.name(), event.id());
    output.line(&plain(&subject))?;
    tree(explanation, "", "", output)
}

/// Prints a condition and below it its parts: `lead` begins its own line, `below` those of the parts.
fn tree(node: &Explanation, lead: &str, below: &str, output: &Output) -> Result<()> {
    let value = node.value.as_ref().map(|value| format!("  ← {}", short(&value.to_string()))).unwrap_or_default();
    let reason = node.reason.map(|reason| format!("  ({reason})")).unwrap_or_default();
    let sign = if node.matched { "✓" } else { "✗" };
    output.line(&format!("{lead}{} {}{value}{reason}", output.verdict(sign, node.matched), short(&node.condition)))?;
    let last = node.parts.len().saturating_sub(1);
    for (at, part) in node.parts.iter().enumerate() {
        let (turn, on) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        tree(part, &format!("{below}{turn}"), &format!("{below}{on}"), output)?;
    }
    Ok(())
}

fn short(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
