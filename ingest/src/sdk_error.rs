//! What an error of the AWS SDK means to the worker.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::error::{ErrorKind, PortError};

/// The most characters of an error that are told.
const LONGEST: usize = 500;

/// The error of one call. Both services' clients have the same error type.
pub(crate) fn port_error<E>(call: &'static str, error: SdkError<E>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let kind = match &error {
        SdkError::ConstructionFailure(_) => ErrorKind::Denied,
        SdkError::DispatchFailure(failure) if failure.is_user() => ErrorKind::Denied,
        SdkError::ServiceError(answer) => {
            kind_of(answer.err().code().unwrap_or_default(), answer.raw().status().as_u16())
        }
        _ => ErrorKind::Unavailable,
    };
    let message = match error.as_service_error().map(|service| (service.code(), service.message())) {
        Some((Some(code), Some(message))) => format!("{code}: {message}"),
        Some((Some(code), None)) => code.to_owned(),
        _ => told(&error),
    };
    PortError::new(call, kind, message)
}

/// An error and what caused it, in a few words. Not the SDK's own context, which shows the whole answer, and so what
/// customers did.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// By the error code, as the API references of Kinesis and DynamoDB list them, else by the HTTP status.
pub(crate) fn kind_of(code: &str, status: u16) -> ErrorKind {
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "KMSThrottlingException" => ErrorKind::Throttled,
        "ExpiredIteratorException" => ErrorKind::ExpiredIterator,
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ConditionalCheckFailedException" => ErrorKind::Refused,
        "ResourceInUseException" => ErrorKind::InUse,
        "TransactionConflictException" | "ReplicatedWriteConflictException" => ErrorKind::Unavailable,
        // The service did it, and what it answered cannot be read.
        _ if (200..400).contains(&status) => ErrorKind::Unavailable,
        _ if status == 429 => ErrorKind::Throttled,
        _ if status >= 500 || status == 408 => ErrorKind::Unavailable,
        _ => ErrorKind::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_the_status() {
        assert_eq!(kind_of("ProvisionedThroughputExceededException", 400), ErrorKind::Throttled);
        assert_eq!(kind_of("ConditionalCheckFailedException", 400), ErrorKind::Refused);
        assert_eq!(kind_of("ExpiredIteratorException", 400), ErrorKind::ExpiredIterator);
        assert_eq!(kind_of("ResourceInUseException", 400), ErrorKind::InUse);
        assert_eq!(kind_of("AccessDeniedException", 400), ErrorKind::Denied);
        assert_eq!(kind_of("InternalFailure", 500), ErrorKind::Unavailable);
        assert_eq!(kind_of("", 503), ErrorKind::Unavailable);
        assert_eq!(kind_of("", 429), ErrorKind::Throttled);
    }
}
