//! A body → what is in it, or why it is not taken. Pure.
//!
//! A body with at least one event is kept as it is, rubbish included, and decoded again where it is processed: what cannot be
//! read of it becomes dead letters there, as in a record of a stream. A body without any event is not taken: its sender still
//! has it, and is told what is wrong.

use std::io::{self, Read};

use bytes::Bytes;
use dial_rules::decode::{Decoded, Decoder};
use flate2::bufread::MultiGzDecoder;

use super::keep::Parcel;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A body that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) parcel: Parcel,
    pub(super) events: u64,
    /// Parts of it that are no events.
    pub(super) dead_letters: u64,
}

/// Why a body is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Bytes that hold no event.
    #[error("{0}")]
    NoEvent(String),
    /// Decompressed it is too large.
    #[error("the body decompresses to more than {0} bytes: send fewer events at a time")]
    Expands(u64),
    /// Its encoding is not spoken here.
    #[error("the content encoding {0:?} is not supported: send gzip, or none")]
    Encoding(String),
}

/// What `Content-Encoding` says of the body (RFC 9110, § 8.4): whether it is gzip.
///
/// # Errors
/// When it is anything else than gzip or nothing.
pub(super) fn is_gzip(encoding: Option<&[u8]>) -> Result<bool, Refusal> {
    let text = String::from_utf8_lossy(encoding.unwrap_or_default());
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        other => Err(Refusal::Encoding(other.chars().take(40).collect())),
    }
}

/// Looks at a body. `gzip` says that its sender called it that; without a word it may be, too.
///
/// # Errors
/// Why it is not taken.
pub(super) fn look(body: &Bytes, gzip: bool, most: u64) -> Result<Taken, Refusal> {
    let looks_gzipped = body.starts_with(&GZIP);
    if gzip && !looks_gzipped {
        return Err(Refusal::NoEvent("the content encoding says gzip, and the body is not".to_owned()));
    }
    if !looks_gzipped {
        return count(body, body, 0);
    }
    let (plain, broken) = expand(body, most)?;
    if plain.starts_with(&GZIP) {
        return Err(Refusal::NoEvent("the body is gzipped twice: send it gzipped once".to_owned()));
    }
    count(body, &plain, u64::from(broken))
}

/// Decompresses as far as the bytes allow, and says whether they broke off: a dead letter more, where it is processed.
fn expand(body: &[u8], most: u64) -> Result<(Vec<u8>, bool), Refusal> {
    let mut plain = Vec::new();
    let outcome: io::Result<usize> = MultiGzDecoder::new(body).take(most.saturating_add(1)).read_to_end(&mut plain);
    if plain.len() as u64 > most {
        return Err(Refusal::Expands(most));
    }
    match outcome {
        Err(error) if plain.is_empty() => Err(Refusal::NoEvent(format!("the body cannot be decompressed: {error}"))),
        outcome => Ok((plain, outcome.is_err())),
    }
}

fn count(body: &Bytes, plain: &[u8], mut dead_letters: u64) -> Result<Taken, Refusal> {
    let (mut events, mut first_id, mut reason, expanded) = (0, String::new(), None, plain.len() as u64);
    for decoded in Decoder::record(plain) {
        match decoded {
            Decoded::Event(event) => {
                if events == 0 {
                    first_id = event.id().to_owned();
                }
                events += 1;
            }
            Decoded::DeadLetter(letter) => {
                dead_letters += 1;
                reason
                    .get_or_insert_with(|| format!("no event was found: at byte {}: {}", letter.fault, letter.reason));
            }
        }
    }
    match events {
        0 => Err(Refusal::NoEvent(reason.unwrap_or_else(|| "the body is empty: an event was expected".to_owned()))),
        _ => Ok(Taken { parcel: Parcel { body: body.clone(), first_id, expanded }, events, dead_letters }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const MOST: u64 = 1 << 20;

    fn event(n: usize) -> String {
        format!(
            r#"{{"eventVersion":"1.08","eventID":"id-{n}","eventTime":"2026-02-01T00:00:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","userIdentity":{{"type":"IAMUser"}}}}"#
        )
    }

    fn envelope(source: &str) -> String {
        format!(
            r#"{{"version":"0","id":"e","detail-type":"AWS API Call via CloudTrail","source":"{source}","account":"111122223333","time":"2026-02-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{}}}"#,
            event(7)
        )
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn looked(body: impl Into<Vec<u8>>) -> Result<(u64, u64, String), Refusal> {
        let body = Bytes::from(body.into());
        look(&body, false, MOST).map(|taken| {
            assert_eq!(taken.parcel.body, body, "it is kept as it came");
            (taken.events, taken.dead_letters, taken.parcel.first_id)
        })
    }

    #[test]
    fn every_shape_is_taken() {
        let (one, two) = (event(1), event(2));
        for (body, events, first) in [
            (one.clone(), 1, "id-1"),
            (format!("[{one},{two}]"), 2, "id-1"),
            (format!("{two}\n{one}\n"), 2, "id-2"),
            (format!("{{\"Records\":[{one},{two}]}}"), 2, "id-1"),
            (envelope("aws.s3"), 1, "id-7"),
        ] {
            assert_eq!(looked(body.clone()), Ok((events, 0, first.to_owned())), "{body}");
            let zipped = Bytes::from(gzip(body.as_bytes()));
            let taken = look(&zipped, true, MOST).unwrap();
            assert_eq!((taken.events, taken.parcel.expanded), (events, body.len() as u64));
            assert_eq!(taken.parcel.body, zipped);
        }
    }

    #[test]
    fn with_an_event_in_it_rubbish_is_kept_and_without_one_it_is_not() {
        assert_eq!(looked(format!("{}\nrubbish\n{}", event(1), event(2))), Ok((2, 1, "id-1".to_owned())));
        for (body, word) in [
            ("", "empty"),
            ("  \n", "empty"),
            ("rubbish", "JSON"),
            ("{\"a\":1}", "neither"),
            ("[]", "empty"),
            ("[1,2]", "object"),
            (&envelope("my.own"), "my.own"),
        ] {
            let Err(Refusal::NoEvent(reason)) = looked(body) else { panic!("{body} was taken") };
            assert!(reason.contains(word), "{body}: {reason}");
        }
    }

    #[test]
    fn what_is_compressed_is_bounded() {
        let bomb = Bytes::from(gzip(&vec![b' '; 8 << 20]));
        assert!(bomb.len() < 20_000);
        assert_eq!(look(&bomb, true, MOST), Err(Refusal::Expands(MOST)));
        let (twice, plain) = (gzip(&gzip(event(1).as_bytes())), event(1));
        assert!(matches!(looked(twice), Err(Refusal::NoEvent(reason)) if reason.contains("twice")));
        assert!(matches!(look(&Bytes::from(plain), true, MOST), Err(Refusal::NoEvent(_))));
        assert!(matches!(looked([0x1f, 0x8b, 0, 0]), Err(Refusal::NoEvent(reason)) if reason.contains("decompressed")));
        let cut = gzip(format!("{}\n{}", event(1), "x".repeat(100)).as_bytes());
        assert!(matches!(looked(&cut[..cut.len() - 12]), Ok((1, _, _)) | Err(Refusal::NoEvent(_))));
    }

    #[test]
    fn encodings_are_gzip_or_none() {
        assert_eq!(is_gzip(None), Ok(false));
        assert_eq!(is_gzip(Some(b"identity")), Ok(false));
        assert_eq!(is_gzip(Some(b" GZip ")), Ok(true));
        for other in ["br", "gzip, gzip", "deflate", "\u{fffd}"] {
            assert!(matches!(is_gzip(Some(other.as_bytes())), Err(Refusal::Encoding(_))), "{other}");
        }
    }

    proptest! {
        /// What is counted here is what is decoded later of the body that is kept.
        #[test]
        fn what_is_counted_is_what_will_be_decoded(
            parts in prop::collection::vec(prop_oneof![Just(event(1)), Just(event(2)), "[ -~]{0,20}"], 0..8),
            zipped in any::<bool>(),
        ) {
            let plain = parts.join("\n").into_bytes();
            let body = Bytes::from(if zipped { gzip(&plain) } else { plain });
            let decoded: Vec<Decoded> = Decoder::record(&body).collect();
            let events = decoded.iter().filter(|decoded| matches!(decoded, Decoded::Event(_))).count() as u64;
            match look(&body, false, MOST) {
                Ok(taken) => prop_assert_eq!((taken.events, taken.dead_letters), (events, decoded.len() as u64 - events)),
                Err(_) => prop_assert_eq!(events, 0),
            }
        }
    }
}
