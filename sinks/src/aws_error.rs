//! What an error of an AWS call means to an alert, and how it is said.

use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

use crate::sink::SendError;

/// Codes by which services say that they are asked too often, beside those with `Throttl` in them.
const LIMITED: [&str; 3] = ["TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded"];
/// Codes by which they refuse us, beside those that begin with `AccessDenied`.
const REFUSED: [&str; 21] = [
    "AuthorizationError",
    "AuthorizationErrorException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorizedForSourceException",
    "NotAuthorizedForDetailTypeException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
    "KmsAccessDenied",
];
/// Codes by which they say that this message is not to their taste, beside those of [`is_rejection`].
const REJECTED: [&str; 4] = ["MessageTooLong", "BatchRequestTooLong", "MalformedDetail", "UnsupportedOperation"];

/// What an error of a call means.
pub(crate) fn send_error<E>(error: &SdkError<E, HttpResponse>) -> SendError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::TimeoutError(_) => SendError::Slow,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => SendError::Slow,
        SdkError::ConstructionFailure(_) => SendError::Rejected(words(error)),
        SdkError::ServiceError(service) => match service.err().code() {
            Some(code) => of_code(code, &words(error)),
            None => of_status(service.raw().status().as_u16()),
        },
        SdkError::ResponseError(response) => of_status(response.raw().status().as_u16()),
        _ => SendError::Unavailable(words(error)),
    }
}

/// What an answer means that says nothing but its status: a proxy's, perhaps.
fn of_status(status: u16) -> SendError {
    let words = format!("HTTP status {status} without an error code of AWS");
    match status {
        401 | 403 | 407 => SendError::Refused(words),
        408 | 500..=599 => SendError::Unavailable(words),
        413 => SendError::Rejected(words),
        429 => SendError::Limited { retry_after: None },
        _ => SendError::Nonsense(words),
    }
}

/// What a service's code means; `words` is what is told of it.
pub(crate) fn of_code(code: &str, words: &str) -> SendError {
    // Protocols that came before this one put a namespace in front, or the sender's fault behind.
    let code = code.split(';').next().and_then(|code| code.rsplit(['.', '#']).next()).unwrap_or(code);
    if LIMITED.contains(&code) || code.contains("Throttl") {
        return SendError::Limited { retry_after: None };
    }
    let words = words.to_owned();
    if code.starts_with("AccessDenied") || REFUSED.contains(&code) {
        SendError::Refused(words)
    } else if REJECTED.contains(&code) || is_rejection(code) {
        SendError::Rejected(words)
    } else {
        // What is not there today may be there tomorrow, so it is worth trying again; and so is what we do not know.
        SendError::Unavailable(words)
    }
}

/// `InvalidParameter`, `InvalidMessageContents`, `InvalidArgument`, `ValidationException`, … The state of a key of ours is
/// not the message's fault.
fn is_rejection(code: &str) -> bool {
    let is_state =
        code.contains("State") || code.contains("Address") || code.contains("Security") || code.contains("Account");
    (code.starts_with("Invalid") || code.starts_with("Validation") || code.starts_with("ParameterValue")) && !is_state
}

/// An error in words: the service's code and message, else the chain of causes. Never the answer itself.
pub fn words<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if let Some(service) = error.as_service_error() {
        let code = service.code().unwrap_or("unknown error");
        return cut(&format!("{code}: {}", service.message().unwrap_or("no message")));
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    cut(&text)
}

/// Longest that an error's words are, in characters.
const LONGEST: usize = 500;

/// One short line.
pub(crate) fn cut(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_to_do() {
        let kind = |code: &str| match of_code(code, "words") {
            SendError::Limited { .. } => "limited",
            SendError::Refused(_) => "refused",
            SendError::Rejected(_) => "rejected",
            SendError::Unavailable(_) => "unavailable",
            _ => "other",
        };
        for (code, meant) in [
            ("Throttling", "limited"),
            ("ThrottlingException", "limited"),
            ("KMSThrottled", "limited"),
            ("TooManyRequestsException", "limited"),
            ("RequestThrottled", "limited"),
            ("AccessDenied", "refused"),
            ("AccessDeniedException", "refused"),
            ("AuthorizationError", "refused"),
            ("InvalidClientTokenId", "refused"),
            ("InvalidSecurity", "refused"),
            ("KMSAccessDenied", "refused"),
            ("NotAuthorizedForSourceException", "refused"),
            ("InvalidParameter", "rejected"),
            ("InvalidParameterValue", "rejected"),
            ("ParameterValueInvalid", "rejected"),
            ("InvalidMessageContents", "rejected"),
            ("InvalidArgument", "rejected"),
            ("ValidationException", "rejected"),
            ("ValidationError;Sender", "rejected"),
            ("MalformedDetail", "rejected"),
            ("InternalFailure", "unavailable"),
            ("InternalError", "unavailable"),
            ("NotFound", "unavailable"),
            ("InvalidAccountIdException", "unavailable"),
            ("AWS.SimpleQueueService.NonExistentQueue", "unavailable"),
            ("AWS.SimpleQueueService.UnsupportedOperation", "rejected"),
            ("com.amazonaws.sqs#RequestThrottled", "limited"),
            ("KMSInvalidStateException", "unavailable"),
            ("EndpointDisabled", "unavailable"),
            ("SomethingNew", "unavailable"),
        ] {
            assert_eq!(kind(code), meant, "{code}");
        }
    }

    #[test]
    fn words_are_one_short_line() {
        assert_eq!(cut("a\nb\x1b[31m"), "a b [31m");
        assert_eq!(cut(&"ä".repeat(2_000)).chars().count(), LONGEST);
    }
}
