//! What could be better about correlations that load.

use super::{PLACEHOLDER, Tested, attack, known_fields};
use crate::correlation::{Condition, Correlation};
use crate::facts;
use crate::ruleset::{Problem, RuleSet};

/// What its author should look at once more.
pub(super) fn remarks(
    correlation: &Correlation,
    rules: &RuleSet,
    tested: Option<&Tested>,
    at: &dyn Fn(&str, String) -> Problem,
) -> Vec<Problem> {
    let has = |message: &str| format!("{:?} has {message}", correlation.title);
    let mut remarks = Vec::new();
    if !correlation.has_own_id {
        remarks.push(at("", has("no id: its findings are lost sight of once its title changes; give it a UUID")));
    }
    if !correlation.has_own_level {
        remarks.push(at("", has("no level: medium is assumed")));
    }
    // What is only a part of others is tested with them.
    let own = rules.correlations().makes_findings(&correlation.id);
    remarks.extend(Tested::lacking(tested).filter(|_| own).map(|message| at("", has(message))));
    if correlation.group_by.is_empty() {
        let message = "no group-by: it correlates what unrelated people do in unrelated accounts; group by dial.actor, \
                       recipientAccountId or the like";
        remarks.push(at("correlation:", has(message)));
    }
    remarks.extend(fields(correlation, rules, at));
    for tag in &correlation.tags {
        remarks.extend(attack::fault(tag).map(|fault| at(tag, fault)));
    }
    if texts(correlation).any(|text| text.contains(PLACEHOLDER)) {
        remarks.push(at(PLACEHOLDER, has(&format!("something left to write: look for {PLACEHOLDER}"))));
    }
    remarks
}

/// Fields to group by, or to count values of, that no event of a rule has.
fn fields(correlation: &Correlation, rules: &RuleSet, at: &dyn Fn(&str, String) -> Problem) -> Vec<Problem> {
    let counted = match &correlation.condition {
        Condition::ValueCount { fields, .. } => fields.as_slice(),
        _ => &[],
    };
    let mut faults: Vec<(String, String)> = Vec::new();
    for part in &correlation.parts {
        let Some(rule) = rules.rule(&part.id) else { continue };
        for field in correlation.group_by.iter().chain(counted).map(|name| part.field(name)) {
            if field.starts_with(facts::PREFIX) {
                continue;
            }
            if let Some(nearest) = known_fields::unknown_field(rule, field) {
                let instead = nearest.map_or_else(
                    || "write its whole path, such as requestParameters.name".to_owned(),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                faults
                    .push((field.to_owned(), format!("no event of {:?} has a field `{field}`: {instead}", rule.title)));
            }
        }
    }
    faults.sort();
    faults.dedup_by(|a, b| a.0 == b.0);
    faults.into_iter().map(|(field, message)| at(&field, message)).collect()
}

/// All that people read of it.
fn texts(correlation: &Correlation) -> impl Iterator<Item = &String> {
    let lists = [&correlation.false_positives, &correlation.references, &correlation.tags];
    let single = [&correlation.title, &correlation.description];
    single.into_iter().chain(&correlation.remediation).chain(lists.into_iter().flatten())
}
