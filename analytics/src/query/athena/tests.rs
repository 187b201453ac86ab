#![allow(clippy::unwrap_used, clippy::panic)]

use std::future::{pending, ready};
use std::time::Duration;

use super::ask::{AskError, ask};
use super::failing::FailingService;
use super::memory::{MemoryService, Scripted};
use super::pace::{Next, Pace};
use super::service::{Execution, QueryService, Question, ServiceError, ServiceErrorKind, State};

fn question() -> Question {
    Question {
        sql: "SELECT n FROM t".to_owned(),
        token: "0123456789abcdef0123456789abcdef".to_owned(),
        catalog: "AwsDataCatalog".to_owned(),
        database: "trail".to_owned(),
        workgroup: "primary".to_owned(),
        output: None,
    }
}

fn script(states: &[State], rows: usize) -> Scripted {
    Scripted {
        states: states.to_vec(),
        scanned: 77,
        header: true,
        columns: vec![("n".to_owned(), "bigint".to_owned())],
        rows: (0..rows).map(|n| vec![Some(n.to_string())]).collect(),
    }
}

const SLOW: &[State] = &[State::Queued, State::Queued, State::Running, State::Running, State::Succeeded];

async fn numbers(service: &dyn QueryService, seed: u64) -> Result<Vec<String>, String> {
    let mut answer = ask(service, &question(), pending(), seed).await.map_err(|error| error.to_string())?;
    assert_eq!(answer.columns()[0].name, "n");
    assert_eq!(answer.scanned(), 77);
    let mut all = Vec::new();
    loop {
        let rows = answer.rows().await.map_err(|error| error.to_string())?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(rows.iter().map(|row| row[0].text().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_and_read_to_its_end() {
    for (rows, page) in [(0, 1), (0, 10), (1, 1), (9, 10), (10, 10), (11, 10), (25, 10), (25, 1)] {
        let service = MemoryService::new(script(SLOW, rows), page);
        let expected: Vec<String> = (0..rows).map(|n| n.to_string()).collect();
        assert_eq!(numbers(&service, 1).await.unwrap(), expected, "{rows} rows by {page}");
        assert_eq!(service.started(), [(question(), false)]);
    }
}

/// Whatever fails at whichever call: the answer is whole or there is an error, and there is never a second query.
#[tokio::test(start_paused = true)]
async fn failures_cost_time_and_nothing_else() {
    let expected: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    let mut answered = 0;
    for seed in 0..300 {
        let service = FailingService::new(MemoryService::new(script(SLOW, 25), 4), seed, 300);
        match numbers(&service, seed).await {
            Ok(rows) => {
                assert_eq!(rows, expected, "seed {seed}");
                answered += 1;
            }
            Err(error) => assert!(error.contains("injected"), "{error}"),
        }
        assert!(service.inner().started().len() <= 1, "seed {seed}");
    }
    assert!(answered > 290, "{answered} of 300");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_away_is_given_up() {
    let service = FailingService::new(MemoryService::new(script(SLOW, 1), 4), 7, 1000);
    let began = tokio::time::Instant::now();
    let Err(AskError::Start(error)) = ask(&service, &question(), pending(), 1).await else { panic!("it started") };
    assert!(error.is_retryable());
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(10) && waited < Duration::from_secs(60), "{waited:?}");
}

/// A service that loses its answers once a query has been started.
#[derive(Debug)]
struct Forgetful(MemoryService, ServiceErrorKind);

#[async_trait::async_trait]
impl QueryService for Forgetful {
    async fn start(&self, question: &Question) -> Result<String, ServiceError> {
        self.0.start(question).await
    }

    async fn execution(&self, _: &str) -> Result<Execution, ServiceError> {
        Err(ServiceError { call: "GetQueryExecution", kind: self.1, message: "gone".to_owned() })
    }

    async fn page(&self, id: &str, next: Option<&str>) -> Result<super::service::ResultPage, ServiceError> {
        self.0.page(id, next).await
    }

    async fn stop(&self, id: &str) -> Result<(), ServiceError> {
        self.0.stop(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_lost_is_stopped_and_named() {
    for kind in [ServiceErrorKind::Unavailable, ServiceErrorKind::Denied] {
        let service = Forgetful(MemoryService::new(script(SLOW, 1), 4), kind);
        let error = ask(&service, &question(), pending(), 1).await.unwrap_err();
        let AskError::Lost { stopped: true, ref id, .. } = error else { panic!("{error:?}") };
        assert!(error.to_string().contains(id) && error.to_string().contains("was stopped"), "{error}");
        assert_eq!(service.0.started(), [(question(), true)]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_query_is_stopped() {
    let service = MemoryService::new(script(&[State::Running], 1), 4);
    let soon = tokio::time::sleep(Duration::from_secs(3));
    let error = ask(&service, &question(), soon, 1).await.unwrap_err();
    let AskError::Interrupted { stopped: true, scanned: 77, .. } = error else { panic!("{error:?}") };
    assert_eq!(service.started(), [(question(), true)]);
}

/// Interrupted while it starts, it is started, so that its id is known, and stopped.
#[tokio::test(start_paused = true)]
async fn no_query_is_left_behind_by_an_early_interrupt() {
    let service = MemoryService::new(script(&[State::Running], 1), 4);
    let error = ask(&service, &question(), ready(()), 1).await.unwrap_err();
    assert!(matches!(error, AskError::Interrupted { stopped: true, .. }), "{error:?}");
    assert_eq!(service.started(), [(question(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_fails_says_why() {
    let failed = State::Failed { reason: "SYNTAX_ERROR: line 1:8".to_owned(), question: true };
    let service = MemoryService::new(script(&[State::Queued, failed], 1), 4);
    let error = ask(&service, &question(), pending(), 1).await.unwrap_err();
    assert!(matches!(error, AskError::Failed { question: true, .. }), "{error:?}");
    assert!(error.to_string().contains("SYNTAX_ERROR: line 1:8"), "{error}");

    let cancelled = State::Cancelled { reason: "Bytes scanned limit was exceeded".to_owned() };
    let service = MemoryService::new(script(&[cancelled], 1), 4);
    let error = ask(&service, &question(), pending(), 1).await.unwrap_err();
    assert!(error.to_string().contains("somebody else: Bytes scanned limit"), "{error}");

    let wrong = Question { token: "short".to_owned(), ..question() };
    let error = ask(&service, &wrong, pending(), 1).await.unwrap_err();
    assert!(matches!(error, AskError::Start(ServiceError { kind: ServiceErrorKind::Invalid, .. })), "{error:?}");
}

#[test]
fn waits_grow_with_jitter_up_to_five_seconds() {
    let running = || Execution { state: State::Running, scanned: 0, millis: 0, header: false };
    for seed in 0..100 {
        let mut pace = Pace::new(seed);
        let waits: Vec<u128> = (0..9)
            .map(|_| match pace.looked(Ok(running())) {
                Next::Wait(wait) => wait.as_millis(),
                other => panic!("{other:?}"),
            })
            .collect();
        let whole = [250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000];
        for (wait, whole) in waits.iter().zip(whole) {
            assert!((whole / 2..=whole).contains(wait), "seed {seed}: {waits:?}");
        }
    }
    let mut firsts: Vec<u128> = (0..100)
        .filter_map(|seed| match Pace::new(seed).looked(Ok(running())) {
            Next::Wait(wait) => Some(wait.as_millis()),
            _ => None,
        })
        .collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 30, "they spread: {firsts:?}");
}
