//! The story of a correlated finding, in words: who, what came to what, and what happened when. Pure.

use dial_rules::assessment::Assessment;
use dial_rules::correlation::{ACTOR, Condition, Correlation};
use dial_rules::event::Millis;
use dial_rules::finding::{EVIDENCE_EACH, Evidence, Finding, FindingKind};
use dial_rules::lineage::{Telling, member_name};
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use dial_rules::tables::Tables;
use dial_sinks::message::Moment;

use crate::output::{clock, plain};

/// Whether a finding rests on several matches.
pub(crate) fn is_correlated(finding: &Finding) -> bool {
    finding.kind == FindingKind::Correlated
}

/// Who did it: the person whom a correlated finding groups by, else who acted in its earliest event.
pub(crate) fn who(assessment: &Assessment) -> Option<String> {
    let Assessment { finding, context, .. } = assessment;
    let actor = || finding.subject.actor.clone();
    match finding.group.get(ACTOR) {
        Some(member) if Telling::of(member) != Telling::Credential => Some(member_name(member)),
        Some(key) => context.lineage.person().filter(|_| context.lineage.credentials.contains(key)).or_else(actor),
        None => actor(),
    }
}

/// How much a finding says among those of its incident, the most first: the worst; of a person rather than of a thing, and
/// of a thing rather than of a key; of many events; the latest.
pub(crate) fn telling(assessment: &Assessment) -> impl Ord + use<'_> {
    let finding = &assessment.finding;
    let group = match finding.group.get(ACTOR).map(|member| Telling::of(member)) {
        Some(Telling::Name) => 3,
        Some(Telling::Id) => 2,
        None => 1,
        Some(Telling::Credential) => 0,
    };
    let key: (Severity, u8, u64, Millis, &str) =
        (assessment.severity(), group, finding.event_count, finding.last_seen, &finding.finding_id);
    std::cmp::Reverse(key)
}

/// A group's value as people say it: `alice (111122223333)`, `bucket data`, `account 111122223333 payments`.
pub(crate) fn group_words(name: &str, value: &str, tables: &Tables) -> String {
    if name == ACTOR {
        return member_name(value);
    }
    let noun = noun(name);
    let account = tables.accounts.get(value).filter(|_| noun == "account").and_then(|account| account.name.as_deref());
    [noun.as_str(), value].into_iter().chain(account).collect::<Vec<_>>().join(" ")
}

/// What a field holds: `requestParameters.routeTableId` → `route table`.
fn noun(field: &str) -> String {
    let last = field.rsplit('.').next().unwrap_or(field);
    let mut words: Vec<String> = Vec::new();
    for c in last.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() || word.ends_with(char::is_uppercase) => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let mut words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    if words.len() > 1 && words.last().is_some_and(|word| ["name", "id"].contains(&word.as_str())) {
        words.pop();
    }
    match words.join(" ").as_str() {
        "recipient account" => "account".to_owned(),
        "source ipaddress" => "address".to_owned(),
        "aws region" => "region".to_owned(),
        other => other.to_owned(),
    }
}

/// Which conditions were met: `2 of 2 rules in order within 1 h; 12 distinct events; completed at 2026-03-03 10:00:00`. Without
/// the correlation, which may be gone, only what the finding itself says.
pub(crate) fn conditions(finding: &Finding, correlation: Option<&Correlation>) -> String {
    let events = match finding.event_count {
        1 => "1 distinct event".to_owned(),
        _ => format!("{} distinct events", finding.event_count_text()),
    };
    let asked = correlation.map(|correlation| asked(finding, correlation));
    let completed = match (finding.completed_by.first(), finding.completed_by.last()) {
        (Some(first), Some(last)) if first.event_time != last.event_time => {
            Some(format!("first completed at {}, last at {}", clock(first.event_time), clock(last.event_time)))
        }
        (Some(only), _) => Some(format!("completed at {}", clock(only.event_time))),
        _ => None,
    };
    asked.into_iter().chain([events]).chain(completed).collect::<Vec<_>>().join("; ")
}

fn asked(finding: &Finding, correlation: &Correlation) -> String {
    let parts = &correlation.parts;
    let met = |part: &str| finding.evidence.iter().any(|evidence| evidence.rule_id == part);
    let what = match &correlation.condition {
        Condition::EventCount { at_least } => format!("{at_least} events or more"),
        Condition::ValueCount { fields, at_least } => format!("{at_least} values of {} or more", fields.join(", ")),
        Condition::Temporal(_) | Condition::TemporalOrdered => {
            format!("{} of {} rules", parts.iter().filter(|part| met(&part.id)).count(), parts.len())
        }
    };
    let order = match correlation.condition {
        Condition::TemporalOrdered => " in order",
        _ => "",
    };
    format!("{what}{order} within {}", span(correlation.timespan))
}

/// A timespan as people say it: `90 s`, `1 h`, `7 d`.
pub(crate) fn span(timespan: Millis) -> String {
    let seconds = timespan / 1000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let fitting = units.iter().find(|(unit, _)| seconds % unit == 0);
    fitting.map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

/// The titles of a timeline's columns.
pub(crate) const COLUMNS: [&str; 7] = ["time (UTC)", "who", "from", "what", "account", "region", "as"];

/// The rows of a table of what happened, under [`COLUMNS`].
pub(crate) fn rows(moments: Vec<Moment>) -> Vec<[String; 7]> {
    let row = |moment: Moment| {
        let Moment { time, who, from, what, account, region, rule } = moment;
        [clock(time), who, from, what, account, region, rule].map(|cell| plain(&cell))
    };
    moments.into_iter().map(row).collect()
}

/// The timeline: each piece of evidence, in order of time.
pub(crate) fn timeline(finding: &Finding, rules: Option<&RuleSet>, tables: &Tables) -> Vec<Moment> {
    let moment = |evidence: &Evidence| {
        let or_subject = |own: &Option<String>, subject: &Option<String>| {
            own.clone().or_else(|| subject.clone().filter(|_| !is_correlated(finding))).unwrap_or_default()
        };
        let subject = &finding.subject;
        let account = or_subject(&evidence.account_id, &subject.account_id);
        let name = tables.accounts.get(&account).and_then(|account| account.name.clone());
        let from = or_subject(&evidence.source_ip, &subject.source_ip);
        let service = evidence.event_source.strip_suffix(".amazonaws.com").unwrap_or(&evidence.event_source);
        let target = evidence.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
        Moment {
            time: evidence.event_time,
            who: or_subject(&evidence.actor, &subject.actor),
            from: place(&from, evidence.event_time, tables),
            what: format!("{service} {}{target}", evidence.event_name),
            account: name.map_or_else(|| account.clone(), |name| format!("{name} ({account})")),
            region: or_subject(&evidence.region, &subject.region),
            rule: title(&evidence.rule_id, rules),
        }
    };
    finding.evidence.iter().map(moment).collect()
}

/// An address, with its country where that is known.
fn place(field: &str, at: Millis, tables: &Tables) -> String {
    let country = tables.addresses.look_up(field, at).country.map(|country| format!(" {country}"));
    format!("{field}{}", country.unwrap_or_default())
}

/// The title of the rule, or of the correlation, with this id; of one that is gone the id.
fn title(id: &str, rules: Option<&RuleSet>) -> String {
    let of_rule = |rules: &RuleSet| {
        let rule = rules.rules().iter().chain(rules.disabled()).find(|rule| rule.id == id);
        rule.map(|rule| rule.title.clone())
            .or_else(|| rules.correlations().get(id).map(|correlation| correlation.title.clone()))
    };
    rules.and_then(of_rule).unwrap_or_else(|| id.to_owned())
}

/// What must be said of a timeline, so that nobody takes it for more than it is.
pub(crate) fn remarks(finding: &Finding) -> Vec<String> {
    let mut remarks = Vec::new();
    if finding.order_ambiguous {
        remarks.push(
            "the order is ambiguous: some events have the same second, and are taken to be in the order asked for"
                .to_owned(),
        );
    }
    let shown: std::collections::BTreeSet<&str> =
        finding.evidence.iter().map(|evidence| evidence.event_id.as_str()).collect();
    if finding.event_count > shown.len() as u64 {
        let count = finding.event_count_text();
        remarks.push(format!("of {count} events, the {EVIDENCE_EACH} earliest and latest of each rule are kept"));
    }
    remarks
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
