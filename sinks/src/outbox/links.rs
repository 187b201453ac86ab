//! Where to read on about an alert. Pure; what is not certainly harmless is left out or quoted.

use dial_rules::event::{Millis, rfc3339};
use dial_rules::finding::Finding;

use crate::message::Links;

/// The links of a message about `lead`; `list` is there when the message names more findings than it tells: of one rule, or
/// of all, and from when to when.
pub(crate) fn links(lead: &Finding, list: Option<(Option<&str>, Millis, Millis)>) -> Links {
    Links {
        console: console(lead),
        show: format!("dial findings show {}", word(&lead.finding_id)),
        list: list.map(|(rule_id, from, to)| {
            let rule = rule_id.map(|id| format!(" --rule {}", word(id))).unwrap_or_default();
            // Listings end before their end.
            format!("dial findings list{rule} --from {} --to {}", rfc3339(from), rfc3339(to.saturating_add(1)))
        }),
    }
}

/// The finding's first event in the CloudTrail console.
fn console(finding: &Finding) -> Option<String> {
    let evidence = finding.evidence.first()?;
    let region = evidence.region.as_deref().or(finding.subject.region.as_deref())?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let id = evidence.event_id.as_str();
    let is_safe = |text: &str, is: fn(char) -> bool| (1..=64).contains(&text.len()) && text.chars().all(is);
    if !is_safe(id, is_id) || !is_safe(region, is_region) {
        return None;
    }
    let domain = match region {
        region if region.starts_with("cn-") => "amazonaws.cn",
        region if region.starts_with("us-gov-") => "amazonaws-us-gov.com",
        _ => "aws.amazon.com",
    };
    Some(format!("https://{region}.console.{domain}/cloudtrailv2/home?region={region}#/events/{id}"))
}

/// A text as one word of a shell's command line.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let visible: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", visible.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
