//! The door over real connections, with a keep in memory.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::keep::KeepError;
use super::keep::twins::InMemory;
use super::*;

const KEY: &str = "0123456789abcdef-key";
const EVENT: &str = r#"{"eventVersion":"1.08","eventID":"id-1","eventTime":"2026-02-01T00:00:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","userIdentity":{"type":"IAMUser"}}"#;

/// An open door.
struct Scene {
    address: SocketAddr,
    keep: Arc<InMemory>,
    watch: Watch,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set(change: impl FnOnce(&mut Door)) -> Scene {
        Scene::with(change, true, InMemory::default()).await
    }

    async fn with(change: impl FnOnce(&mut Door), keyed: bool, keep: InMemory) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, KEY).unwrap();
        let keys = if keyed { vec![format!("file:{}", path.display())] } else { Vec::new() };
        let settings =
            settings::Door { listen: "127.0.0.1:0".to_owned(), keys: Some(keys), ..settings::Door::default() };
        let mut door = Door::open(&settings).await.unwrap().unwrap();
        change(&mut door);
        let (address, keep) = (door.socket.local_addr().unwrap(), Arc::new(keep));
        let shutdown = CancellationToken::new();
        let (watch, serving) = door.serve(keep.clone(), shutdown.clone());
        Scene { address, keep, watch, shutdown, serving: tokio::spawn(serving), _folder: folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The whole answer to these bytes.
    async fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect().await;
        // It may be cut off before all is sent.
        let _ = socket.write_all(request.as_ref()).await;
        to_the_end(&mut socket).await
    }

    async fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> String {
        self.send(post(headers, body)).await
    }
}

async fn to_the_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has ended, too.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn key() -> String {
    format!("x-api-key: {KEY}\r\n")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn expect(answer: &str, status: u16, words: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer:?}");
    for word in words {
        assert!(answer.contains(word), "no {word:?} in {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_events_are_kept_and_without_one_nothing_is_told() {
    let scene = Scene::set(|_| {}).await;
    expect(&scene.post(&key(), EVENT).await, 202, &[r#""events":1"#, r#""dead_letters":0"#]);
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    expect(&scene.post(&bearer, format!("{EVENT}\nrubbish")).await, 202, &[r#""dead_letters":1"#]);
    let kept: Vec<Bytes> = scene.keep.kept().into_iter().map(|parcel| parcel.body).collect();
    assert_eq!(kept, [EVENT.to_owned(), format!("{EVENT}\nrubbish")]);

    for wrong in ["", "x-api-key: 0123456789abcdef-kez\r\n", "Authorization: Basic x\r\n", "Expect: 100-continue\r\n"] {
        let answer = scene.post(wrong, EVENT).await;
        expect(&answer, 401, &["content-length: 0"]);
        assert!(answer.ends_with("\r\n\r\n"), "nothing is told: {answer:?}");
    }
    // Nor does the connection wait for more.
    let open = String::from_utf8(post("", EVENT)).unwrap().replace("Connection: close\r\n", "");
    let answer = tokio::time::timeout(Duration::from_secs(20), scene.send(open)).await.expect("it is closed");
    expect(&answer, 401, &["connection: close"]);
    // Not even which paths there are.
    for path in ["/", "/healthz", "/v1/other"] {
        expect(&scene.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await, 401, &[]);
    }
    assert_eq!(scene.keep.kept().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_key_learns_what_is_wrong() {
    let scene = Scene::set(|_| {}).await;
    let key = key();
    expect(&scene.post(&key, "rubbish").await, 400, &["no event was found"]);
    expect(&scene.post(&key, "").await, 400, &["empty"]);
    let zipped = format!("{key}Content-Encoding: gzip\r\n");
    expect(&scene.post(&zipped, gzip(EVENT.as_bytes())).await, 202, &[]);
    expect(&scene.post(&zipped, EVENT).await, 400, &["gzip"]);
    expect(&scene.post(&format!("{key}Content-Encoding: br\r\n"), EVENT).await, 415, &["br"]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{key}\r\n");
    expect(&scene.send(get("/v1/events")).await, 405, &["allow: POST"]);
    expect(&scene.send(get("/healthz")).await, 200, &["alive"]);
    expect(&scene.send(get("/nothing")).await, 404, &["/v1/events"]);
    expect(&scene.send("rubbish\r\n\r\n").await, 400, &[]);
    // A head that is too long is refused, or cut off while it is being sent.
    let long = scene.send(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20))).await;
    assert!(long.is_empty() || long.starts_with("HTTP/1.1 4"), "{long}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read() {
    let scene = Scene::set(|door| {
        door.limits.body = 2_000;
        door.limits.expanded = 10_000;
    })
    .await;
    let long = format!("{EVENT}\n").repeat(20);
    expect(&scene.post(&key(), &long).await, 413, &["2000"]);
    // The length is not told beforehand.
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{}\r\n",
        key()
    );
    let chunks = format!("{head}{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    expect(&scene.send(chunks).await, 413, &[]);
    let zipped = format!("{}Content-Encoding: gzip\r\n", key());
    expect(&scene.post(&zipped, gzip(&vec![b' '; 1 << 20])).await, 413, &["decompresses"]);
    assert_eq!(scene.keep.kept(), []);
    expect(&scene.post(&zipped, gzip(long.as_bytes())).await, 202, &[r#""events":20"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    let short = Duration::from_millis(150);
    let scene = Scene::set(|door| {
        door.times = Times { idle: 4 * short, head: short };
        door.limits.within = short;
        door.limits.unwanted_within = short;
    })
    .await;
    // One that says nothing, and one that never ends its head.
    let mut silent = scene.connect().await;
    assert_eq!(to_the_end(&mut silent).await, "");
    let mut slow = scene.connect().await;
    let dripping = async {
        let (mut read, mut write) = slow.split();
        let drip = async {
            write.write_all(b"POST /v1/events HTTP/1.1\r\n").await.unwrap();
            while write.write_all(b"X: y\r\n").await.is_ok() {
                sleep(short / 10).await;
            }
        };
        write_head(&mut read, drip).await
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), dripping).await.expect("it is cut off"), "");
    // A body that does not come, of somebody known and of somebody unknown.
    let head = |key: &str| format!("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{key}\r\n{{");
    expect(&scene.send(head(&key())).await, 408, &[]);
    expect(&scene.send(head("")).await, 401, &[]);
    // Between requests a connection may be silent, for a while.
    let mut patient = scene.connect().await;
    let mut buffer = [0; 1024];
    let request = post(&key(), EVENT);
    let request = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
    for _ in 0..3 {
        patient.write_all(request.as_bytes()).await.unwrap();
        let n = patient.read(&mut buffer).await.unwrap();
        expect(std::str::from_utf8(&buffer[..n]).unwrap(), 202, &[]);
        sleep(short * 2).await;
    }
    assert_eq!(to_the_end(&mut patient).await, "");
    assert_eq!(scene.keep.kept().len(), 3);
}

/// Reads to the end while something else is written.
async fn write_head(read: &mut (impl AsyncReadExt + Unpin), drip: impl Future<Output = ()>) -> String {
    let mut answer = Vec::new();
    let reading = async { drop(read.read_to_end(&mut answer).await) };
    tokio::select! {
        () = reading => {}
        () = drip => {}
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_does_not_cut_a_connection_off() {
    let keep = InMemory::slow(Duration::from_millis(500));
    let short = Duration::from_millis(100);
    let scene = Scene::with(|door| door.times = Times { idle: short, head: short }, true, keep).await;
    expect(&scene.post(&key(), EVENT).await, 202, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_accepted() {
    let scene = Scene::set(|_| {}).await;
    for failure in [KeepError::Full("no room".to_owned()), KeepError::Outside("broken".to_owned())] {
        scene.keep.fail(Some(failure));
        expect(&scene.post(&key(), EVENT).await, 503, &["retry-after: 2"]);
    }
    scene.keep.fail(None);
    expect(&scene.post(&key(), EVENT).await, 202, &[]);
    assert_eq!(scene.keep.kept().len(), 1);
    let told = format!("{:?}", scene.watch.read());
    assert!(told.contains("events: 1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_an_end_is_cut_off() {
    let scene = Scene::set(|_| {}).await;
    let mut socket = scene.connect().await;
    socket.write_all(b"POST /v1/events HTTP/1.1\r\n").await.unwrap();
    let header = format!("X: {}\r\n", "y".repeat(1_000));
    let mut sent = 0;
    while socket.write_all(header.as_bytes()).await.is_ok() {
        sent += header.len();
        sleep(Duration::from_millis(1)).await;
        assert!(sent < 4 << 20, "it is read on and on");
    }
    assert_eq!(scene.keep.kept(), []);
    // A long body is none of that.
    let long = format!("{EVENT}\n").repeat(2_000);
    expect(&scene.post(&key(), long).await, 202, &[r#""events":2000"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_is_limited() {
    let scene = Scene::set(|door| door.settings.events_per_second = 2).await;
    let many = format!("{EVENT}\n").repeat(200);
    expect(&scene.post(&key(), &many).await, 202, &[r#""events":200"#]);
    let refused = scene.post(&key(), EVENT).await;
    expect(&refused, 429, &["retry-after: "]);
    let (_, seconds) = refused.split_once("retry-after: ").unwrap();
    let seconds: u64 = seconds.split("\r\n").next().unwrap().parse().unwrap();
    assert!((50..=99).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait() {
    let scene = Scene::set(|door| door.settings.max_connections = 1).await;
    let first = scene.connect().await;
    let mut second = scene.connect().await;
    second.write_all(&post(&key(), EVENT)).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(300), to_the_end(&mut second)).await;
    assert!(waiting.is_err() && scene.keep.kept().is_empty());
    drop(first);
    expect(&to_the_end(&mut second).await, 202, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_cannot_post_where_nobody_needs_a_key() {
    let scene = Scene::with(|_| {}, false, InMemory::default()).await;
    expect(&scene.post("", EVENT).await, 202, &[]);
    expect(&scene.post("Origin: http://127.0.0.1\r\n", EVENT).await, 403, &["web page"]);
    assert_eq!(scene.keep.kept().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_answers_who_is_being_answered() {
    let keep = InMemory::slow(Duration::from_millis(400));
    let scene = Scene::with(|_| {}, true, keep).await;
    let _idle = scene.connect().await;
    let mut socket = scene.connect().await;
    socket.write_all(&post(&key(), EVENT)).await.unwrap();
    sleep(Duration::from_millis(150)).await;
    scene.shutdown.cancel();
    expect(&to_the_end(&mut socket).await, 202, &[]);
    tokio::time::timeout(CLOSING * 2, scene.serving).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(scene.address).await.is_err(), "nobody is let in any more");
    assert_eq!(scene.keep.kept().len(), 1);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let settings = settings::Door { listen: listen.clone(), keys: Some(vec![]), ..settings::Door::default() };
    let told = Door::open(&settings).await.err().unwrap().to_string();
    assert!(told.contains(&listen) && told.contains("--listen"), "{told}");
    let off = Door::open(&settings::Door::default()).await.unwrap();
    assert!(off.is_none());
}
