//! Athena itself.

use std::error::Error;

use async_trait::async_trait;
use aws_sdk_athena::Client;
use aws_sdk_athena::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_athena::types::{
    QueryExecution, QueryExecutionContext, QueryExecutionState, ResultConfiguration, ResultSet, StatementType,
};

use super::service::{Execution, QueryService, Question, ResultPage, ServiceError, ServiceErrorKind, State};
use crate::s3::words;

/// Athena. Clones share the client.
#[derive(Debug, Clone)]
pub struct Athena {
    client: Client,
}

impl Athena {
    /// Through this client, which says of which region and as whom.
    #[must_use]
    pub fn new(client: Client) -> Athena {
        Athena { client }
    }
}

#[async_trait]
impl QueryService for Athena {
    async fn start(&self, question: &Question) -> Result<String, ServiceError> {
        const CALL: &str = "StartQueryExecution";
        let context = QueryExecutionContext::builder().catalog(&question.catalog).database(&question.database).build();
        let result =
            question.output.as_ref().map(|output| ResultConfiguration::builder().output_location(output).build());
        let start = self
            .client
            .start_query_execution()
            .query_string(&question.sql)
            .client_request_token(&question.token)
            .query_execution_context(context)
            .set_result_configuration(result)
            .work_group(&question.workgroup);
        let started = start.send().await.map_err(|error| failure(CALL, &error))?;
        started.query_execution_id.ok_or_else(|| senseless(CALL, "it names no query"))
    }

    async fn execution(&self, id: &str) -> Result<Execution, ServiceError> {
        const CALL: &str = "GetQueryExecution";
        let told = self.client.get_query_execution().query_execution_id(id).send().await;
        let told = told.map_err(|error| failure(CALL, &error))?;
        told.query_execution.map(execution).ok_or_else(|| senseless(CALL, "it tells of no query"))
    }

    async fn page(&self, id: &str, next: Option<&str>) -> Result<ResultPage, ServiceError> {
        const CALL: &str = "GetQueryResults";
        let get = self.client.get_query_results().query_execution_id(id).set_next_token(next.map(str::to_owned));
        let page = get.send().await.map_err(|error| failure(CALL, &error))?;
        let next = page.next_token.filter(|token| !token.is_empty());
        Ok(page.result_set.map_or_else(ResultPage::default, |set| ResultPage { next, ..result_page(set) }))
    }

    async fn stop(&self, id: &str) -> Result<(), ServiceError> {
        let stop = self.client.stop_query_execution().query_execution_id(id).send().await;
        stop.map(|_| ()).map_err(|error| failure("StopQueryExecution", &error))
    }
}

fn execution(told: QueryExecution) -> Execution {
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    let statistics = told.statistics.as_ref();
    Execution {
        state: state(&told),
        scanned: number(statistics.and_then(|statistics| statistics.data_scanned_in_bytes)),
        millis: number(statistics.and_then(|statistics| statistics.total_execution_time_in_millis)),
        header: matches!(told.statement_type, Some(StatementType::Dml)),
    }
}

/// What Athena calls an error of the user's: <https://docs.aws.amazon.com/athena/latest/ug/error-reference.html>.
const OF_THE_USER: i32 = 2;

fn state(told: &QueryExecution) -> State {
    let status = told.status.as_ref();
    let error = status.and_then(|status| status.athena_error.as_ref());
    let said = status.and_then(|status| status.state_change_reason.clone()).filter(|reason| !reason.is_empty());
    let reason = said.or_else(|| error.and_then(|error| error.error_message.clone())).unwrap_or_default();
    match status.and_then(|status| status.state.clone()) {
        Some(QueryExecutionState::Succeeded) => State::Succeeded,
        Some(QueryExecutionState::Running) => State::Running,
        Some(QueryExecutionState::Cancelled) => State::Cancelled { reason },
        Some(QueryExecutionState::Failed) => {
            let question = error.and_then(|error| error.error_category).is_some_and(|of| of == OF_THE_USER);
            State::Failed { question: question && !is_denied(&reason), reason }
        }
        // And states that Athena may have one day: it will leave them.
        _ => State::Queued,
    }
}

/// Athena counts rights that are missing among the user's errors.
fn is_denied(reason: &str) -> bool {
    ["Access Denied", "AccessDenied", "not authorized", "Insufficient permissions"]
        .iter()
        .any(|word| reason.contains(word))
}

fn result_page(set: ResultSet) -> ResultPage {
    let columns = set.result_set_metadata.and_then(|metadata| metadata.column_info).unwrap_or_default();
    let name = |column: &aws_sdk_athena::types::ColumnInfo| column.label.clone().unwrap_or_else(|| column.name.clone());
    let rows = set.rows.unwrap_or_default().into_iter();
    let values = |row: aws_sdk_athena::types::Row| row.data.unwrap_or_default();
    ResultPage {
        columns: columns.iter().map(|column| (name(column), column.r#type.clone())).collect(),
        rows: rows.map(|row| values(row).into_iter().map(|value| value.var_char_value).collect()).collect(),
        next: None,
    }
}

fn failure<E, R>(call: &'static str, error: &SdkError<E, R>) -> ServiceError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let service = error.as_service_error();
    let said = service.and_then(|error| error.message()).map(str::to_owned);
    ServiceError {
        call,
        kind: kind(service.and_then(|error| error.code())),
        message: said.unwrap_or_else(|| words(error)),
    }
}

fn senseless(call: &'static str, message: &str) -> ServiceError {
    ServiceError { call, kind: ServiceErrorKind::Unavailable, message: message.to_owned() }
}

/// By Athena's error codes, <https://docs.aws.amazon.com/athena/latest/APIReference/CommonErrors.html> among them.
fn kind(code: Option<&str>) -> ServiceErrorKind {
    match code {
        Some("TooManyRequestsException" | "ThrottlingException" | "Throttling" | "RequestLimitExceeded") => {
            ServiceErrorKind::Throttled
        }
        Some(
            "AccessDeniedException"
            | "AccessDenied"
            | "NotAuthorized"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "ExpiredTokenException"
            | "OptInRequired",
        ) => ServiceErrorKind::Denied,
        Some(
            "InvalidRequestException"
            | "MetadataException"
            | "ResourceNotFoundException"
            | "ValidationError"
            | "ValidationException"
            | "SerializationException",
        ) => ServiceErrorKind::Invalid,
        _ => ServiceErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_athena::types::{AthenaError, QueryExecutionStatus};

    fn told(state: QueryExecutionState, reason: Option<&str>, category: Option<i32>) -> State {
        let error =
            category.map(|category| AthenaError::builder().error_category(category).error_message("the error").build());
        let status = QueryExecutionStatus::builder()
            .state(state)
            .set_state_change_reason(reason.map(str::to_owned))
            .set_athena_error(error)
            .build();
        super::state(&QueryExecution::builder().status(status).build())
    }

    #[test]
    fn who_is_at_fault_is_told_apart() {
        use QueryExecutionState::{Cancelled, Failed, Queued, Succeeded};
        let failed = |reason: &str, question| State::Failed { reason: reason.to_owned(), question };
        assert_eq!(told(Failed, Some("SYNTAX_ERROR"), Some(2)), failed("SYNTAX_ERROR", true));
        assert_eq!(told(Failed, None, Some(1)), failed("the error", false));
        assert_eq!(told(Failed, Some("Access Denied on s3"), Some(2)), failed("Access Denied on s3", false));
        assert_eq!(told(Failed, None, None), failed("", false));
        assert_eq!(told(Succeeded, None, None), State::Succeeded);
        assert_eq!(told(Cancelled, Some("limit"), None), State::Cancelled { reason: "limit".to_owned() });
        assert_eq!(told(Queued, None, None), State::Queued);
        assert_eq!(told(QueryExecutionState::from("RESTING"), None, None), State::Queued);
        assert_eq!(super::state(&QueryExecution::builder().build()), State::Queued);
    }

    #[test]
    fn error_codes_say_what_to_do() {
        assert_eq!(kind(Some("TooManyRequestsException")), ServiceErrorKind::Throttled);
        assert_eq!(kind(Some("AccessDeniedException")), ServiceErrorKind::Denied);
        assert_eq!(kind(Some("InvalidRequestException")), ServiceErrorKind::Invalid);
        assert_eq!(kind(Some("InternalServerException")), ServiceErrorKind::Unavailable);
        assert_eq!(kind(None), ServiceErrorKind::Unavailable);
    }
}
