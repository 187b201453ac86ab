//! Names of FIFO topics and queues, and the ids that their messages carry. Pure.

use sha2::{Digest, Sha256};

use crate::message::Message;

/// Longest id that SNS and SQS take.
const LONGEST: usize = 128;

/// `MessageGroupId` and `MessageDeduplicationId` of a message: the messages of one alert stay in order, and an attempt that is
/// repeated within five minutes is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FifoIds {
    pub(crate) group: String,
    pub(crate) deduplication: String,
}

impl FifoIds {
    /// Those of a message to `name`; none unless it ends in `.fifo`.
    pub(crate) fn of(message: &Message, name: &str) -> Option<FifoIds> {
        let ids = || FifoIds { group: id(&message.thread), deduplication: id(&message.key) };
        name.ends_with(".fifo").then(ids)
    }
}

/// The text, or its hash where it is none that SNS and SQS take: up to 128 letters, digits and punctuation.
fn id(text: &str) -> String {
    let is_fine = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fine { text.to_owned() } else { format!("{:x}", Sha256::digest(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn ids_are_those_of_the_message_or_their_hashes() {
        let mut message = sample(SampleKind::Single);
        assert_eq!(FifoIds::of(&message, "alerts"), None);
        let ids = FifoIds::of(&message, "alerts.fifo").unwrap();
        assert_eq!((ids.group, ids.deduplication), (message.thread.clone(), message.key.clone()));
        for text in ["", "a b", "ä", &"a".repeat(129)] {
            message.key = text.to_owned();
            let ids = FifoIds::of(&message, "alerts.fifo").unwrap();
            assert!(ids.deduplication.len() == 64 && ids.deduplication.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
