//! What Security Hub answers. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::aws_error::{cut, of_code};
use crate::http::Answer;
use crate::sink::SendError;

/// What `BatchImportFindings` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Imported {
    failed_count: usize,
    success_count: usize,
    #[serde(default)]
    failed_findings: Vec<Failed>,
}

/// A finding that was not taken.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    error_code: String,
    #[serde(default)]
    error_message: String,
}

/// What became of a call with so many findings.
pub(super) fn outcome(answer: &Answer, sent: usize, now: DateTime<Utc>) -> Result<(), SendError> {
    if let Some(refusal) = answer.refusal(None, now) {
        return Err(match code(answer) {
            // It says when to come back, and nothing else does.
            Some(_) if matches!(refusal, SendError::Limited { retry_after: Some(_) }) => refusal,
            Some(code) => error(&code, &code),
            None => refusal,
        });
    }
    let told: Imported = serde_json::from_slice(answer.whole()?)
        .map_err(|_| SendError::Nonsense("no answer of BatchImportFindings".to_owned()))?;
    if told.failed_count == 0 && told.failed_findings.is_empty() && told.success_count == sent {
        return Ok(());
    }
    let failures = told.failed_findings.iter().map(|failed| {
        let words = cut(&format!("{}: {}", failed.error_code, failed.error_message));
        error(&failed.error_code, &words)
    });
    // What may succeed later is worth another attempt, also for the sake of those that never will.
    let mut failures: Vec<SendError> = failures.collect();
    failures.sort_by_key(|error| matches!(error, SendError::Rejected(_)));
    let counts = || format!("{sent} findings were sent, {} taken", told.success_count);
    Err(failures.into_iter().next().unwrap_or_else(|| SendError::Nonsense(counts())))
}

/// The error's code: in a header, or in the body. The message is left out: one about a signature repeats what was signed, the
/// session's token too.
fn code(answer: &Answer) -> Option<String> {
    let header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let body: Option<Value> = serde_json::from_slice(answer.said()).ok();
    let in_body = || {
        let body = body.as_ref()?;
        ["__type", "Code", "code"].iter().find_map(|key| body[*key].as_str())
    };
    let code = header.or_else(in_body)?.split(':').next()?.rsplit('#').next()?;
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

fn error(code: &str, words: &str) -> SendError {
    match code {
        // The account has no Security Hub in this region.
        "InvalidAccessException" => {
            SendError::Refused(format!("{words}; check that Security Hub is on in this account and region"))
        }
        _ => of_code(code, words),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderName};

    use super::*;

    fn said(status: u16, kind: Option<&str>, body: &str) -> Result<(), SendError> {
        let status = StatusCode::from_u16(status).unwrap();
        let name = HeaderName::from_static("x-amzn-errortype");
        let headers: HeaderMap = kind.map(|kind| (name, kind.parse().unwrap())).into_iter().collect();
        outcome(&Answer { status, headers, body: Ok(body.as_bytes().to_vec()) }, 2, Utc::now())
    }

    #[test]
    fn a_finding_that_failed_is_a_failure() {
        assert_eq!(said(200, None, r#"{"FailedCount":0,"SuccessCount":2,"FailedFindings":[]}"#), Ok(()));
        let failed = |codes: &[&str]| {
            let list: Vec<String> = codes
                .iter()
                .map(|code| format!(r#"{{"Id":"1","ErrorCode":"{code}","ErrorMessage":"words"}}"#))
                .collect();
            let (failed, list) = (codes.len(), list.join(","));
            said(
                200,
                None,
                &format!(r#"{{"FailedCount":{failed},"SuccessCount":{},"FailedFindings":[{list}]}}"#, 2 - failed),
            )
        };
        assert!(matches!(failed(&["InvalidInput"]), Err(SendError::Rejected(why)) if why == "InvalidInput: words"));
        assert!(matches!(failed(&["InvalidInput", "InternalException"]), Err(SendError::Unavailable(_))));
        assert!(matches!(failed(&["ThrottlingException"]), Err(SendError::Limited { .. })));
        // One is neither taken nor refused.
        assert!(matches!(said(200, None, r#"{"FailedCount":0,"SuccessCount":1}"#), Err(SendError::Nonsense(_))));
        assert!(matches!(said(200, None, "{}"), Err(SendError::Nonsense(_))));
    }

    #[test]
    fn an_error_is_known_by_its_code() {
        let access = said(401, Some("InvalidAccessException:http://internal.amazon.com/"), r#"{"Message":"hush"}"#);
        assert!(matches!(access, Err(SendError::Refused(why)) if why.contains("is on") && !why.contains("hush")));
        let signature = said(403, Some("InvalidSignatureException"), r#"{"message":"hush"}"#);
        assert!(matches!(signature, Err(SendError::Refused(why)) if why == "InvalidSignatureException"));
        assert!(matches!(said(400, None, r#"{"__type":"a#InvalidInputException"}"#), Err(SendError::Rejected(_))));
        assert!(matches!(said(429, Some("LimitExceededException"), ""), Err(SendError::Limited { .. })));
        assert!(matches!(said(500, Some("InternalException"), ""), Err(SendError::Unavailable(_))));
        assert!(matches!(said(403, Some("<script>"), "<html>"), Err(SendError::Refused(why)) if !why.contains('<')));
    }
}
