//! JSON paths as Trino's `json_extract` takes them: `$.a.b[0]`, `$['a b']`, `$["a"]`. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A path into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Says what a path looks like.
    pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
        let wrong =
            || format!("{text:?} is no JSON path: write one such as $.userIdentity.arn, $.items[0] or $['a b']");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(name) = rest.strip_prefix('.') {
                member(name).ok_or_else(wrong)?
            } else {
                bracket(rest).ok_or_else(wrong)?
            };
            steps.push(step);
            rest = after;
        }
        Ok(JsonPath(steps))
    }

    /// The value in a document, as it stands there; of members of one name the first. `None` where there is none, or no
    /// JSON.
    pub(super) fn find(&self, document: &str) -> Option<Box<RawValue>> {
        let mut json = serde_json::Deserializer::from_str(document);
        let found = Finder(&self.0).deserialize(&mut json).ok()?;
        json.end().ok()?;
        found
    }
}

/// `name` up to the next step.
fn member(text: &str) -> Option<(Step, &str)> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-:$@/".contains(c));
    plain.then(|| (Step::Member(name.to_owned()), rest))
}

/// `[0]`, `['name']` or `["name"]`.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Step::Member(name.to_owned()), rest.strip_prefix(']')?));
        }
    }
    let (number, rest) = text.split_once(']')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| number.parse().ok())??;
    Some((Step::Element(number), rest))
}

/// Follows the steps, and passes over everything else without keeping it.
struct Finder<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = Option<Box<RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(json).map(Some),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = Option<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let wanted = match self.0.split_first() {
            Some((Step::Member(name), rest)) => Some((name, rest)),
            _ => None,
        };
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match wanted {
                Some((wanted, rest)) if found.is_none() && *wanted == name => {
                    found = Some(map.next_value_seed(Finder(rest))?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found.flatten())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Some((Step::Element(wanted), rest)) = self.0.split_first() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        for _ in 0..*wanted {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = list.next_element_seed(Finder(rest))?.flatten();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    // What is neither has nothing in it.
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A scalar as text; `None` of objects, lists and null.
pub(super) fn scalar(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.bytes().next()? {
        b'"' => serde_json::from_str(text).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCUMENT: &str = r#" {"a": {"b c": [1, {"d": "x\"y"}, null, true], "e": 1.50}, "a": 2, "é": "ü", "n": null,
        "big": 123456789012345678901234567890} "#;

    #[test]
    fn paths_lead_to_values_as_they_stand() {
        let table = [
            ("$.a.e", Some("1.50"), Some("1.50")),
            ("$.a['b c'][0]", Some("1"), Some("1")),
            ("$[\"a\"][\"b c\"][1].d", Some(r#""x\"y""#), Some("x\"y")),
            ("$.a['b c'][1]", Some(r#"{"d": "x\"y"}"#), None),
            ("$.a['b c'][2]", Some("null"), None),
            ("$.a['b c'][3]", Some("true"), Some("true")),
            ("$.a['b c'][4]", None, None),
            ("$.a['b c'].d", None, None),
            ("$.a.e.f", None, None),
            ("$.a[0]", None, None),
            ("$.é", Some("\"ü\""), Some("ü")),
            ("$.big", Some("123456789012345678901234567890"), Some("123456789012345678901234567890")),
            ("$.n", Some("null"), None),
            ("$.none", None, None),
        ];
        for (path, raw, text) in table {
            let found = JsonPath::parse(path).unwrap().find(DOCUMENT);
            assert_eq!(found.as_ref().map(|value| value.get()), raw, "{path}");
            assert_eq!(found.as_deref().and_then(scalar).as_deref(), text, "{path}");
        }
        assert!(JsonPath::parse("$").unwrap().find(DOCUMENT).is_some());
    }

    #[test]
    fn what_is_no_json_has_no_values() {
        let path = JsonPath::parse("$.a").unwrap();
        for document in ["", "{", r#"{"a": 1"#, r#"{"a": 1} x"#, r#"{"a": 1,}"#, "a", r#""a""#, "1", "[]"] {
            assert!(path.find(document).is_none(), "{document}");
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for text in
            ["", "a", ".a", "$a", "$.", "$..a", "$.a.", "$[", "$[]", "$[-1]", "$['a", "$['a'", "$.a b", "$[*]", "$[1x]"]
        {
            assert!(JsonPath::parse(text).unwrap_err().contains("is no JSON path"), "{text}");
        }
    }
}
