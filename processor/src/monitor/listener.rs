//! The listener: `GET /metrics`, `/healthz`, `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Monitor;
use super::{exposition, metrics};
use crate::failure::{Failure, Result};
use crate::settings::{Listen, Metrics};

/// A port that is taken, and nobody is answered on it yet.
pub(crate) struct Listener {
    socket: TcpListener,
    token: Option<Token>,
}

/// A token's hash: comparing these takes as long whatever the guess, as far as it tells anything of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token([u8; 32]);

impl Token {
    fn of(text: &str) -> Token {
        Token(Sha256::digest(text.as_bytes()).into())
    }
}

impl Listener {
    /// Takes the port that the settings name; `None` where they name none, or the default one is in use.
    ///
    /// # Errors
    /// When the settings do not fit, or the port that was asked for cannot be had.
    pub(crate) async fn open(settings: &Metrics) -> Result<Option<Listener>> {
        if let Some(fault) = settings.faults().into_iter().next() {
            return Err(Failure::Usage(format!("`metrics.{}` {}", fault.path, fault.message)));
        }
        let listen = settings.listen().map_err(Failure::Usage)?;
        let (address, required) = match listen {
            Listen::Off => return Ok(None),
            Listen::IfFree(address) => (address, false),
            Listen::At(address) => (address, true),
        };
        let token = settings.read_token().map_err(Failure::Usage)?.as_deref().map(Token::of);
        match TcpListener::bind(address).await {
            Ok(socket) => Ok(Some(Listener { socket, token })),
            Err(error) if required => Err(Failure::Outside(format!(
                "the metrics cannot be served on {address}: {error}; set `metrics.listen` to another address, to \
                 `auto` or to `off`"
            ))),
            Err(error) => {
                tracing::warn!(
                    %address, %error,
                    "no metrics are served: is there another worker? Name a port for each in `metrics.listen`"
                );
                Ok(None)
            }
        }
    }

    /// Answers for the worker, until the task is aborted.
    pub(crate) fn serve(self, monitor: Arc<Monitor>) -> JoinHandle<()> {
        let address = self.socket.local_addr().map_or_else(|error| error.to_string(), url);
        tracing::info!(metrics = address, "serving");
        let app = router(monitor, self.token);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(self.socket, app).await {
                tracing::error!(%error, "no more metrics are served");
            }
        })
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/metrics")
}

fn router(monitor: Arc<Monitor>, token: Option<Token>) -> Router {
    Router::new()
        .route("/metrics", get(serve_metrics))
        .route("/healthz", get(serve_health))
        .route("/readyz", get(serve_readiness))
        .with_state(monitor)
        // Last, so that it stands before all of them, and before what is not found as well.
        .layer(middleware::from_fn_with_state(token, authenticate))
}

async fn authenticate(State(token): State<Option<Token>>, request: Request, next: Next) -> Response {
    match token {
        Some(token) if !bears(request.headers(), token) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a bearer token is required\n")
                .into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether the request comes with the token (RFC 6750, § 2.1).
fn bears(headers: &HeaderMap, token: Token) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    given.is_some_and(|(_, text)| Token::of(text.trim()) == token)
}

async fn serve_metrics(State(monitor): State<Arc<Monitor>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], metrics::render(&monitor.look()))
}

async fn serve_health(State(monitor): State<Arc<Monitor>>) -> impl IntoResponse {
    verdict("alive", &monitor.look().stuck())
}

async fn serve_readiness(State(monitor): State<Arc<Monitor>>) -> impl IntoResponse {
    verdict("ready", &monitor.look().unready())
}

fn verdict(word: &str, reasons: &[String]) -> (StatusCode, String) {
    match reasons {
        [] => (StatusCode::OK, format!("{word}\n")),
        reasons => (StatusCode::SERVICE_UNAVAILABLE, format!("not {word}\n{}\n", reasons.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_itself_opens() {
        let token = Token::of("abc");
        for (value, opens) in [
            ("Bearer abc", true),
            ("bearer  abc", true),
            ("Bearer abcd", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Basic abc", false),
            ("abc", false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(bears(&headers, token), opens, "{value}");
        }
        assert!(!bears(&HeaderMap::new(), token));
    }

    #[test]
    fn reasons_make_a_refusal() {
        assert_eq!(verdict("ready", &[]), (StatusCode::OK, "ready\n".to_owned()));
        let (status, body) = verdict("ready", &["a: b".to_owned(), "c: d".to_owned()]);
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready\na: b\nc: d\n"));
    }
}
