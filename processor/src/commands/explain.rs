//! `dial rules explain`: a rule's conditions, one by one, on an event.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dial_rules::correlation::Correlation;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::{Event, rfc3339};
use dial_rules::explain::{Explanation, explain};
use dial_rules::rule::Rule;
use dial_rules::ruleset::RuleSet;
use serde_json::json;

use super::correlations;
use crate::cli::RuleExplain;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, plain};
use crate::settings::Settings;
use crate::{context, rule_files};

/// The most characters of a condition or a value that a line shows.
const WIDEST: usize = 160;

pub(crate) async fn run(args: &RuleExplain, settings: &Settings, output: &Output) -> Result<Outcome> {
    let paths = if args.rules.rules.is_empty() { &settings.rules.paths } else { &args.rules.rules };
    let rules = rule_files::load(paths, &context::tables(settings).await?.now())?;
    let explained = find(&rules, &args.id)?;
    let (mut events, mut matched) = (0, 0);
    for decoded in Decoder::new(open(&args.event)?) {
        match decoded {
            Decoded::Event(event) => {
                events += 1;
                matched += u64::from(explained.on(&event, &rules, output)?);
            }
            Decoded::DeadLetter(letter) => note(&format!("byte {}: no event: {}", letter.offset, letter.reason)),
        }
    }
    if events == 0 {
        return Err(Failure::Usage(format!("{}: there is no event in it", args.event.display())));
    }
    match explained {
        Explained::Rule(rule) => note(&format!("{:?} matches {matched} of {events} events", rule.title)),
        Explained::Correlation(correlation, _) => {
            note(&format!("{matched} of {events} events take part in {:?}", correlation.title));
        }
    }
    Ok(Outcome::Fine)
}

/// What the id means.
enum Explained<'r> {
    Rule(&'r Rule),
    /// With the rules whose matches reach it.
    Correlation(&'r Correlation, Vec<&'r Rule>),
}

impl Explained<'_> {
    /// Explains one event; whether it matches. Of a correlation every rule is shown, and the groups that the event is in.
    fn on(&self, event: &Event, rules: &RuleSet, output: &Output) -> Result<bool> {
        let one = |rule: &Rule| {
            let explanation = explain(rule, event, rules.tables());
            show(rule, event, &explanation, output).map(|()| explanation.matched)
        };
        match self {
            Explained::Rule(rule) => one(rule),
            Explained::Correlation(correlation, parts) => {
                let mut matched = false;
                for part in parts {
                    matched |= one(part)?;
                }
                for group in correlations::groups(correlation, rules, event) {
                    note(&plain(&format!("in the group: {group}")));
                }
                Ok(matched)
            }
        }
    }
}

fn find<'r>(rules: &'r RuleSet, id: &str) -> Result<Explained<'r>> {
    let of_rules = rules.rules().iter().map(|rule| (rule.id.as_str(), Explained::Rule(rule)));
    let of_correlations = rules.correlations().iter().map(|correlation| {
        let reach = rules.correlations().rules_of(&correlation.id);
        let parts = rules.rules().iter().map(AsRef::as_ref).filter(|rule| reach.contains(&rule.id)).collect();
        (correlation.id.as_str(), Explained::Correlation(correlation, parts))
    });
    let mut found: Vec<_> = of_rules.chain(of_correlations).filter(|(own, _)| own.starts_with(id)).collect();
    // A whole id may be the beginning of another.
    if let Some(at) = found.iter().position(|(own, _)| *own == id) {
        return Ok(found.swap_remove(at).1);
    }
    match (found.pop(), found.len()) {
        (Some((_, one)), 0) => Ok(one),
        (None, _) => Err(Failure::Usage(format!("no rule has the id {id}: `dial rules list` shows them"))),
        (_, more) => Err(Failure::Usage(format!("{} rules have ids that begin with {id}: write more of it", more + 1))),
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
