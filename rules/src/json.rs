//! A strict, iterative JSON scanner over bytes: it finds where a value ends and where an object's members lie, and
//! builds nothing. Grammar: RFC 8259. Nesting is bounded by [`MAX_DEPTH`], so neither this scanner nor anything that
//! recurses over what it accepted can exhaust the stack.

use std::borrow::Cow;

/// The deepest nesting of objects and arrays that is accepted: what `serde_json` can parse into a tree.
pub(crate) const MAX_DEPTH: usize = 127;

/// Why a value could not be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end inside the value; more bytes may complete it.
    Incomplete,
    /// The bytes are not JSON, from the byte at this index on.
    Invalid { at: usize, why: &'static str },
    /// The value is nested deeper than [`MAX_DEPTH`]; it ends before the index `end`.
    TooDeep { at: usize, end: usize },
}

type Scan<T> = Result<T, Fault>;

/// Counts bytes that are looked at, for the tests: that the work is linear in the input is a promise, and a clock is no
/// way to hold it. Nothing outside tests.
#[inline(always)]
pub(crate) fn looked_at(_bytes: usize) {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + _bytes);
}

#[cfg(test)]
thread_local! {
    pub(crate) static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Index of the first byte at or after `at` that is not JSON white space.
pub(crate) fn skip_space(b: &[u8], mut at: usize) -> usize {
    while matches!(b.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        looked_at(1);
        at += 1;
    }
    at
}

/// Bit stack of the containers that are open: 1 for an object, 0 for an array.
struct Nesting {
    bits: u128,
    depth: usize,
    /// The depth at which a value is too deep.
    most: usize,
    /// Earlier words of the stack, of values that are too deep.
    below: Vec<u128>,
    /// Where the value became too deep.
    too_deep: Option<usize>,
}

impl Nesting {
    fn within(outer: usize) -> Nesting {
        Nesting { bits: 0, depth: 0, most: MAX_DEPTH - outer, below: Vec::new(), too_deep: None }
    }

    fn open(&mut self, at: usize, object: bool) {
        if self.depth >= self.most {
            self.too_deep.get_or_insert(at);
            if self.depth.is_multiple_of(128) {
                self.below.push(self.bits);
            }
        }
        self.bits = (self.bits << 1) | u128::from(object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth.is_multiple_of(128) {
            self.bits = self.below.pop().unwrap_or_default();
        }
    }
}

/// Is told which objects open and close during a scan.
pub(crate) trait Watch {
    /// An object begins at this index.
    fn open(&mut self, _at: usize) {}
    /// The object that was opened last and is still open has ended.
    fn close(&mut self) {}
}

impl Watch for () {}

/// Where the objects that are still open begin.
impl Watch for Vec<usize> {
    fn open(&mut self, at: usize) {
        self.push(at);
    }

    fn close(&mut self) {
        self.pop();
    }
}

/// Index just behind the value that starts at `at` (which is not white space).
pub(crate) fn skip_value(b: &[u8], at: usize) -> Scan<usize> {
    skip_member(b, at, 0)
}

/// As [`skip_value`], of a value that lies in `outer` containers.
pub(crate) fn skip_member(b: &[u8], at: usize, outer: usize) -> Scan<usize> {
    match b.get(at) {
        Some(b'"') => skip_string(b, at),
        _ => walk(b, at, outer, &mut ()),
    }
}

/// As [`skip_value`], telling `watch` which objects begin and end. The grammar is checked at any depth, so that the end
/// of a value that is too deep is its end and nothing inside it is taken for a neighbour.
pub(crate) fn walk(b: &[u8], mut at: usize, outer: usize, watch: &mut impl Watch) -> Scan<usize> {
    let mut open = Nesting::within(outer);
    loop {
        looked_at(1);
        // A value is expected at `at`.
        let byte = *b.get(at).ok_or(Fault::Incomplete)?;
        match byte {
            b'"' => at = skip_string(b, at)?,
            b'{' | b'[' => {
                open.open(at, byte == b'{');
                if byte == b'{' {
                    watch.open(at);
                }
                at = skip_space(b, at + 1);
                match (byte, b.get(at)) {
                    (_, None) => return Err(Fault::Incomplete),
                    (b'{', Some(b'}')) | (b'[', Some(b']')) => {}
                    (b'{', Some(_)) => {
                        at = skip_key(b, at)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            b't' => at = skip_word(b, at, b"true")?,
            b'f' => at = skip_word(b, at, b"false")?,
            b'n' => at = skip_word(b, at, b"null")?,
            b'-' | b'0'..=b'9' => at = skip_number(b, at)?,
            _ => return Err(Fault::Invalid { at, why: "a JSON value was expected" }),
        }
        // A value, or an empty container's inside, ended before `at`: close containers, or go on to the next member.
        loop {
            if open.depth == 0 {
                return match open.too_deep {
                    None => Ok(at),
                    Some(begin) => Err(Fault::TooDeep { at: begin, end: at }),
                };
            }
            at = skip_space(b, at);
            let in_object = open.bits & 1 == 1;
            match (b.get(at), in_object) {
                (None, _) => return Err(Fault::Incomplete),
                (Some(b','), true) => {
                    at = skip_key(b, skip_space(b, at + 1))?;
                    break;
                }
                (Some(b','), false) => {
                    at = skip_space(b, at + 1);
                    break;
                }
                (Some(b'}'), true) => {
                    open.close();
                    watch.close();
                    at += 1;
                }
                (Some(b']'), false) => {
                    open.close();
                    at += 1;
                }
                (Some(_), true) => return Err(Fault::Invalid { at, why: "`,` or `}` was expected" }),
                (Some(_), false) => return Err(Fault::Invalid { at, why: "`,` or `]` was expected" }),
            }
        }
    }
}

/// Index of the value that belongs to the key that starts at `at`.
pub(crate) fn skip_key(b: &[u8], at: usize) -> Scan<usize> {
    skip_colon(b, key_end(b, at)?)
}

/// Index just behind the key that starts at `at`.
pub(crate) fn key_end(b: &[u8], at: usize) -> Scan<usize> {
    match b.get(at) {
        None => Err(Fault::Incomplete),
        Some(b'"') => skip_string(b, at),
        Some(_) => Err(Fault::Invalid { at, why: "a key in double quotes was expected" }),
    }
}

/// Index of the value behind the colon that follows a key which ends before `at`.
pub(crate) fn skip_colon(b: &[u8], at: usize) -> Scan<usize> {
    let colon = skip_space(b, at);
    match b.get(colon) {
        None => Err(Fault::Incomplete),
        Some(b':') => Ok(skip_space(b, colon + 1)),
        Some(_) => Err(Fault::Invalid { at: colon, why: "`:` was expected" }),
    }
}

/// Index just behind the string that starts with the quote at `at`.
pub(crate) fn skip_string(b: &[u8], at: usize) -> Scan<usize> {
    let mut i = at + 1;
    let mut begin = at;
    loop {
        // Eight bytes at a time, as far as none of them ends a plain run of characters.
        while let Some(eight) = b.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
            let special = special_bytes(u64::from_le_bytes(*eight));
            if special != 0 {
                i += special.trailing_zeros() as usize / 8;
                break;
            }
            i += 8;
        }
        looked_at(i - begin);
        begin = i;
        match b.get(i) {
            None => return Err(Fault::Incomplete),
            Some(b'"') => return Ok(i + 1),
            Some(b'\\') => i = skip_escape(b, i)?,
            Some(0..=0x1f) => {
                return Err(Fault::Invalid { at: i, why: "a control character inside a string" });
            }
            Some(_) => i += 1,
        }
    }
}

/// Marks the bytes that are a quote, a backslash or a control character by their highest bit. Bytes above the lowest
/// marked one may be marked wrongly, since a subtraction borrows from its neighbour.
fn special_bytes(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let quote = zero(eight ^ (ONES * u64::from(b'"')));
    let backslash = zero(eight ^ (ONES * u64::from(b'\\')));
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (quote | backslash | control) & HIGH
}

fn skip_escape(b: &[u8], at: usize) -> Scan<usize> {
    match b.get(at + 1) {
        None => Err(Fault::Incomplete),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            for i in at + 2..at + 6 {
                match b.get(i) {
                    None => return Err(Fault::Incomplete),
                    Some(d) if d.is_ascii_hexdigit() => {}
                    Some(_) => return Err(Fault::Invalid { at: i, why: "a hexadecimal digit was expected" }),
                }
            }
            Ok(at + 6)
        }
        Some(_) => Err(Fault::Invalid { at: at + 1, why: "an unknown escape in a string" }),
    }
}

fn skip_word(b: &[u8], at: usize, word: &'static [u8]) -> Scan<usize> {
    let have = &b[at..b.len().min(at + word.len())];
    if have == word {
        Ok(at + word.len())
    } else if word.starts_with(have) {
        Err(Fault::Incomplete)
    } else {
        Err(Fault::Invalid { at, why: "a JSON value was expected" })
    }
}

fn skip_number(b: &[u8], at: usize) -> Scan<usize> {
    let digits = |mut i: usize| -> Scan<usize> {
        match b.get(i) {
            None => return Err(Fault::Incomplete),
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(Fault::Invalid { at: i, why: "a digit was expected" }),
        }
        while matches!(b.get(i), Some(b'0'..=b'9')) {
            i += 1;
        }
        Ok(i)
    };
    let first = at + usize::from(b[at] == b'-');
    let mut i = digits(first)?;
    if b[first] == b'0' && i > first + 1 {
        return Err(Fault::Invalid { at: first, why: "a number with a leading zero" });
    }
    if b.get(i) == Some(&b'.') {
        i = digits(i + 1)?;
    }
    if matches!(b.get(i), Some(b'e' | b'E')) {
        i += 1;
        i += usize::from(matches!(b.get(i), Some(b'+' | b'-')));
        i = digits(i)?;
    }
    Ok(i)
}

/// The members of an object that was scanned before: pairs of the key's bytes between its quotes, still escaped, and
/// the value's bytes. Ends early, rather than failing, on bytes that are not such an object.
pub(crate) struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Iterates over the members of the object `bytes`; over nothing if it is no object.
pub(crate) fn members(bytes: &[u8]) -> Members<'_> {
    let at = if bytes.first() == Some(&b'{') { 1 } else { bytes.len() };
    Members { bytes, at }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = skip_space(self.bytes, self.at);
        if self.bytes.get(at) == Some(&b',') {
            at = skip_space(self.bytes, at + 1);
        }
        if self.bytes.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = skip_string(self.bytes, at).ok()?;
        let value = skip_colon(self.bytes, key_end).ok()?;
        let end = skip_value(self.bytes, value).ok()?;
        self.at = end;
        Some((&self.bytes[at + 1..key_end - 1], &self.bytes[value..end]))
    }
}

/// The elements of the array `bytes` that was scanned before; nothing if it is no array.
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Iterates over the elements of the array `bytes`; over nothing if it is no array.
pub(crate) fn elements(bytes: &[u8]) -> Elements<'_> {
    let at = if bytes.first() == Some(&b'[') { 1 } else { bytes.len() };
    Elements { bytes, at }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = skip_space(self.bytes, self.at);
        if self.bytes.get(at) == Some(&b',') {
            at = skip_space(self.bytes, at + 1);
        }
        if matches!(self.bytes.get(at), None | Some(b']')) {
            return None;
        }
        let end = skip_value(self.bytes, at).ok()?;
        self.at = end;
        Some(&self.bytes[at..end])
    }
}

/// The text between a scanned string's quotes, unescaped; borrowed when nothing is escaped. A lone surrogate, which
/// JSON's grammar allows and UTF-8 does not, becomes U+FFFD.
pub(crate) fn unescape(inner: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(inner) {
        Ok(text) if !inner.contains(&b'\\') => Cow::Borrowed(text),
        _ => Cow::Owned(unescape_slowly(inner)),
    }
}

fn unescape_slowly(inner: &[u8]) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let text = String::from_utf8_lossy(inner);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match chars.next() {
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => 10,
            Some('r') => 13,
            Some('t') => 9,
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                u16::from_str_radix(&hex, 16).unwrap_or(0xfffd)
            }
            Some(other) => other as u16,
            None => 0xfffd,
        });
    }
    String::from_utf16_lossy(&units)
}

/// The text of a scanned value if it is a string.
pub(crate) fn as_str(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', inner @ .., b'"'] => Some(unescape(inner)),
        _ => None,
    }
}

/// Whether a member's key, as it stands between its quotes, is `name`.
pub(crate) fn key_is(key: &[u8], name: &str) -> bool {
    key == name.as_bytes() || (key.contains(&b'\\') && unescape(key) == name)
}

/// The value of `object`'s member `name`. Of repeated members the last counts, as in `serde_json`.
pub(crate) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(object).filter(|(key, _)| key_is(key, name)).last().map(|(_, value)| value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &[u8]) -> bool {
        let at = skip_space(text, 0);
        matches!(skip_value(text, at), Ok(end) if skip_space(text, end) == text.len())
    }

    /// JSON-like fragments, so that random texts are often nearly right.
    fn fragments() -> impl Strategy<Value = Vec<u8>> {
        let fragment = prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u00e9", "\\n", "1", "-0", "0.5", "1e9", "01", "true",
            "false", "null", "nul", " ", "\n", "\u{1}", "é", "\"k\":",
        ]);
        prop::collection::vec(fragment, 0..14).prop_map(|parts| parts.concat().into_bytes())
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i32>().prop_map(|n| (f64::from(n) / 8.0).into()), // serde_json reads others only nearly
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
                prop::collection::vec((".{0,6}", inner), 0..5)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn accepts_what_serde_json_accepts(text in fragments()) {
            // serde_json refuses numbers out of range and lone surrogates; the fragments hold neither.
            let oracle = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(&text), oracle, "{:?}", String::from_utf8_lossy(&text));
        }

        #[test]
        fn every_prefix_of_a_document_is_incomplete(v in value()) {
            let object = serde_json::json!({ "k": v });
            let text = serde_json::to_vec(&object).unwrap();
            prop_assert_eq!(skip_value(&text, 0), Ok(text.len()));
            for end in 0..text.len() {
                prop_assert_eq!(skip_value(&text[..end], 0), Err(Fault::Incomplete));
            }
        }

        #[test]
        fn members_are_those_of_a_tree(v in value()) {
            let object = serde_json::json!({ "k": v, "é\"": 1 });
            let text = serde_json::to_vec(&object).unwrap();
            let found: serde_json::Map<String, serde_json::Value> = members(&text)
                .map(|(k, v)| (unescape(k).into_owned(), serde_json::from_slice(v).unwrap()))
                .collect();
            prop_assert_eq!(serde_json::Value::Object(found), object);
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_its_end_is_found() {
        let mut text = "[".repeat(10_000) + &"]".repeat(10_000);
        text.push_str(" {}");
        assert_eq!(skip_value(text.as_bytes(), 0), Err(Fault::TooDeep { at: 127, end: 20_000 }));
        let deepest = "[".repeat(127) + &"]".repeat(127);
        assert_eq!(skip_value(deepest.as_bytes(), 0), Ok(254));
        assert!(serde_json::from_str::<serde_json::Value>(&deepest).is_ok());
    }

    #[test]
    fn the_last_of_repeated_members_counts() {
        assert_eq!(member(br#"{"a":1,"\u0061":2}"#, "a"), Some(&b"2"[..]));
        assert_eq!(member(br#"[1]"#, "a"), None);
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        assert_eq!(as_str(br#""a\ud83d\ude00\ud800z""#).unwrap(), "a😀\u{fffd}z");
    }
}
