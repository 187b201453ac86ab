//! Where the members lie that decoding reads and rules ask for: found in the same scan that finds an object's end.

use crate::event::Key;
use crate::json::{self, Fault};

/// Begin and end of a value, as indexes into its object; equal when the member is absent.
pub(crate) type Span = (u32, u32);

/// The members of `userIdentity` that are indexed, since many rules and every finding ask for some of them.
const IDENTITY: [&str; 8] =
    ["type", "arn", "principalId", "accountId", "accessKeyId", "userName", "sessionContext", "invokedBy"];

/// Where an object's members lie, as indexes into it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    keys: [Span; Key::COUNT],
    identity: [Span; IDENTITY.len()],
    /// Where the `userIdentity` begins whose members these are.
    identity_at: u32,
    /// There is a member whose name is none of [`Key`]'s and could be mistaken for a path.
    has_dots: bool,
}

impl Spans {
    const NONE: Spans =
        Spans { keys: [(0, 0); Key::COUNT], identity: [(0, 0); IDENTITY.len()], identity_at: 0, has_dots: false };

    /// The bytes of a member of `object`, empty when it has none.
    pub(crate) fn value<'b>(&self, object: &'b [u8], key: Key) -> &'b [u8] {
        slice(object, self.keys[key as usize])
    }

    /// The bytes of a member of `object`'s `userIdentity`, empty when it has none; `None` if that is not indexed.
    pub(crate) fn identity<'b>(&self, object: &'b [u8], name: &str) -> Option<&'b [u8]> {
        let (begin, end) = self.keys[Key::UserIdentity as usize];
        let at = IDENTITY.iter().position(|known| *known == name)?;
        (self.identity_at == begin && end > 0).then(|| slice(object, self.identity[at]))
    }

    /// Whether a member may be called `a.b`, so that such a path may be its name.
    pub(crate) fn has_dots(&self) -> bool {
        self.has_dots
    }

    /// Scans the value of the member `key`, remembers where it lies, and returns where it ends.
    fn member(&mut self, b: &[u8], key: &[u8], value: usize, outer: usize) -> Result<usize, Fault> {
        let end = if key == b"userIdentity" && b.get(value) == Some(&b'{') {
            self.identity = [(0, 0); IDENTITY.len()];
            self.identity_at = value as u32;
            each_member(b, value, |key, value| {
                let end = json::skip_member(b, value, outer + 1)?;
                let name = |name: &[u8]| IDENTITY.iter().position(|known| known.as_bytes() == name);
                if let Some(at) = named(key, name) {
                    self.identity[at] = (value as u32, end as u32);
                }
                Ok(end)
            })?
        } else {
            json::skip_member(b, value, outer)?
        };
        self.note(key, value, end);
        Ok(end)
    }

    /// Remembers a member if it is one that is asked for. Objects are hardly longer than 16 MiB, so indexes fit.
    fn note(&mut self, key: &[u8], value: usize, end: usize) {
        match named(key, Key::from_bytes) {
            Some(known) => self.keys[known as usize] = (value as u32, end as u32),
            None => self.has_dots |= key.iter().any(|byte| matches!(byte, b'.' | b'[' | b'\\')),
        }
    }

    fn shifted(mut self, by: u32) -> Spans {
        for (begin, end) in self.keys.iter_mut().chain(&mut self.identity).filter(|(_, end)| *end > 0) {
            *begin -= by;
            *end -= by;
        }
        self.identity_at = self.identity_at.saturating_sub(by);
        self
    }
}

/// Members that tell what an object is, beside those that events have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    DetailType,
    Detail,
    Source,
    Account,
    SchemaVersion,
    ProductArn,
}

impl Mark {
    const COUNT: usize = Mark::ProductArn as usize + 1;

    fn from_bytes(name: &[u8]) -> Option<Mark> {
        Some(match name {
            b"detail-type" => Mark::DetailType,
            b"detail" => Mark::Detail,
            b"source" => Mark::Source,
            b"account" => Mark::Account,
            b"schemaVersion" => Mark::SchemaVersion,
            b"ProductArn" => Mark::ProductArn,
            _ => return None,
        })
    }
}

/// The index of one object, and of its `detail`.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    keys: Spans,
    marks: [Span; Mark::COUNT],
    /// The members of the object `detail` that begins at `detail_at`, as indexes into the outer object.
    detail: Spans,
    detail_at: u32,
}

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// An object that ends before this index.
    Object(usize),
    /// A CloudTrail file; the inside of its `Records` array begins at this index.
    Records(usize),
}

impl Members {
    pub(crate) fn new() -> Members {
        Members { keys: Spans::NONE, marks: [(0, 0); Mark::COUNT], detail: Spans::NONE, detail_at: 0 }
    }

    /// Indexes the object at the start of `b`; with `files`, stops inside its `Records` array if it has one.
    ///
    /// # Errors
    /// Where and why `b` does not begin with an object.
    pub(crate) fn scan(&mut self, b: &[u8], files: bool) -> Result<Scanned, Fault> {
        self.keys = Spans::NONE;
        self.marks = [(0, 0); Mark::COUNT];
        self.detail_at = 0;
        match self.object(b, files) {
            // The whole object is given up, not the member alone.
            Err(Fault::TooDeep { .. }) => json::skip_value(b, 0).map(Scanned::Object),
            other => other,
        }
    }

    fn object(&mut self, b: &[u8], files: bool) -> Result<Scanned, Fault> {
        let mut at = json::skip_space(b, 1);
        if b.get(at) == Some(&b'}') {
            return Ok(Scanned::Object(at + 1));
        }
        loop {
            let key_end = json::key_end(b, at)?;
            let key = &b[at + 1..key_end - 1];
            let value = json::skip_colon(b, key_end)?;
            let end = match b.get(value) {
                Some(b'[') if files && key == b"Records" => return Ok(Scanned::Records(value + 1)),
                Some(b'{') if key == b"detail" => {
                    self.detail_at = value as u32;
                    self.detail = Spans::NONE;
                    each_member(b, value, |key, value| self.detail.member(b, key, value, 2))?
                }
                _ => self.keys.member(b, key, value, 1)?,
            };
            if let Some(mark) = named(key, Mark::from_bytes) {
                self.marks[mark as usize] = (value as u32, end as u32);
            }
            match next_member(b, end)? {
                Next::Key(key) => at = key,
                Next::End(end) => return Ok(Scanned::Object(end)),
            }
        }
    }

    /// Whether there is a member of this key, `null` or not.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.keys.keys[key as usize].1 > 0
    }

    /// Whether there is such a member, `null` or not.
    pub(crate) fn is_marked(&self, mark: Mark) -> bool {
        self.marks[mark as usize].1 > 0
    }

    /// The spans of the object's own members.
    pub(crate) fn keys(&self) -> &Spans {
        &self.keys
    }

    /// The bytes of a member of `object`, which was scanned.
    pub(crate) fn value<'b>(&self, object: &'b [u8], key: Key) -> &'b [u8] {
        self.keys.value(object, key)
    }

    /// The bytes of a member of `object`, which was scanned.
    pub(crate) fn marked<'b>(&self, object: &'b [u8], mark: Mark) -> &'b [u8] {
        slice(object, self.marks[mark as usize])
    }

    /// The spans of the members of `detail`, as indexes into it.
    pub(crate) fn detail(&self, object: &[u8]) -> Spans {
        let (begin, _) = self.marks[Mark::Detail as usize];
        if self.detail_at != begin || begin == 0 {
            return index(self.marked(object, Mark::Detail)); // its name was escaped, or it is no object
        }
        self.detail.shifted(begin)
    }
}

fn slice(object: &[u8], (begin, end): Span) -> &[u8] {
    object.get(begin as usize..end as usize).unwrap_or_default()
}

/// The spans of an object's members; none if it is no object.
pub(crate) fn index(object: &[u8]) -> Spans {
    let mut spans = Spans::NONE;
    let whole = object.first() == Some(&b'{')
        && each_member(object, 0, |key, value| spans.member(object, key, value, 1)).is_ok();
    if whole { spans } else { Spans::NONE }
}

/// Calls `on` with each key, as it stands between its quotes, and the index of its value in the object that begins at
/// `begin`; it answers where the value ends.
fn each_member(
    b: &[u8],
    begin: usize,
    mut on: impl FnMut(&[u8], usize) -> Result<usize, Fault>,
) -> Result<usize, Fault> {
    let mut at = json::skip_space(b, begin + 1);
    if b.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        let key_end = json::key_end(b, at)?;
        let value = json::skip_colon(b, key_end)?;
        let end = on(&b[at + 1..key_end - 1], value)?;
        match next_member(b, end)? {
            Next::Key(key) => at = key,
            Next::End(end) => return Ok(end),
        }
    }
}

fn named<T>(key: &[u8], find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    match find(key) {
        None if key.contains(&b'\\') => find(json::unescape(key).as_bytes()),
        found => found,
    }
}

enum Next {
    /// Another member begins at this index.
    Key(usize),
    /// The object ends before this index.
    End(usize),
}

fn next_member(b: &[u8], value_end: usize) -> Result<Next, Fault> {
    let at = json::skip_space(b, value_end);
    match b.get(at) {
        None => Err(Fault::Incomplete),
        Some(b'}') => Ok(Next::End(at + 1)),
        Some(b',') => Ok(Next::Key(json::skip_space(b, at + 1))),
        Some(_) => Err(Fault::Invalid { at, why: "`,` or `}` was expected" }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Texts of objects, many of them broken, with members that are looked for, escaped and repeated.
    fn text() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "\"detail\"",
            "\"detail\"",
            "\"det\\u0061il\"",
            "\"eventName\"",
            "\"event\\u004eame\"",
            "\"source\"",
            "\"x\"",
            "\"Records\"",
            "\"userIdentity\"",
            "\"user\\u0049dentity\"",
            "\"type\"",
            "\"a.b\"",
            "\"eventName",
            "eventName",
            "\"region\"",
        ]);
        let leaf = prop::sample::select(vec![
            "1",
            "-0.5e3",
            "01",
            "\"a}\\\"{\"",
            "\"\\u00zz\"",
            "true",
            "null",
            "[]",
            "{}",
            "[1,{\"a\":[]}]",
            "\"a\u{1}\"",
            "\"longer than eight bytes \\\\ é\"",
            "",
        ]);
        let object = |value: BoxedStrategy<String>| {
            let member = (key.clone(), prop::sample::select(vec![":", ":", ":", " : ", ""]), value)
                .prop_map(|(key, colon, value)| format!("{key}{colon}{value}"));
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
        };
        let inner = object(leaf.clone().prop_map(str::to_owned).boxed());
        object(prop_oneof![3 => leaf.prop_map(str::to_owned), 2 => inner].boxed())
    }

    fn same(span: &[u8], expected: Option<&Value>) -> bool {
        match expected {
            None => span.is_empty(),
            Some(value) => serde_json::from_slice::<Value>(span).is_ok_and(|found| found == *value),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6000))]

        #[test]
        fn what_is_found_is_what_serde_json_reads(text in text()) {
            let mut members = Members::new();
            let scanned = members.scan(text.as_bytes(), false);
            let tree = serde_json::from_str::<Value>(&text);
            prop_assert_eq!(scanned == Ok(Scanned::Object(text.len())), tree.is_ok(), "{}", text);
            let Ok(tree) = tree else { return Ok(()) };
            let b = text.as_bytes();
            for name in ["eventName", "region"] {
                let key = Key::from_name(name).unwrap();
                prop_assert!(same(members.value(b, key), tree.get(name)), "{} in {}", name, text);
                prop_assert_eq!(members.has(key), tree.get(name).is_some());
            }
            let identity = tree.get("userIdentity").and_then(|identity| identity.get("type"));
            if let Some(found) = members.keys().identity(b, "type") {
                prop_assert!(same(found, identity), "{}", text);
            }
            prop_assert!(members.keys().has_dots() || tree.get("a.b").is_none(), "{}", text);
            prop_assert!(same(members.marked(b, Mark::Source), tree.get("source")), "{}", text);
            prop_assert!(same(members.marked(b, Mark::Detail), tree.get("detail")), "{}", text);
            let (detail, spans) = (members.marked(b, Mark::Detail), members.detail(b));
            let name = tree.get("detail").and_then(|detail| detail.get("eventName"));
            prop_assert!(same(spans.value(detail, Key::EventName), name), "{}", text);
        }
    }

    #[test]
    fn depth_is_counted_from_the_outermost_object() {
        for (name, levels) in [("x", 126), ("detail", 126), ("x", 127), ("detail", 127)] {
            let text = format!("{{\"{name}\":{}1{}}}", "{\"a\":".repeat(levels), "}".repeat(levels));
            let accepted = Members::new().scan(text.as_bytes(), false).is_ok();
            assert_eq!(accepted, serde_json::from_str::<Value>(&text).is_ok(), "{levels} in {name}");
        }
    }
}
