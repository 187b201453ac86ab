//! What Jira answers. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::http::Answer;
use crate::sink::SendError;
use crate::text::{Medium, inert};

/// What came of a call that was understood.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// It is done; what is there now.
    Done(Value),
    /// What is asked for is not there.
    Gone,
}

/// What an answer means. Errors are `{"errorMessages": ["…"], "errors": {"FIELD": "…"}}`.
pub(super) fn told(answer: &Answer, token: &str, now: DateTime<Utc>) -> Result<Told, SendError> {
    let body: Option<Value> = serde_json::from_slice(answer.said()).ok();
    let said = body.as_ref().and_then(|body| said(body, token));
    let Some(refusal) = answer.refusal(said.as_deref(), now) else {
        answer.whole()?;
        return body.map(Told::Done).ok_or_else(|| SendError::Nonsense("no JSON".to_owned()));
    };
    let of_jira = body.as_ref().is_some_and(|body| body["errorMessages"].is_array());
    match (answer.status.as_u16(), refusal) {
        // A 404 of something else in between says nothing of what Jira has.
        (404, _) if of_jira => Ok(Told::Gone),
        (400, SendError::Rejected(why)) if body.as_ref().is_some_and(is_about_settings) => Err(SendError::Refused(why)),
        (_, refusal) => Err(refusal),
    }
}

/// Whether the project or the type of the issues is wrong: no message is to blame.
fn is_about_settings(body: &Value) -> bool {
    let fields = ["project", "issuetype", "pid"].iter().any(|field| !body["errors"][*field].is_null());
    let messages = body["errorMessages"].as_array().into_iter().flatten().filter_map(Value::as_str);
    fields || messages.into_iter().any(|message| message.contains("for the field 'project'"))
}

/// What it says is wrong, as one harmless line without the token.
fn said(body: &Value, token: &str) -> Option<String> {
    let messages = body["errorMessages"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let errors = body["errors"].as_object().into_iter().flatten();
    let errors = errors.map(|(field, error)| format!("{field}: {}", error.as_str().unwrap_or_default()));
    let mut text = messages.chain(errors).collect::<Vec<_>>().join("; ");
    if !token.is_empty() {
        text = text.replace(token, "…");
    }
    Some(inert(&text, Medium::Line, 200)).filter(|text| !text.is_empty())
}

/// An issue that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: String,
    /// Whether this delivery made it.
    pub(super) is_told: bool,
}

/// The first issue of those found.
pub(super) fn first(found: &Value, delivery: &str) -> Result<Option<Found>, SendError> {
    let Some(issues) = found["issues"].as_array() else {
        return Err(SendError::Nonsense("no list of issues".to_owned()));
    };
    let Some(issue) = issues.first() else { return Ok(None) };
    let is_told = !delivery.is_empty() && says(&issue["fields"]["description"], delivery);
    Ok(Some(Found { key: key(&issue["key"])?, is_told }))
}

/// An issue's key.
pub(super) fn key(value: &Value) -> Result<String, SendError> {
    let key = value.as_str().filter(|key| is_key(key));
    key.map(str::to_owned).ok_or_else(|| SendError::Nonsense("it has no key".to_owned()))
}

/// Whether one of the comments was made by this delivery.
pub(super) fn has_comment(comments: &Value, delivery: &str) -> Result<bool, SendError> {
    match comments["comments"].as_array() {
        Some(list) => Ok(!delivery.is_empty() && list.iter().any(|comment| says(&comment["body"], delivery))),
        None => Err(SendError::Nonsense("no list of comments".to_owned())),
    }
}

/// Whether some text of a document is this one.
fn says(document: &Value, text: &str) -> bool {
    match document {
        Value::String(own) => own == text,
        Value::Array(list) => list.iter().any(|one| says(one, text)),
        Value::Object(object) => object.values().any(|one| says(one, text)),
        _ => false,
    }
}

/// Whether it can be an issue's key, such as `SEC-12`: it becomes a part of a path.
pub(super) fn is_key(text: &str) -> bool {
    let parts = text.rsplit_once('-');
    parts.is_some_and(|(project, number)| {
        is_name(project) && (1..=18).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Whether it can be a project's key, such as `SEC`: it becomes a part of a query.
pub(super) fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: &str) -> Result<Told, SendError> {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: HeaderMap::new(), body: Ok(body.as_bytes().to_vec()) };
        told(&answer, "hush", Utc::now())
    }

    #[test]
    fn an_answer_means_what_to_do() {
        assert_eq!(of(201, r#"{"key":"SEC-1"}"#), Ok(Told::Done(json!({"key": "SEC-1"}))));
        assert_eq!(of(404, r#"{"errorMessages":["Issue does not exist"],"errors":{}}"#), Ok(Told::Gone));
        assert!(matches!(of(404, "<html>"), Err(SendError::Refused(_))));
        assert!(matches!(of(200, "<html>"), Err(SendError::Nonsense(_))));
        let wrong = r#"{"errorMessages":[],"errors":{"summary":"hush \u001b[31m is too long"}}"#;
        assert!(matches!(of(400, wrong), Err(SendError::Rejected(why))
            if why.contains("summary: …") && !why.contains("hush") && !why.contains('\u{1b}')));
        for about in [
            r#"{"errorMessages":[],"errors":{"project":"valid project is required"}}"#,
            r#"{"errorMessages":["The value 'SEC' does not exist for the field 'project'."],"errors":{}}"#,
        ] {
            assert!(matches!(of(400, about), Err(SendError::Refused(_))), "{about}");
        }
    }

    #[test]
    fn keys_are_taken_only_where_they_are_keys() {
        let issue = json!({"issues": [{"key": "SEC-12", "fields": {"description": {"content": [{"text": "k1"}]}}}]});
        let found = |is_told| Ok(Some(Found { key: "SEC-12".to_owned(), is_told }));
        assert_eq!(
            (first(&issue, "k1"), first(&issue, "k2"), first(&issue, "")),
            (found(true), found(false), found(false))
        );
        assert_eq!(first(&json!({"issues": []}), "k1"), Ok(None));
        assert!(first(&json!({}), "k1").is_err() && first(&json!({"issues": [{"key": "../x"}]}), "k1").is_err());
        for odd in ["", "SEC", "SEC-", "-1", "SEC-1/../2", "SEC-x", "S C-1"] {
            assert!(!is_key(odd), "{odd}");
        }
    }

    #[test]
    fn a_comment_is_known_by_its_delivery() {
        let comments = json!({"comments": [{"body": {"content": [{"content": [{"text": "k1"}]}]}}]});
        assert_eq!((has_comment(&comments, "k1"), has_comment(&comments, "k")), (Ok(true), Ok(false)));
        assert!(has_comment(&json!([]), "k").is_err());
    }
}
