//! What TheHive answers. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::place::is_id;
use crate::http::Answer;
use crate::sink::SendError;
use crate::text::{Medium, inert};

/// What came of a call that was understood.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// It is done; what is there now.
    Done(Value),
    /// It says that this is there already; what that is when it is not.
    There(SendError),
    /// What is asked for is not there.
    Gone,
}

/// What an answer means. Errors are `{"type": "CreateError", "message": "Alert already exists"}`.
pub(super) fn told(answer: &Answer, key: &str, now: DateTime<Utc>) -> Result<Told, SendError> {
    let body: Option<Value> = serde_json::from_slice(answer.said()).ok();
    let said = body.as_ref().and_then(|body| said(body, key));
    let Some(refusal) = answer.refusal(said.as_deref(), now) else {
        return match body {
            Some(body) => Ok(Told::Done(body)),
            None if answer.whole()?.is_empty() => Ok(Told::Done(Value::Null)),
            None => Err(SendError::Nonsense("no JSON".to_owned())),
        };
    };
    let of_hive = body.as_ref().is_some_and(|body| body["type"].is_string());
    match answer.status.as_u16() {
        // A 404 of something else in between says nothing of what TheHive has.
        404 if of_hive => Ok(Told::Gone),
        400 | 409 if body.as_ref().is_some_and(is_there) => Ok(Told::There(refusal)),
        _ => Err(refusal),
    }
}

fn is_there(body: &Value) -> bool {
    let kind = body["type"].as_str().unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default().to_lowercase();
    ["CreateError", "ConflictError"].contains(&kind) && message.contains("already exist")
}

/// Type and message of an error, as one harmless line without the key.
fn said(body: &Value, key: &str) -> Option<String> {
    let kind = body["type"].as_str()?;
    let message = body["message"].as_str().unwrap_or_default();
    let mut text = format!("{kind}: {message}");
    if !key.is_empty() {
        text = text.replace(key, "…");
    }
    Some(inert(&text, Medium::Line, 200))
}

/// The id of what was made.
pub(super) fn id(made: &Value) -> Result<String, SendError> {
    let id = [&made["_id"], &made["id"]].into_iter().find_map(Value::as_str).filter(|id| is_id(id));
    id.map(str::to_owned).ok_or_else(|| SendError::Nonsense("it has no id".to_owned()))
}

/// An alert that was there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: String,
    /// The case that was made of it.
    pub(super) case: Option<String>,
    /// How severe it is.
    pub(super) severity: u8,
    /// What it tells.
    pub(super) description: String,
}

/// The first alert that was found.
pub(super) fn first(found: &Value) -> Result<Option<Found>, SendError> {
    let Some(list) = found.as_array() else {
        return Err(SendError::Nonsense("no list".to_owned()));
    };
    let Some(alert) = list.first() else { return Ok(None) };
    let case = [&alert["caseId"], &alert["case"]].into_iter().find_map(Value::as_str).filter(|id| is_id(id));
    let severity = alert["severity"].as_u64().and_then(|severity| u8::try_from(severity).ok()).unwrap_or_default();
    let description = alert["description"].as_str().unwrap_or_default().to_owned();
    Ok(Some(Found { id: id(alert)?, case: case.map(str::to_owned), severity, description }))
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
    fn each_answer_means_what_to_do() {
        assert_eq!(of(201, r#"{"_id":"~1"}"#), Ok(Told::Done(json!({"_id": "~1"}))));
        assert_eq!(of(204, ""), Ok(Told::Done(Value::Null)));
        let there = |body: &str| matches!(of(400, body), Ok(Told::There(SendError::Rejected(_))));
        assert!(there(r#"{"type":"CreateError","message":"Alert already exists"}"#));
        assert!(there(r#"{"type":"ConflictError","message":"[doc][1]: version conflict, document already exists"}"#));
        assert!(!there(r#"{"type":"BadRequest","message":"title is missing"}"#));
        assert_eq!(of(404, r#"{"type":"NotFoundError","message":"Alert not found"}"#), Ok(Told::Gone));
        assert!(matches!(of(404, "<html>"), Err(SendError::Refused(_))));
        assert!(matches!(of(200, "<html>"), Err(SendError::Nonsense(_))));
        assert!(matches!(of(401, r#"{"type":"AuthenticationError","message":"key hush \u001b[31m"}"#),
            Err(SendError::Refused(why)) if why.contains("AuthenticationError") && !why.contains("hush") && !why.contains('\u{1b}')));
    }

    #[test]
    fn ids_are_taken_only_where_they_are_ids() {
        assert_eq!(id(&json!({"_id": "~1"})), Ok("~1".to_owned()));
        assert_eq!(id(&json!({"id": "a1"})), Ok("a1".to_owned()));
        assert!(id(&json!({"_id": "../x"})).is_err() && id(&json!([])).is_err());
        assert_eq!(first(&json!([])), Ok(None));
        let (id, case) = ("~1".to_owned(), Some("~2".to_owned()));
        let found = Found { id, case, severity: 3, description: "text".to_owned() };
        let list = json!([{"_id": "~1", "caseId": "~2", "severity": 3, "description": "text"}]);
        assert_eq!(first(&list), Ok(Some(found)));
        assert!(first(&json!({})).is_err());
    }
}
