//! Where an event keeps policy documents, and the JSON in them: written as an object, as a string, percent-encoded, or a
//! string within a string.

use std::borrow::Cow;

use crate::json;

use super::Facts;
use super::node::Node;

/// The largest document that is judged, in bytes. AWS takes at most 100 KiB (OpenSearch), of IAM 10,240 characters.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// What a document is for, as far as its place says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Limits one session: `sts` calls.
    Session,
    /// Says who may assume a role.
    Trust,
    /// Anything else: a document with principals is a resource's, one without an identity's.
    Other,
}

/// Why a document cannot be judged at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Unreadable,
    TooLarge,
}

/// A document: the bytes of its JSON object, scanned.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) place: Place,
    pub(crate) bytes: Result<Cow<'a, [u8]>, Trouble>,
}

/// Members of a request that hold a document and nothing else.
const DOCUMENTS: &[(&str, Place)] = &[
    ("policyDocument", Place::Other),
    ("assumeRolePolicyDocument", Place::Trust),
    ("bucketPolicy", Place::Other),
    ("resourcePolicy", Place::Other),
    ("policyText", Place::Other),
    ("accessPolicies", Place::Other),
    ("accessPolicy", Place::Other),
    ("policyInJson", Place::Other),
    ("inlinePolicy", Place::Other),
];

/// Whose policies are of another kind, or are only tried out: endpoint policies of EC2 limit and grant nothing, as do
/// service control policies; things of IoT are no identities of IAM; some policies of Logs say what to mask.
fn is_foreign(service: &str, call: &str) -> bool {
    const FOREIGN: &[&str] = &[
        "access-analyzer",
        "autoscaling",
        "cloudformation",
        "dlm",
        "ec2",
        "fms",
        "iot",
        "networkmanager",
        "organizations",
    ];
    FOREIGN.contains(&service)
        || (service == "iam" && call.starts_with("Simulate"))
        || (service == "logs" && matches!(call, "PutAccountPolicy" | "PutDataProtectionPolicy"))
}

/// The documents that an event's request carries.
pub(crate) fn of<'e>(facts: &Facts<'e>) -> Vec<Document<'e>> {
    let (service, call) = (facts.service(), facts.call());
    let Some(request) = facts.request().filter(|_| !is_foreign(&service, &call)) else {
        return Vec::new();
    };
    // Some services put all parameters into one: `PutAccessPointPolicyRequest`, `updateRestApiInput`.
    let wrapped = ["Request", "Input"].iter().find_map(|suffix| request.get(&format!("{call}{suffix}")));
    let request = wrapped.filter(|inner| inner.is_object()).unwrap_or(request);
    let mut found = Vec::new();
    for (name, place) in DOCUMENTS {
        let place = match *place {
            Place::Other if service == "iam" && call == "UpdateAssumeRolePolicy" => Place::Trust,
            place => place,
        };
        if let Some(bytes) = request.get(name).and_then(definite) {
            found.push(Document { place, bytes });
        }
    }
    let place = if service == "sts" { Place::Session } else { Place::Other };
    found.extend(sometimes(request).into_iter().map(|bytes| Document { place, bytes }));
    found
}

/// Documents in members that also hold other things: `policy`, and the attributes of queues and topics.
fn sometimes(request: Node<'_>) -> Vec<Result<Cow<'_, [u8]>, Trouble>> {
    let mut found = Vec::new();
    if let Some(policy) = request.get("policy") {
        let inner = policy.get("policy").or_else(|| policy.get("policyText"));
        match (policy.is_object(), inner) {
            (true, Some(inner)) => found.extend(definite(inner)),
            (true, None) if policy.get("Statement").is_none() => {}
            _ => found.extend(perhaps(policy)),
        }
    }
    for attributes in ["attributes", "attribute"] {
        let attributes = request.get(attributes);
        found.extend(attributes.and_then(|attributes| attributes.get("Policy")).and_then(definite));
    }
    let named = request.scalar_of("attributeName");
    if named.is_some_and(|name| name.eq_ignore_ascii_case("Policy")) {
        found.extend(request.get("attributeValue").and_then(definite));
    }
    for patch in request.list_of("patchOperations") {
        if patch.scalar_of("path").is_some_and(|path| path.eq_ignore_ascii_case("/policy")) {
            found.extend(patch.get("value").and_then(definite));
        }
    }
    found
}

/// A document, or the trouble with it; `None` when the member is empty, which takes a policy away.
fn definite(node: Node<'_>) -> Option<Result<Cow<'_, [u8]>, Trouble>> {
    if node.is_object() {
        return Some(sized(Cow::Borrowed(node.0)));
    }
    let Some(text) = node.text() else {
        return Some(Err(Trouble::Unreadable));
    };
    (!text.trim().is_empty()).then(|| unwrap_text(text))
}

/// The same of a member that may be no document at all, such as the name of a policy.
fn perhaps(node: Node<'_>) -> Option<Result<Cow<'_, [u8]>, Trouble>> {
    let starts = |text: &str| unmarked(text).starts_with(['{', '"', '[', '%']);
    match node.text() {
        Some(text) if !starts(&text) => None,
        _ => definite(node),
    }
}

/// The text without white space and byte order mark before it.
fn unmarked(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn sized(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Trouble> {
    if bytes.len() > MOST_BYTES { Err(Trouble::TooLarge) } else { Ok(bytes) }
}

/// Takes off what a document is wrapped in: quotes, or percent signs, up to three times.
fn unwrap_text(text: Cow<'_, str>) -> Result<Cow<'_, [u8]>, Trouble> {
    let mut text = text;
    for _ in 0..4 {
        if text.len() > MOST_BYTES * 3 {
            return Err(Trouble::TooLarge);
        }
        let trimmed = unmarked(&text).trim_end();
        match trimmed.as_bytes().first() {
            Some(b'{') => {
                let bytes = trimmed.as_bytes().to_vec();
                return match json::skip_value(&bytes, 0) {
                    Ok(end) if end == bytes.len() => sized(Cow::Owned(bytes)),
                    _ => Err(Trouble::Unreadable),
                };
            }
            Some(b'"') if json::skip_string(trimmed.as_bytes(), 0) == Ok(trimmed.len()) => {
                let inner = json::as_str(trimmed.as_bytes()).map(Cow::into_owned);
                text = Cow::Owned(inner.unwrap_or_default());
            }
            Some(b'%') => text = Cow::Owned(percent_decode(trimmed)),
            _ => return Err(Trouble::Unreadable),
        }
    }
    Err(Trouble::Unreadable)
}

/// Percent-decoding (RFC 3986), and `+` as a space: a document has no raw `+` once it is encoded.
fn percent_decode(text: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = bytes.get(at + 1).copied().and_then(hex).zip(bytes.get(at + 2).copied().and_then(hex));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                decoded.push(high << 4 | low);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn unwrapped(text: &str) -> Result<String, Trouble> {
        unwrap_text(Cow::Borrowed(text)).map(|bytes| String::from_utf8(bytes.into_owned()).unwrap())
    }

    #[test]
    fn wrappings_come_off() {
        for text in [
            "{\"a\":\"b c\"}",
            " \u{feff}{\"a\":\"b c\"}\n",
            "\"{\\\"a\\\":\\\"b c\\\"}\"",
            "%7B%22a%22%3A%22b%20c%22%7D",
            "%7b%22a%22:%22b+c%22%7d",
            "%257B%2522a%2522:%2522b%2520c%2522%257D",
        ] {
            assert_eq!(unwrapped(text).as_deref().map(str::trim), Ok("{\"a\":\"b c\"}"), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in ["HIDDEN_DUE_TO_SECURITY_REASONS", "{\"a\":", "{} {}", "[{}]", "%7B", "%", "\"x\"", &deep] {
            assert_eq!(unwrapped(text), Err(Trouble::Unreadable), "{text}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MOST_BYTES));
        assert_eq!(unwrapped(&long), Err(Trouble::TooLarge));
    }
}
