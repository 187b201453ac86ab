//! Against a server on this machine that does everything a server should not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::cached::{Cached, Policy};
use super::*;

const SECRET: &str = "0123456789abcdef-not-to-be-told";

#[derive(Clone)]
struct Served {
    /// A status other than 200, with `Retry-After`.
    mood: &'static str,
    calls: Arc<AtomicUsize>,
}

async fn check(State(served): State<Served>, headers: HeaderMap, uri: Uri) -> Response {
    let asked = Url::parse("http://localhost").unwrap().join(&uri.to_string()).unwrap();
    let query: HashMap<String, String> = asked.query_pairs().into_owned().collect();
    served.calls.fetch_add(1, Ordering::Relaxed);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!((text("key").as_str(), text("accept").as_str()), (SECRET, "application/json"));
    assert!(text("user-agent").starts_with("dial/"));
    assert_eq!(query["maxAgeInDays"], "30");
    let address = &query["ipAddress"];
    let body = format!(
        r#"{{"data":{{"ipAddress":"{address}","isPublic":true,"abuseConfidenceScore":87,"totalReports":12,
        "usageType":"Data Center/Web Hosting/Transit","isp":"Example\u001b[31m Hosting","isTor":false}}}}"#
    );
    match served.mood {
        "well" => body.into_response(),
        "mixed" if address.ends_with(".2") => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        "mixed" => body.into_response(),
        "odd" if address.ends_with(".2") => StatusCode::NOT_FOUND.into_response(),
        "odd" if address.ends_with(".4") => "<html>".into_response(),
        "odd" => body.into_response(),
        "garbage" => "<html>not found</html>".into_response(),
        "other address" => body.replace(address, "9.9.9.9").into_response(),
        "odd score" => body.replace(":87", ":187").into_response(),
        "429" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "77")]).into_response(),
        "401" => (StatusCode::UNAUTHORIZED, SECRET).into_response(),
        "500" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "redirect" => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        "huge" => vec![b' '; 10 << 20].into_response(),
        "endless" => {
            let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
            axum::body::Body::from_stream(pieces).into_response()
        }
        "hangs" => std::future::pending().await,
        other => panic!("no such mood: {other}"),
    }
}

/// A server in some mood, and how often it was asked.
async fn server(mood: &'static str) -> (Url, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let served = Served { mood, calls: calls.clone() };
    let elsewhere = calls.clone();
    let app = Router::new().route("/api/v2/check", get(check)).with_state(served).fallback(move || {
        elsewhere.fetch_add(1_000, Ordering::Relaxed);
        std::future::ready("who asks here?")
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/api/v2/check", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, calls)
}

fn source(url: Url, budget_per_minute: u32) -> AbuseIpdb {
    let key = Key::new(&format!(" {SECRET}\n")).unwrap();
    AbuseIpdb::new(ReputationService { url, key, budget_per_minute, max_age_days: 30 }).unwrap()
}

fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|n| IpAddr::from([8, 8, 4, n])).collect()
}

#[tokio::test]
async fn an_answer_is_taken_apart() {
    let (url, calls) = server("mixed").await;
    let loaded = source(url, 60).load(addresses(3)).await;
    assert_eq!((loaded.fault, calls.load(Ordering::Relaxed)), (None, 3));
    let expected = Reputation {
        abuse_confidence_score: 87,
        total_reports: 12,
        usage_type: Some("Data Center/Web Hosting/Transit".to_owned()),
        isp: Some("Example[31m Hosting".to_owned()),
    };
    assert_eq!(loaded.answers[&IpAddr::from([8, 8, 4, 1])], Some(expected));
    assert_eq!(loaded.answers[&IpAddr::from([8, 8, 4, 2])], None, "an address that it does not take");
    let (url, _) = server("well").await;
    let six: IpAddr = "2606:4700::1111".parse().unwrap();
    assert!(source(url, 60).load(vec![six]).await.answers[&six].is_some());
}

#[tokio::test]
async fn every_failure_has_its_name_and_none_tells_the_key() {
    for (mood, expected) in [
        ("garbage", "nonsense"),
        ("other address", "nonsense"),
        ("odd score", "nonsense"),
        ("429", "limited"),
        ("401", "refused"),
        ("500", "unavailable"),
        ("redirect", "nonsense"),
        ("huge", "nonsense"),
        ("endless", "nonsense"),
    ] {
        let (url, calls) = server(mood).await;
        let source = source(url, 60);
        let loaded = source.load(addresses(1)).await;
        assert!(loaded.answers.is_empty(), "{mood}");
        let fault = loaded.fault.unwrap();
        assert_eq!(Fault::KINDS[fault.kind()], expected, "{mood}: {fault}");
        let told = format!("{fault} {fault:?} {source:?}");
        assert!(!told.contains(SECRET) && !told.contains("8.8.4."), "{mood}: {told}");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{mood}: neither again nor elsewhere");
    }
    let (url, _) = server("429").await;
    let loaded = source(url, 60).load(addresses(1)).await;
    assert_eq!(loaded.fault, Some(Fault::Limited { retry_after: Some(Duration::from_secs(77)) }));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_goes_away_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/check", listener.local_addr().unwrap())).unwrap();
    let dropping = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            // A beginning, and no end.
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"data\"").await;
        }
    });
    let source = source(url, 60);
    let loaded = source.load(addresses(1)).await;
    assert!(matches!(loaded.fault, Some(Fault::Unavailable(_))), "{:?}", loaded.fault);
    dropping.abort();
    let _ = dropping.await;
    let loaded = source.load(addresses(1)).await;
    assert!(matches!(loaded.fault, Some(Fault::Unavailable(_))), "{:?}", loaded.fault);
}

#[tokio::test]
async fn a_batch_stops_at_the_first_failure() {
    let (url, calls) = server("500").await;
    source(url, 60).load(addresses(50)).await;
    assert!(calls.load(Ordering::Relaxed) <= AT_A_TIME);
}

#[tokio::test]
async fn a_bad_answer_costs_its_address_and_neither_the_batch_nor_the_circuit() {
    let (url, calls) = server("odd").await;
    let cached = Cached::new(source(url, 1_000), Policy { patience: Duration::from_secs(60), ..Policy::default() });
    let all = addresses(20);
    for round in 1..=2 {
        let answers = cached.get(all.clone()).await;
        for address in &all {
            let odd = ["8.8.4.2", "8.8.4.4"].contains(&address.to_string().as_str());
            assert_eq!(matches!(answers.get(address), Ok(Some(_))), !odd, "{address}");
            assert_eq!(matches!(answers.get(address), Err(Fault::Odd(_))), odd, "{address}");
        }
        let reading = cached.read();
        assert!(!reading.open && reading.faults[4] == round, "{reading:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 22, "and is asked for again");
}

#[tokio::test]
async fn a_service_that_makes_no_sense_at_all_is_left_alone() {
    let (url, calls) = server("garbage").await;
    let source = source(url.clone(), 1_000);
    assert!(matches!(source.load(addresses(50)).await.fault, Some(Fault::Nonsense(_))));
    assert!(calls.load(Ordering::Relaxed) <= ODD_IN_A_ROW + AT_A_TIME);
    // One at a time too.
    let cached = Cached::new(
        super::tests::source(url, 1_000),
        Policy { patience: Duration::from_secs(60), ..Policy::default() },
    );
    for (n, address) in addresses(3).into_iter().enumerate() {
        cached.get([address]).await;
        assert_eq!(cached.read().open, n == 2, "after {}", n + 1);
    }
}

#[tokio::test]
async fn the_budget_is_kept_and_the_rest_is_named() {
    let (url, calls) = server("well").await;
    let source = source(url, 5);
    let loaded = source.load(addresses(8)).await;
    assert_eq!((loaded.answers.len(), loaded.fault), (5, Some(Fault::OverBudget)));
    assert_eq!(source.load(addresses(8)).await.fault, Some(Fault::OverBudget));
    assert_eq!(calls.load(Ordering::Relaxed), 5);
}

/// Real time: half a second of patience, with a server that never answers.
#[tokio::test]
async fn a_server_that_hangs_keeps_nobody() {
    let (url, calls) = server("hangs").await;
    let policy = Policy { patience: Duration::from_millis(50), ..Policy::default() };
    let cached = Cached::new(source(url, 60), policy);
    for _ in 0..20 {
        let answers = cached.get(addresses(3)).await;
        assert_eq!(answers.get(&addresses(1)[0]), Err(Fault::Slow));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3, "each address once");
}

#[test]
fn a_key_that_no_header_holds_is_refused_without_being_told() {
    let error = Key::new("hush\nX-Evil: 1").unwrap_err();
    assert!(!error.contains("hush"), "{error}");
    assert_eq!(format!("{:?}", Key::new("hush").unwrap()), "Key(…)");
}
