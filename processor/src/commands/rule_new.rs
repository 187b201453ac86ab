//! `dial rules new`: a rule and its tests, drafted from an event.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::Path;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::draft::Draft;
use dial_rules::event::Event;
use dial_rules::pack::TEST_SUFFIX;
use serde_json::json;

use crate::cli::RuleNew;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, plain};

pub(crate) fn run(args: &RuleNew, output: &Output) -> Result<Outcome> {
    let event = find(args)?;
    let id = fresh_id();
    let draft = Draft::of(&event, &id, args.title.as_deref())
        .map_err(|error| Failure::Usage(format!("{}: {error}", args.event.display())))?;
    let file = |end: &str| args.out.join(format!("{}{end}", draft.name));
    let (rule, tests) = (file(".yml"), file(TEST_SUFFIX));
    if let Some(there) = [&rule, &tests].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(is_there(there));
    }
    fs::create_dir_all(&args.out).map_err(|error| Failure::outside(args.out.display(), error))?;
    write(&rule, &draft.rule)?;
    write(&tests, &draft.tests)?;
    if output.is_json() {
        output.json(&json!({"id": id, "rule": rule, "tests": tests}))?;
    } else {
        output.line(&format!("{}\n{}", rule.display(), tests.display()))?;
    }
    let subject = plain(&format!("{} {}", event.source(), event.name()));
    note(&format!(
        "Drafted from {}. Write what is marked TODO; `dial rules check` tells what is left.",
        subject.trim()
    ));
    Ok(Outcome::Fine)
}

/// The first event of the file, or of the service that is named.
fn find(args: &RuleNew) -> Result<Event> {
    let mut others = 0;
    for decoded in Decoder::new(super::explain::open(&args.event)?) {
        match decoded {
            Decoded::Event(event) if args.service.as_deref().is_none_or(|service| is_of(&event, service)) => {
                return Ok(*event);
            }
            Decoded::Event(_) => others += 1,
            Decoded::DeadLetter(letter) => note(&format!("byte {}: no event: {}", letter.offset, letter.reason)),
        }
    }
    let file = args.event.display();
    Err(Failure::Usage(match (&args.service, others) {
        (Some(service), 1..) => format!("{file}: none of its {others} events is of {service}"),
        _ => format!("{file}: there is no event in it"),
    }))
}

/// Whether it is an event of `iam`, `iam.amazonaws.com`, `guardduty`, …
fn is_of(event: &Event, service: &str) -> bool {
    let source = event.source();
    let short = source.split('.').next().unwrap_or_default();
    [&source, short, event.kind().service()].iter().any(|name| name.eq_ignore_ascii_case(service))
}

/// A random UUID, version 4. Std's hash keys come from the system's random numbers.
fn fresh_id() -> String {
    let half = |salt: u8| u128::from(RandomState::new().hash_one(salt));
    let bits = half(0) << 64 | half(1);
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn write(path: &Path, text: &str) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => is_there(path),
        _ => Failure::outside(path.display(), error),
    })
}

fn is_there(path: &Path) -> Failure {
    Failure::Usage(format!("{}: it is there already: choose another --title or --out", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let ids = [fresh_id(), fresh_id()];
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}
