//! What stands between a worker and the emulator of DynamoDB and S3: it knows an archiver's steps by their calls, and can
//! stop the world at one of them, or answer in the bucket's place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The most bytes of a body.
const MOST: usize = 64 << 20;

/// A step of an archiver, which is one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The intent goes into the lease.
    Intent,
    /// A file goes into the bucket.
    Put,
    /// The checkpoint moves.
    Commit,
}

/// On which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The service has not heard of it.
    Before,
    /// The service has done it, and the worker has not heard of that.
    After,
}

/// A moment of a worker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) step: Step,
    pub(crate) side: Side,
    /// At the so-manieth such step, from 1.
    pub(crate) nth: usize,
}

/// An answer in the bucket's place.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// One of S3's error codes.
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

struct Shared {
    upstream: String,
    bucket: String,
    leases: String,
    client: reqwest::Client,
    state: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    wanted: Option<(Moment, oneshot::Sender<()>)>,
    /// From that moment on nothing passes any more.
    stopped: bool,
    refusal: Option<Refusal>,
    refused: usize,
}

/// A proxy that lives until it is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    /// In front of `upstream`, for a worker that archives to this bucket under this lease table.
    pub(crate) async fn start(upstream: String, bucket: &str, leases: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Its client is made for TLS, though none is used here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let shared = Arc::new(Shared { upstream, bucket: bucket.to_owned(), leases, client, state: Mutex::default() });
        let app = Router::new().fallback(pass).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Proxy { port, shared, serving }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops the world when this moment comes, and says so.
    pub(crate) fn stop_at(&self, moment: Moment) -> oneshot::Receiver<()> {
        let (reached, hears) = oneshot::channel();
        self.shared.state.lock().unwrap().wanted = Some((moment, reached));
        hears
    }

    /// From now on the bucket takes nothing and answers this; or everything again.
    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        self.shared.state.lock().unwrap().refusal = refusal;
    }

    /// How many calls were answered in the bucket's place.
    pub(crate) fn refused(&self) -> usize {
        self.shared.state.lock().unwrap().refused
    }
}

impl Shared {
    fn is_of_bucket(&self, path: &str) -> bool {
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(&self.bucket))
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Which step a call is, by what it says.
    fn step(&self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Step> {
        if *method == Method::PUT && self.is_of_bucket(path) {
            return Some(Step::Put);
        }
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        if !target.ends_with(".UpdateItem") {
            return None;
        }
        let call: Value = serde_json::from_slice(body).ok()?;
        if call["TableName"] != self.leases.as_str() {
            return None;
        }
        let names = call["ExpressionAttributeNames"].as_object()?;
        let touches = |attribute: &str| names.values().any(|name| name == attribute);
        match (touches("checkpoint"), touches("pendingCheckpoint"), touches("childShardIds")) {
            (true, _, false) => Some(Step::Commit),
            (false, true, _) => Some(Step::Intent),
            _ => None,
        }
    }

    /// Lets a call pass, or nothing any more.
    async fn gate(&self, step: Option<Step>, side: Side) {
        let stopped = {
            let mut state = self.state.lock().unwrap();
            let state = &mut *state;
            let here = |moment: &Moment| Some(moment.step) == step && moment.side == side;
            if let Some((moment, _)) = state.wanted.as_mut().filter(|(moment, _)| here(moment)) {
                moment.nth -= 1;
                if moment.nth == 0 {
                    state.stopped = true;
                    let told = state.wanted.take().map(|(_, reached)| reached.send(()));
                    assert!(told.is_some_and(|told| told.is_ok()), "nobody waits for the moment");
                }
            }
            state.stopped
        };
        if stopped {
            std::future::pending::<()>().await;
        }
    }

    fn refusal(&self, path: &str) -> Option<Refusal> {
        let mut state = self.state.lock().unwrap();
        let refusal = state.refusal.clone().filter(|_| self.is_of_bucket(path))?;
        state.refused += 1;
        Some(refusal)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MOST).await.unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if let Some(refusal) = shared.refusal(&path) {
        return refusal.answer();
    }
    let step = shared.step(&head.method, &path, &head.headers, &body);
    shared.gate(step, Side::Before).await;
    // What was let through is done, though nobody may be there any more to hear of it.
    let sent = tokio::spawn(forward(shared.clone(), head.method, path, head.headers, body));
    let answer = sent.await.unwrap();
    shared.gate(step, Side::After).await;
    answer
}

async fn forward(
    shared: Arc<Shared>,
    method: Method,
    path: String,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    for hop in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(hop);
    }
    let call = shared.client.request(method, format!("{}{path}", shared.upstream)).headers(headers).body(body);
    let mut answer = Response::new(Body::empty());
    match call.send().await {
        Err(_) => *answer.status_mut() = StatusCode::BAD_GATEWAY,
        Ok(answered) => {
            *answer.status_mut() = answered.status();
            *answer.headers_mut() = answered.headers().clone();
            answer.headers_mut().remove(header::TRANSFER_ENCODING);
            answer.headers_mut().remove(header::CONNECTION);
            *answer.body_mut() = Body::from(answered.bytes().await.unwrap_or_default());
        }
    }
    answer
}

impl Refusal {
    fn answer(&self) -> Response<Body> {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
             <RequestId>R1</RequestId></Error>",
            self.code, self.message
        );
        let answer = Response::builder().status(self.status).header(header::CONTENT_TYPE, "application/xml");
        answer.body(Body::from(body)).unwrap()
    }
}
