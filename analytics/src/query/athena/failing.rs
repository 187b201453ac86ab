//! A [`QueryService`] that fails by a seed, before or after the call it wraps: the two ways in which a network does.

use std::sync::atomic::AtomicU64;

use async_trait::async_trait;

use crate::failing::draw;

use super::service::{Execution, QueryService, Question, ResultPage, ServiceError, ServiceErrorKind};

/// Wraps a service and makes some of its calls fail: a third throttled, a third broken off before anything happened, a
/// third after it did, so that the caller cannot know. Which calls fail is a function of the seed and of their order.
#[derive(Debug)]
pub struct FailingService<S> {
    inner: S,
    state: AtomicU64,
    per_mille: u64,
}

enum Fate {
    Works,
    Throttled,
    FailsBefore,
    FailsAfter,
}

impl<S> FailingService<S> {
    /// Makes `per_mille` of a thousand calls to `inner` fail.
    pub fn new(inner: S, seed: u64, per_mille: u64) -> Self {
        Self { inner, state: AtomicU64::new(seed), per_mille }
    }

    /// The service within, which does not fail.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn fate(&self) -> Fate {
        let z = draw(&self.state);
        match (z % 1000 < self.per_mille, (z >> 32) % 3) {
            (false, _) => Fate::Works,
            (true, 0) => Fate::Throttled,
            (true, 1) => Fate::FailsBefore,
            (true, _) => Fate::FailsAfter,
        }
    }

    async fn call<T>(
        &self,
        call: &'static str,
        inner: impl Future<Output = Result<T, ServiceError>> + Send,
    ) -> Result<T, ServiceError> {
        let failure = |kind, message: &str| ServiceError { call, kind, message: message.to_owned() };
        match self.fate() {
            Fate::Works => inner.await,
            Fate::Throttled => Err(failure(ServiceErrorKind::Throttled, "injected")),
            Fate::FailsBefore => Err(failure(ServiceErrorKind::Unavailable, "injected before the call")),
            Fate::FailsAfter => {
                inner.await?;
                Err(failure(ServiceErrorKind::Unavailable, "injected after the call"))
            }
        }
    }
}

#[async_trait]
impl<S: QueryService> QueryService for FailingService<S> {
    async fn start(&self, question: &Question) -> Result<String, ServiceError> {
        self.call("StartQueryExecution", self.inner.start(question)).await
    }

    async fn execution(&self, id: &str) -> Result<Execution, ServiceError> {
        self.call("GetQueryExecution", self.inner.execution(id)).await
    }

    async fn page(&self, id: &str, next: Option<&str>) -> Result<ResultPage, ServiceError> {
        self.call("GetQueryResults", self.inner.page(id, next)).await
    }

    async fn stop(&self, id: &str) -> Result<(), ServiceError> {
        self.call("StopQueryExecution", self.inner.stop(id)).await
    }
}
