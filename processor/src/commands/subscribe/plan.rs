//! What is to be done until a queue gets a topic's alerts. Pure.

use dial_sinks::arn::Arn;
use serde_json::Value;

use super::queue_policy;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic: Arn,
    pub(super) queue: String,
    /// The filter policy.
    pub(super) filter: Value,
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) queue: Option<Queue>,
    pub(super) subscription: Option<Subscription>,
}

/// A queue as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) arn: String,
    /// Its policy, as it is written.
    pub(super) policy: Option<String>,
    /// With keys of SQS or of KMS.
    pub(super) is_encrypted: bool,
}

/// The queue's subscription to the topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) filter: Value,
    /// Whether the filter is about the body instead of the attributes.
    pub(super) filters_body: bool,
    /// Whether messages arrive as they are published.
    pub(super) is_raw: bool,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    CreateQueue,
    Encrypt,
    AllowTopic,
    Subscribe,
    SetFilterScope,
    SetFilter,
    SetRaw,
}

impl Step {
    pub(super) fn words(self) -> &'static str {
        match self {
            Step::CreateQueue => "create the queue, encrypted with keys of SQS, keeping messages for 14 days",
            Step::Encrypt => "encrypt the queue with keys of SQS",
            Step::AllowTopic => "let this topic, and nobody by way of another, send to the queue",
            Step::Subscribe => {
                "subscribe the queue to the topic with the filter policy, messages as they are published"
            }
            Step::SetFilterScope => "have the filter policy ask the messages' attributes",
            Step::SetFilter => "replace the subscription's filter policy",
            Step::SetRaw => "deliver messages as they are published",
        }
    }
}

/// The steps, in order; none when all is as it is wanted.
///
/// # Errors
/// When the queue's policy cannot be read, and so not be extended.
pub(super) fn steps(wanted: &Wanted, seen: &Seen) -> Result<Vec<Step>, String> {
    let Some(queue) = &seen.queue else { return Ok(vec![Step::CreateQueue, Step::AllowTopic, Step::Subscribe]) };
    let policy = queue_policy::allowing(queue.policy.as_deref(), &wanted.topic, &queue.arn)?;
    let of_queue = [(!queue.is_encrypted, Step::Encrypt), (policy.is_some(), Step::AllowTopic)];
    let of_subscription = match &seen.subscription {
        None => vec![(true, Step::Subscribe)],
        Some(there) => vec![
            (there.filters_body, Step::SetFilterScope),
            (there.filter != wanted.filter, Step::SetFilter),
            (!there.is_raw, Step::SetRaw),
        ],
    };
    Ok(of_queue.into_iter().chain(of_subscription).filter(|(is_due, _)| *is_due).map(|(_, step)| step).collect())
}

/// Whether a queue of this name can be made and subscribed to the topic.
///
/// # Errors
/// What to write instead, to follow the option's name.
pub(super) fn check_name(name: &str, topic: &Arn) -> Result<(), String> {
    let (stem, is_fifo) = name.strip_suffix(".fifo").map_or((name, false), |stem| (stem, true));
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if stem.is_empty() || name.len() > 80 || !stem.chars().all(is_word) {
        return Err(format!(
            "is {name:?}: write up to 80 letters, digits, hyphens and underscores, and `.fifo` behind for a FIFO queue"
        ));
    }
    if is_fifo && !topic.resource.ends_with(".fifo") {
        return Err(format!(
            "is {name:?}, but a FIFO queue can be subscribed to a FIFO topic only: leave `.fifo` away"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            topic: "arn:aws:sns:eu-west-1:111122223333:alerts".parse().unwrap(),
            queue: "triage".to_owned(),
            filter: json!({ "kind": ["correlated"] }),
        }
    }

    fn done() -> Seen {
        let arn = "arn:aws:sqs:eu-west-1:111122223333:triage".to_owned();
        let policy = queue_policy::allowing(None, &wanted().topic, &arn).unwrap();
        let queue = Queue { url: "https://…/triage".to_owned(), arn, policy, is_encrypted: true };
        let subscription =
            Subscription { arn: "arn:…".to_owned(), filter: wanted().filter, filters_body: false, is_raw: true };
        Seen { queue: Some(queue), subscription: Some(subscription) }
    }

    #[test]
    fn from_nothing_all_is_done_and_then_nothing() {
        let all = [Step::CreateQueue, Step::AllowTopic, Step::Subscribe];
        assert_eq!(steps(&wanted(), &Seen::default()).unwrap(), all);
        assert_eq!(steps(&wanted(), &done()).unwrap(), []);
    }

    #[test]
    fn what_is_otherwise_is_mended() {
        let mended = |change: fn(&mut Queue, &mut Subscription)| {
            let mut seen = done();
            change(seen.queue.as_mut().unwrap(), seen.subscription.as_mut().unwrap());
            steps(&wanted(), &seen).unwrap()
        };
        assert_eq!(mended(|queue, _| queue.is_encrypted = false), [Step::Encrypt]);
        assert_eq!(mended(|queue, _| queue.policy = None), [Step::AllowTopic]);
        assert_eq!(mended(|_, subscription| subscription.filter = json!({})), [Step::SetFilter]);
        assert_eq!(mended(|_, subscription| subscription.filters_body = true), [Step::SetFilterScope]);
        assert_eq!(mended(|_, subscription| subscription.is_raw = false), [Step::SetRaw]);
        let seen = Seen { subscription: None, ..done() };
        assert_eq!(steps(&wanted(), &seen).unwrap(), [Step::Subscribe]);
    }

    #[test]
    fn queues_have_names_that_sqs_takes() {
        let topic = wanted().topic;
        let fifo: Arn = format!("{topic}.fifo").parse().unwrap();
        assert!(check_name("triage", &topic).is_ok() && check_name("triage", &fifo).is_ok());
        assert!(check_name("triage.fifo", &fifo).is_ok());
        assert!(check_name("triage.fifo", &topic).unwrap_err().contains("FIFO topic only"));
        for name in ["", ".fifo", "a b", "a.b", "a;reboot", &"a".repeat(81)] {
            assert!(check_name(name, &fifo).unwrap_err().contains("80 letters"), "{name}");
        }
    }
}
