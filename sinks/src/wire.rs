//! An alert as JSON: what machines get, whatever carries it.

use dial_rules::assessment::Assessment;
use dial_rules::severity::Severity;
use serde::Serialize;
use serde_json::Value;

use crate::message::{Advice, Links, Message, Moment};
use crate::outbox::alert::Group;

/// Names the shape of [`wire`]. What only adds keys keeps the name; anything else is another one.
pub const SCHEMA: &str = "dial.alert/1";

/// The message as JSON of the schema [`SCHEMA`]. `finding` is the one that says the most, `findings` are the others that are
/// told whole, and `finding_ids` names all. A finding has the JSON that [`Assessment`] says.
///
/// Every text is as the event has it: JSON needs no more than JSON's own escaping, and whoever shows it escapes again.
pub fn wire(message: &Message) -> Value {
    // Maps have texts as keys and nothing else can fail here.
    serde_json::to_value(Wire::of(message)).unwrap_or_default()
}

#[derive(Serialize)]
struct Wire<'a> {
    schema: &'static str,
    key: &'a str,
    thread: &'a str,
    sequence: u64,
    group: &'a Group,
    severity: Severity,
    title: &'a str,
    finding: &'a Assessment,
    findings: &'a [Assessment],
    finding_ids: &'a [String],
    count: u64,
    moments: &'a [Moment],
    advice: &'a Advice,
    links: &'a Links,
    is_sample: bool,
}

impl<'a> Wire<'a> {
    fn of(message: &'a Message) -> Wire<'a> {
        Wire {
            schema: SCHEMA,
            key: &message.key,
            thread: &message.thread,
            sequence: message.sequence,
            group: &message.group,
            severity: message.severity,
            title: &message.title,
            finding: &message.lead,
            findings: &message.others,
            finding_ids: &message.finding_ids,
            count: message.count,
            moments: &message.moments,
            advice: &message.advice,
            links: &message.links,
            is_sample: message.is_sample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn the_json_is_the_golden_one() {
        for kind in [SampleKind::Single, SampleKind::Correlated, SampleKind::Incident] {
            insta::assert_json_snapshot!(format!("wire_{kind:?}").to_lowercase(), wire(&sample(kind)));
        }
    }

    #[test]
    fn a_storm_names_all_and_tells_few() {
        let storm = wire(&sample(SampleKind::Storm));
        assert_eq!(storm["finding_ids"].as_array().map(Vec::len), Some(1_000));
        assert_eq!(storm["findings"].as_array().map(Vec::len), Some(crate::message::MOST_SHOWN));
        assert_eq!((storm["count"].as_u64(), storm["group"]["by"].as_str()), (Some(1_000), Some("storm")));
        assert!(storm["links"]["list"].is_string());
    }
}
