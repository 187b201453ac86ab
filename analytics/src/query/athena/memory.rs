//! A [`QueryService`] in memory, for tests: it answers each question with what it was told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::service::{Execution, QueryService, Question, ResultPage, ServiceError, ServiceErrorKind, State};

/// How a question goes.
#[derive(Debug, Clone)]
pub struct Scripted {
    /// What is told look by look; the last again and again.
    pub states: Vec<State>,
    /// What it reads, in bytes.
    pub scanned: u64,
    /// Whether the columns' names are the first row.
    pub header: bool,
    /// The columns.
    pub columns: Vec<(String, String)>,
    /// The rows, without their header.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Queries that were started, and how they go.
#[derive(Debug)]
pub struct MemoryService {
    script: Scripted,
    page: usize,
    queries: Mutex<BTreeMap<String, Query>>,
}

#[derive(Debug)]
struct Query {
    question: Question,
    looks: usize,
    stopped: bool,
}

impl MemoryService {
    /// Answers every question so, in pages of so many rows.
    #[must_use]
    pub fn new(script: Scripted, page: usize) -> MemoryService {
        MemoryService { script, page: page.max(1), queries: Mutex::default() }
    }

    /// The questions of which queries were made, each with whether it was stopped.
    #[must_use]
    pub fn started(&self) -> Vec<(Question, bool)> {
        self.queries().values().map(|query| (query.question.clone(), query.stopped)).collect()
    }

    fn queries(&self) -> MutexGuard<'_, BTreeMap<String, Query>> {
        // No code that holds the lock can panic half-way through a change.
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, call: &'static str, id: &str, act: impl FnOnce(&mut Query) -> T) -> Result<T, ServiceError> {
        let mut queries = self.queries();
        let query = queries.get_mut(id).ok_or_else(|| invalid(call, &format!("no query {id}")))?;
        Ok(act(query))
    }

    fn all_rows(&self) -> Vec<Vec<Option<String>>> {
        let header = self.script.columns.iter().map(|(name, _)| Some(name.clone())).collect();
        let header = self.script.header.then_some(header);
        header.into_iter().chain(self.script.rows.iter().cloned()).collect()
    }
}

fn invalid(call: &'static str, message: &str) -> ServiceError {
    ServiceError { call, kind: ServiceErrorKind::Invalid, message: message.to_owned() }
}

#[async_trait]
impl QueryService for MemoryService {
    async fn start(&self, question: &Question) -> Result<String, ServiceError> {
        if !(32..=128).contains(&question.token.len()) {
            return Err(invalid("StartQueryExecution", "a token has 32 to 128 characters"));
        }
        let mut queries = self.queries();
        let id = format!("query-{}", question.token);
        if queries.get(&id).is_some_and(|known| known.question != *question) {
            return Err(invalid("StartQueryExecution", "the token belongs to another question"));
        }
        queries.entry(id.clone()).or_insert(Query { question: question.clone(), looks: 0, stopped: false });
        Ok(id)
    }

    async fn execution(&self, id: &str) -> Result<Execution, ServiceError> {
        let (states, scanned, header) = (&self.script.states, self.script.scanned, self.script.header);
        self.with("GetQueryExecution", id, |query| {
            let told = states.get(query.looks).or(states.last()).cloned().unwrap_or(State::Succeeded);
            query.looks += 1;
            let state = if query.stopped { State::Cancelled { reason: String::new() } } else { told };
            Execution { state, scanned, millis: query.looks as u64, header }
        })
    }

    async fn page(&self, id: &str, next: Option<&str>) -> Result<ResultPage, ServiceError> {
        self.with("GetQueryResults", id, |_| ())?;
        let from: usize = next.map_or(Ok(0), str::parse).map_err(|_| invalid("GetQueryResults", "no such page"))?;
        let rows = self.all_rows();
        let to = rows.len().min(from + self.page);
        Ok(ResultPage {
            columns: self.script.columns.clone(),
            rows: rows.get(from..to).unwrap_or_default().to_vec(),
            next: (to < rows.len()).then(|| to.to_string()),
        })
    }

    async fn stop(&self, id: &str) -> Result<(), ServiceError> {
        self.with("StopQueryExecution", id, |query| query.stopped = true)
    }
}
