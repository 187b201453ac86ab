//! The port to whatever answers queries as Athena does,
//! <https://docs.aws.amazon.com/athena/latest/APIReference/Welcome.html>.

use std::fmt;

use async_trait::async_trait;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// One statement.
    pub sql: String,
    /// 32 to 128 characters: a second start with the same token and question is the same query.
    pub token: String,
    /// Where tables are looked for.
    pub catalog: String,
    /// Likewise.
    pub database: String,
    /// Who pays, and with which limits.
    pub workgroup: String,
    /// Where Athena keeps the answer, `s3://BUCKET/PREFIX/`; what the workgroup says without.
    pub output: Option<String>,
}

/// How far a query is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It is being answered.
    Running,
    /// Its answer can be read.
    Succeeded,
    /// It has no answer.
    Failed {
        /// Athena's words.
        reason: String,
        /// Whether the question is at fault, and not Athena or a right that is missing.
        question: bool,
    },
    /// Somebody stopped it.
    Cancelled {
        /// Athena's words, if it has any.
        reason: String,
    },
}

/// A query as Athena knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How far it is.
    pub state: State,
    /// What it has read so far, in bytes.
    pub scanned: u64,
    /// How long it has taken, in milliseconds.
    pub millis: u64,
    /// Whether the first row of the answer is the columns' names: so it is of a SELECT, and not of what describes.
    pub header: bool,
}

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultPage {
    /// The columns: name and type, such as `varchar`, `bigint`, `array`.
    pub columns: Vec<(String, String)>,
    /// Values as text, `None` of NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Asks for the next part; there is none without.
    pub next: Option<String>,
}

/// What went wrong, as far as it decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceErrorKind {
    /// Too many calls, or too many queries at once.
    Throttled,
    /// Athena or the way to it failed; a call may or may not have had its effect.
    Unavailable,
    /// A right is missing.
    Denied,
    /// The question, or a setting that goes with it, is at fault.
    Invalid,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Athena, {call}: {}{message}", .kind.advice())]
pub struct ServiceError {
    /// The call, such as `StartQueryExecution`.
    pub call: &'static str,
    /// What to decide by.
    pub kind: ServiceErrorKind,
    /// Athena's words.
    pub message: String,
}

impl ServiceErrorKind {
    fn advice(self) -> &'static str {
        match self {
            Self::Throttled => "too many requests at once; try again later: ",
            Self::Unavailable => "it does not answer as it should; try again later: ",
            Self::Denied => "not permitted; grant the right to it: ",
            Self::Invalid => "",
        }
    }
}

impl ServiceError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ServiceErrorKind::Throttled | ServiceErrorKind::Unavailable)
    }
}

/// Whatever answers queries as Athena does.
#[async_trait]
pub trait QueryService: Send + Sync + fmt::Debug {
    /// Starts a query, unless one of this token has been started; its id.
    ///
    /// # Errors
    /// See [`ServiceErrorKind`].
    async fn start(&self, question: &Question) -> Result<String, ServiceError>;

    /// How far the query is.
    ///
    /// # Errors
    /// See [`ServiceErrorKind`].
    async fn execution(&self, id: &str) -> Result<Execution, ServiceError>;

    /// A part of the answer of a query that succeeded: the first, or the one that the one before names.
    ///
    /// # Errors
    /// See [`ServiceErrorKind`].
    async fn page(&self, id: &str, next: Option<&str>) -> Result<ResultPage, ServiceError>;

    /// Stops a query; one that has ended stays as it is.
    ///
    /// # Errors
    /// See [`ServiceErrorKind`].
    async fn stop(&self, id: &str) -> Result<(), ServiceError>;
}
