//! [`Outline`]: what cards and tickets say, part by part, each text escaped for its medium and within bounds. Pure.

use reqwest::Url;
use serde_json::Value;

use crate::message::Message;
use crate::telling::Telling;
use crate::text::{Medium, https_address, inert, paragraphs};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Longest line, in UTF-16 units.
    line: usize,
    /// Most lines of the timeline.
    timeline: usize,
    /// Most other findings.
    others: usize,
    /// Longest advice, in UTF-16 units.
    advice: usize,
    /// Most references.
    references: usize,
}

/// From the most that anybody reads to the least that is worth sending.
const BOUNDS: [Bounds; 4] = [
    Bounds { line: 500, timeline: 40, others: 20, advice: 2_000, references: 4 },
    Bounds { line: 250, timeline: 20, others: 10, advice: 1_000, references: 4 },
    Bounds { line: 120, timeline: 12, others: 5, advice: 500, references: 2 },
    Bounds { line: 60, timeline: 4, others: 2, advice: 200, references: 1 },
];

/// A message in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outline {
    /// `HIGH · Administrator rights granted to a user`.
    pub(crate) headline: String,
    /// `1,000 findings, 3 of them new`.
    pub(crate) count: Option<String>,
    /// Who did what to what.
    pub(crate) facts: Vec<Named>,
    /// The timeline and the other findings, where there are any.
    pub(crate) lists: Vec<List>,
    /// Why it matters and what to do first, as far as the rule says it.
    pub(crate) advice: Vec<(&'static str, String)>,
    /// What to type to see more, and the delivery's key.
    pub(crate) codes: Vec<Named>,
    /// The event in the console, and the rule's references.
    pub(crate) links: Vec<Link>,
}

/// A text with a name of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// Something to be copied.
    pub(crate) is_code: bool,
}

/// Lines with a title of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) title: &'static str,
    pub(crate) lines: Vec<String>,
    /// `… and 12 more`, where not all are shown.
    pub(crate) more: Option<String>,
}

/// A link of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) label: String,
    /// As [`https_address`] lets it through.
    pub(crate) address: String,
}

/// What is made with the widest bounds within which it has at most `most` bytes as JSON; with the narrowest, if none does.
pub(crate) fn fitting(most: usize, make: impl Fn(Bounds) -> Value) -> Value {
    let [widest, narrower @ ..] = BOUNDS;
    let mut made = make(widest);
    for bounds in narrower {
        if made.to_string().len() <= most {
            break;
        }
        made = make(bounds);
    }
    made
}

impl Outline {
    pub(crate) fn of(message: &Message, medium: Medium, bounds: Bounds) -> Outline {
        let telling = Telling::of(message);
        let shown = |text: &str| inert(text, medium, bounds.line);
        // Nothing that is empty once it is inert: most destinations refuse an empty text, and the message with it.
        let named = |name, text: &str, is_code| {
            let medium = if is_code { medium.code() } else { medium };
            let text = inert(text, medium, bounds.line);
            (!text.is_empty()).then_some(Named { name, text, is_code })
        };
        let beside = message.finding_ids.len().saturating_sub(1).max(telling.others.len());
        let lists = [
            list("What happened (UTC)", &telling.timeline, bounds.timeline, telling.timeline.len(), shown),
            list("Also", &telling.others, bounds.others, beside, shown),
        ];
        let first_step = message.advice.first_step.as_deref().unwrap_or_default();
        let advice = [("Why it matters", message.advice.why.as_str()), ("What to do first", first_step)];
        let advice = advice.map(|(title, text)| (title, paragraphs(text, medium, bounds.advice)));
        let all = message.links.list.as_deref().unwrap_or_default();
        let codes = [("See it whole", message.links.show.as_str()), ("See all", all), ("Delivery", &message.key)];
        Outline {
            headline: shown(&telling.headline),
            count: telling.count.as_deref().map(shown),
            facts: telling.facts.iter().filter_map(|fact| named(fact.name, &fact.text, fact.is_code)).collect(),
            lists: lists.into_iter().flatten().collect(),
            advice: advice.into_iter().filter(|(_, text)| !text.is_empty()).collect(),
            codes: codes.into_iter().filter_map(|(name, text)| named(name, text, true)).collect(),
            links: links(message, bounds.references),
        }
    }
}

fn list(
    title: &'static str,
    lines: &[String],
    most: usize,
    all: usize,
    shown: impl Fn(&str) -> String,
) -> Option<List> {
    let lines: Vec<String> = lines.iter().take(most).map(|line| shown(line)).filter(|line| !line.is_empty()).collect();
    let beyond = all.saturating_sub(lines.len());
    let more = (beyond > 0).then(|| format!("… and {beyond} more"));
    (!lines.is_empty()).then_some(List { title, lines, more })
}

fn links(message: &Message, references: usize) -> Vec<Link> {
    let link = |label: &str, url: &str| {
        https_address(url).map(|address| Link { label: inert(label, Medium::Plain, 60), address })
    };
    let console = message.links.console.iter().filter_map(|url| link("Event in CloudTrail", url));
    let references = message.advice.references.iter().take(references).filter_map(|url| {
        let parsed = Url::parse(url).ok()?;
        link(parsed.host_str()?, url)
    });
    console.chain(references).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn what_does_not_fit_is_counted() {
        for bounds in BOUNDS {
            let storm = Outline::of(&sample(SampleKind::Storm), Medium::Plain, bounds);
            let [also] = storm.lists.as_slice() else { panic!("{:?}", storm.lists) };
            assert_eq!(also.more, Some(format!("… and {} more", 999 - also.lines.len())));
            let chain = Outline::of(&sample(SampleKind::Correlated), Medium::Plain, bounds);
            assert_eq!((chain.lists[0].lines.len(), &chain.lists[0].more), (3, &None));
        }
    }

    #[test]
    fn the_widest_that_fits_is_taken() {
        let of = |bounds: Bounds| json!("x".repeat(bounds.line));
        for (most, length) in [(1_000, 500), (502, 500), (501, 250), (130, 120), (100, 60), (0, 60)] {
            assert_eq!(fitting(most, of).as_str().map(str::len), Some(length), "{most}");
        }
    }

    #[test]
    fn only_addresses_that_are_safe_are_linked() {
        let mut message = sample(SampleKind::Single);
        message.links.console = Some("javascript:alert(1)".to_owned());
        message.advice.references.push("http://example.com/".to_owned());
        let addresses: Vec<String> = links(&message, 9).into_iter().map(|link| link.address).collect();
        assert_eq!(addresses, ["https://attack.mitre.org/techniques/T1098/"]);
    }
}
