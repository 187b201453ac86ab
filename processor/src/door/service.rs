//! What happens to one request: the key first, then its size and the rate, then its body.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::answer::Answer;
use super::intake;
use super::keep::{Keep, PATIENCE};
use super::keys::Keys;
use super::meter::Meter;
use super::rate::Rate;
use super::socket::Progress;
use crate::in_place::in_place;

/// Where events are posted.
const EVENTS: &str = "/v1/events";
/// Where a load balancer may ask.
const HEALTH: &str = "/healthz";
/// Bodies that decode in less time than a change of threads takes.
const SHORT: usize = 64 << 10;

/// What all requests share.
pub(super) struct Service {
    pub(super) keys: Keys,
    pub(super) keep: Arc<dyn Keep>,
    pub(super) limits: Limits,
    pub(super) rate: Mutex<Rate>,
    /// The memory that bodies may take in all, in KiB.
    pub(super) memory: Semaphore,
    pub(super) meter: Arc<Meter>,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a body as it is sent.
    pub(super) body: u64,
    /// Bytes of a body once it is decompressed.
    pub(super) expanded: u64,
    /// From the end of its head to the end of its body.
    pub(super) within: Duration,
    /// The same of a body that is not wanted, and is only read so that its sender reads the answer.
    pub(super) unwanted_within: Duration,
}

impl Limits {
    /// How much memory the bodies of all requests may take, in KiB: that of at least one.
    pub(super) fn memory(&self) -> usize {
        const LEAST: u64 = 128 << 20;
        let all = (self.body + self.expanded).max(LEAST);
        usize::try_from(all.div_ceil(1024)).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS)
    }
}

/// Why a body was not read.
enum Unread {
    TooLarge,
    Slow,
    Broken,
}

/// Answers everything, found or not: the key is asked for first.
pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new().fallback(serve).with_state(service)
}

async fn serve(
    State(service): State<Arc<Service>>,
    ConnectInfo(progress): ConnectInfo<Progress>,
    request: Request,
) -> Response {
    let _answering = progress.begin();
    let answer = service.answer(request).await;
    service.meter.answered(answer.status());
    answer.into_response()
}

impl Service {
    async fn answer(&self, request: Request) -> Answer {
        let (head, body) = request.into_parts();
        match self.turn_away(&head.method, head.uri.path(), &head.headers) {
            Some(answer) => {
                if !head.headers.contains_key(header::EXPECT) {
                    self.drain(body).await;
                }
                answer
            }
            None => self.receive(&head.headers, body).await.unwrap_or_else(|answer| answer),
        }
    }

    /// The answer to what is no post of events that may come now.
    fn turn_away(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Answer> {
        if !self.keys.admit(headers) {
            return Some(Answer::NoKey);
        }
        if self.keys.is_open() && headers.contains_key(header::ORIGIN) {
            // Any page in a browser on this machine may send such a request.
            let why = "without keys no request is taken that a web page may have sent";
            return Some(Answer::Refused(StatusCode::FORBIDDEN, why.to_owned()));
        }
        match (path, method) {
            (EVENTS, &Method::POST) => {}
            (HEALTH, &Method::GET) => return Some(Answer::Alive),
            (EVENTS, _) => return Some(Answer::Method("POST")),
            (HEALTH, _) => return Some(Answer::Method("GET")),
            _ => {
                let why = format!("there is nothing here: POST events to {EVENTS}");
                return Some(Answer::Refused(StatusCode::NOT_FOUND, why));
            }
        }
        if length(headers).is_some_and(|length| length > self.limits.body) {
            return Some(Answer::too_large(self.limits.body));
        }
        let wait = self.rate().wait(Instant::now())?;
        let why = "more events come than `door.events_per_second` allows".to_owned();
        Some(Answer::Later(StatusCode::TOO_MANY_REQUESTS, wait, why))
    }

    async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Answer, Answer> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
        let gzip = intake::is_gzip(encoding)?;
        // Who does not say how much comes may send as much as anybody may.
        let _memory = self.room(length(headers).unwrap_or(self.limits.body)).await?;
        let body = self.read(body).await.map_err(|unread| match unread {
            Unread::TooLarge => Answer::too_large(self.limits.body),
            Unread::Slow => Answer::Refused(StatusCode::REQUEST_TIMEOUT, "the body came too slowly".to_owned()),
            Unread::Broken => Answer::Refused(StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
        })?;
        let taken = self.look(&body, gzip).await?;
        self.rate().charge(taken.events, Instant::now());
        let bytes = body.len() as u64;
        match timeout(PATIENCE, self.keep.keep(taken.parcel)).await {
            Ok(kept) => kept?,
            Err(_) => return Err(Answer::busy("it could not be kept in time")),
        }
        self.meter.kept(taken.events, taken.dead_letters, bytes);
        Ok(Answer::Kept { events: taken.events, dead_letters: taken.dead_letters })
    }

    async fn look(&self, body: &Bytes, gzip: bool) -> Result<intake::Taken, Answer> {
        let zipped = gzip || body.starts_with(&[0x1f, 0x8b]);
        let _memory = if zipped { Some(self.room(self.limits.expanded).await?) } else { None };
        let look = || intake::look(body, gzip, self.limits.expanded);
        Ok(if zipped || body.len() > SHORT { in_place(look)? } else { look()? })
    }

    /// Waits until there is memory for so many bytes.
    async fn room(&self, bytes: u64) -> Result<SemaphorePermit<'_>, Answer> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match timeout(PATIENCE, self.memory.acquire_many(kib)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Answer::busy("too much is being sent at once")),
        }
    }

    async fn read(&self, body: Body) -> Result<Bytes, Unread> {
        let read = async {
            let mut chunks = body.into_data_stream();
            let mut first = Bytes::new();
            let mut all = BytesMut::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|_| Unread::Broken)?;
                if (first.len() + all.len() + chunk.len()) as u64 > self.limits.body {
                    return Err(Unread::TooLarge);
                }
                if first.is_empty() && all.is_empty() {
                    first = chunk; // mostly it is all
                    continue;
                }
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&chunk);
            }
            Ok(if all.is_empty() { first } else { all.freeze() })
        };
        timeout(self.limits.within, read).await.unwrap_or(Err(Unread::Slow))
    }

    /// Reads a body that is not wanted, within the same bounds, and keeps nothing of it.
    async fn drain(&self, body: Body) {
        let mut chunks = body.into_data_stream();
        let drain = async {
            let mut left = self.limits.body;
            while let Some(Ok(chunk)) = chunks.next().await {
                left = left.saturating_sub(chunk.len() as u64);
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(self.limits.unwanted_within, drain).await;
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
