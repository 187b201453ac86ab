//! A question from its start to its last row.

use std::time::Duration;

use super::super::cell::{Cell, Column};
use super::answer::Typed;
use super::pace::{Next, Pace};
use super::service::{Execution, QueryService, Question, ResultPage, ServiceError, State};

/// How a question ended that has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It did not start.
    #[error(transparent)]
    Start(ServiceError),
    /// It was started, and Athena could not be asked how it does.
    #[error("{error}; the query {id} {}", if *.stopped { "was stopped" } else { "may be running still" })]
    Lost {
        /// The last failure.
        error: ServiceError,
        /// By which Athena's console knows it.
        id: String,
        /// Whether Athena was told to stop it.
        stopped: bool,
    },
    /// It failed.
    #[error("Athena failed the query {id}: {reason}")]
    Failed {
        /// Athena's words.
        reason: String,
        /// By which Athena's console knows it.
        id: String,
        /// Whether the question is at fault, and not Athena or a right that is missing.
        question: bool,
    },
    /// Somebody else stopped it.
    #[error("the query {id} was stopped by somebody else{}{reason}", if .reason.is_empty() { "" } else { ": " })]
    Cancelled {
        /// Athena's words, if it has any.
        reason: String,
        /// By which Athena's console knows it.
        id: String,
    },
    /// It was interrupted by us.
    #[error("interrupted; the query {id} {}", if *.stopped { "was stopped" } else { "could not be stopped and may be running still" })]
    Interrupted {
        /// By which Athena's console knows it.
        id: String,
        /// Whether Athena was told to stop it.
        stopped: bool,
        /// What it had read, in bytes, as far as that is known.
        scanned: u64,
    },
}

/// A query that succeeded, and where its answer is read.
#[derive(Debug)]
pub struct Answer<'a> {
    service: &'a dyn QueryService,
    id: String,
    /// What it read and took.
    execution: Execution,
    typed: Typed,
    ahead: Ahead,
    pace: Pace,
}

/// What has not been handed out.
#[derive(Debug)]
enum Ahead {
    Page(ResultPage),
    /// What asks for the next page, which is fetched when it is wanted, so that one is held.
    Token(String),
    End,
}

/// Asks, and waits until there is an answer. When `interrupted` comes first, the query is stopped. `seed` jitters the
/// waits.
///
/// # Errors
/// See [`AskError`].
pub async fn ask<'a>(
    service: &'a dyn QueryService,
    question: &Question,
    interrupted: impl Future<Output = ()>,
    seed: u64,
) -> Result<Answer<'a>, AskError> {
    let mut pace = Pace::new(seed);
    // Not broken off: of a start whose answer is not awaited nobody knows whether there is a query to stop.
    let id = repeat(&mut pace, || service.start(question)).await.map_err(AskError::Start)?;
    let waited = {
        let end = async {
            let execution = wait(service, &id, &mut pace).await?;
            let page = repeat(&mut pace, || service.page(&id, None));
            match execution.state {
                State::Succeeded => page.await.map(|page| (execution, page)),
                _ => Ok((execution, ResultPage::default())),
            }
        };
        tokio::select! {
            biased;
            () = interrupted => None,
            end = end => Some(end),
        }
    };
    let (execution, mut page) = match waited {
        None => {
            let (stopped, scanned) = stop(service, &id).await;
            return Err(AskError::Interrupted { id, stopped, scanned });
        }
        Some(Err(error)) => {
            let (stopped, _) = stop(service, &id).await;
            return Err(AskError::Lost { error, id, stopped });
        }
        Some(Ok(end)) => end,
    };
    match execution.state.clone() {
        State::Failed { reason, question } => Err(AskError::Failed { reason, id, question }),
        State::Cancelled { reason } => Err(AskError::Cancelled { reason, id }),
        State::Queued | State::Running | State::Succeeded => {
            let typed = Typed::of(&mut page, execution.header);
            Ok(Answer { service, id, execution, typed, ahead: Ahead::Page(page), pace })
        }
    }
}

async fn wait(service: &dyn QueryService, id: &str, pace: &mut Pace) -> Result<Execution, ServiceError> {
    loop {
        match pace.looked(service.execution(id).await) {
            Next::Wait(wait) => tokio::time::sleep(wait).await,
            Next::Done(execution) => return Ok(execution),
            Next::GiveUp(error) => return Err(error),
        }
    }
}

async fn repeat<T, F: Future<Output = Result<T, ServiceError>>>(
    pace: &mut Pace,
    call: impl Fn() -> F,
) -> Result<T, ServiceError> {
    loop {
        match pace.called(call().await) {
            Next::Wait(wait) => tokio::time::sleep(wait).await,
            Next::Done(answer) => return Ok(answer),
            Next::GiveUp(error) => return Err(error),
        }
    }
}

/// How long it is tried to stop a query: somebody is waiting for the prompt.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stops the query. Whether Athena said that it does, and what it had read.
async fn stop(service: &dyn QueryService, id: &str) -> (bool, u64) {
    let mut pace = Pace::new(0);
    let stop = tokio::time::timeout(PATIENCE, repeat(&mut pace, || service.stop(id))).await;
    let scanned = tokio::time::timeout(PATIENCE, service.execution(id)).await;
    let scanned = scanned.ok().and_then(Result::ok).map_or(0, |execution| execution.scanned);
    (matches!(stop, Ok(Ok(()))), scanned)
}

impl Answer<'_> {
    /// By which Athena's console knows the query.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it read, in bytes.
    #[must_use]
    pub fn scanned(&self) -> u64 {
        self.execution.scanned
    }

    /// How long Athena took, in milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.execution.millis
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.typed.columns()
    }

    /// The next rows; none when there are no more.
    ///
    /// # Errors
    /// When Athena does not hand them out, after several tries.
    pub async fn rows(&mut self) -> Result<Vec<Vec<Cell>>, ServiceError> {
        loop {
            let page = match std::mem::replace(&mut self.ahead, Ahead::End) {
                Ahead::Page(page) => page,
                Ahead::Token(token) => {
                    let (service, id) = (self.service, self.id.as_str());
                    repeat(&mut self.pace, || service.page(id, Some(&token))).await?
                }
                Ahead::End => return Ok(Vec::new()),
            };
            self.ahead = page.next.clone().map_or(Ahead::End, Ahead::Token);
            let rows = self.typed.rows(page);
            // A page may be empty, as the first is of an answer without rows; it is not the last for that.
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }
}
