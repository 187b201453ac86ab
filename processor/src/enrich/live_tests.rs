use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State as Served;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::files::LOOK;
use super::*;
use crate::failure::Failure;
use crate::settings::AddressList;

// The writer of small databases that the tests of `rules` have.
#[path = "../../../rules/src/addresses/mmdb.rs"]
mod mmdb;
mod network {
    pub(super) use dial_rules::addresses::Network;
}

const NOW: Millis = 1_767_225_600_000;

fn cities(city: &str) -> Vec<u8> {
    let record = json!({"city": {"names": {"en": city}}, "country": {"iso_code": "DE"}});
    mmdb::write(4, 24, "GeoLite2-City", &[("8.8.8.0/24", record)])
}

/// A folder with settings that name files in it.
struct Place {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.data.folder = folder.path().join("data");
        Place { folder, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        // In the place of what is there, at once, as people are told to.
        let beside = self.path("beside");
        fs::write(&beside, bytes).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
        self.path(name)
    }

    async fn open(&self) -> Result<Arc<Live>> {
        Live::open(&self.settings, None, Purpose::Evaluate).await
    }
}

fn city(live: &Live) -> Option<String> {
    live.now().addresses.look_up("8.8.8.8", NOW).city
}

fn list(name: &str, file: &Path) -> AddressList {
    let (name, reason) = (name.to_owned(), "tests".to_owned());
    AddressList { name, reason, networks: Vec::new(), file: Some(file.to_owned()), expires: None }
}

#[tokio::test]
async fn every_table_that_cannot_be_read_stops_the_start() {
    let mut place = Place::new();
    let whole = cities("Berlin");
    place.settings.addresses.city = Some(place.write("city.mmdb", &whole[..whole.len() - 40]));
    place.settings.addresses.asn = Some(place.write("asn.mmdb", "<html>"));
    place.settings.addresses.country = Some(place.path("gone.mmdb"));
    place.settings.addresses.aws_ranges = Some(place.write("ranges.json", "{").display().to_string());
    place.settings.addresses.tor_exits = Some(place.path("").display().to_string());
    let odd = place.write("offices", "198.51.100.0/24\n\noffice\n");
    place.settings.addresses.lists = vec![list("offices", &odd)];
    let failure = place.open().await.unwrap_err();
    assert!(matches!(failure, Failure::Usage(_)));
    let text = failure.to_string();
    for (key, words) in [
        ("addresses.city", "city.mmdb"),
        ("addresses.asn", "asn.mmdb"),
        ("addresses.country", "gone.mmdb"),
        ("addresses.aws_ranges", "ranges.json"),
        ("addresses.tor_exits", "no file"),
        ("addresses.lists[0].file", "line 3"),
    ] {
        let line = text.lines().find(|line| line.contains(&format!("`{key}`")));
        assert!(line.is_some_and(|line| line.contains(words)), "{key}: {text}");
    }
}

#[tokio::test]
async fn a_table_of_another_kind_stops_the_start() {
    let mut place = Place::new();
    place.settings.addresses.asn = Some(place.write("city.mmdb", cities("Berlin")));
    let text = place.open().await.unwrap_err().to_string();
    assert!(text.contains("`addresses.asn`") && text.contains("addresses.city"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_table_comes_into_force_and_a_bad_one_does_not() {
    let mut place = Place::new();
    place.settings.addresses.city = Some(place.write("city.mmdb", cities("Berlin")));
    let live = place.open().await.unwrap();
    let shutdown = CancellationToken::new();
    live.keep(&shutdown);
    assert_eq!(city(&live).as_deref(), Some("Berlin"));
    let snapshot = live.now();
    for (bytes, expected) in [
        (cities("Hamburg"), "Hamburg"),
        (cities("Bremen")[..50].to_vec(), "Hamburg"),
        (Vec::new(), "Hamburg"),
        (
            mmdb::write(4, 24, "GeoLite2-ASN", &[("8.8.8.0/24", json!({"autonomous_system_number": {"u32": 1}}))]),
            "Hamburg",
        ),
        (cities("Bremen"), "Bremen"),
    ] {
        place.write("city.mmdb", bytes);
        tokio::time::sleep(4 * LOOK).await;
        assert_eq!(city(&live).as_deref(), Some(expected));
    }
    fs::remove_file(place.path("city.mmdb")).unwrap();
    tokio::time::sleep(4 * LOOK).await;
    assert_eq!(city(&live).as_deref(), Some("Bremen"), "what was read stays in force");
    assert_eq!(snapshot.addresses.look_up("8.8.8.8", NOW).city.as_deref(), Some("Berlin"), "a snapshot stays as it is");
    shutdown.cancel();
    tokio::time::sleep(LOOK).await;
    place.write("city.mmdb", cities("Kiel"));
    tokio::time::sleep(4 * LOOK).await;
    assert_eq!(city(&live).as_deref(), Some("Bremen"), "nobody looks any more");
}

/// A database has hundreds of megabytes: once replaced, nobody holds it.
#[tokio::test]
async fn rules_keep_no_table_that_may_be_replaced() {
    let mut place = Place::new();
    place.settings.addresses.city = Some(place.write("city.mmdb", cities("Berlin")));
    place.settings.accounts = [("111122223333".to_owned(), dial_rules::accounts::Account::default())].into();
    place.settings.facts.known_countries = ["DE".to_owned()].into();
    let live = place.open().await.unwrap();
    let first = Arc::downgrade(&live.now());
    let rules = crate::rule_files::to_evaluate(&[], &place.settings, &live.now()).unwrap().rules;
    assert_eq!(rules.tables().addresses.look_up("8.8.8.8", NOW).city, None);
    assert!(rules.tables().accounts.is_empty() && rules.tables().known_countries.contains("DE"));
    live.exchange(Slot::City, "city.mmdb", cities("Hamburg")).unwrap();
    live.publish();
    assert!(first.upgrade().is_none(), "the first tables are gone");
    assert_eq!(city(&live).as_deref(), Some("Hamburg"));
}

#[tokio::test]
async fn lists_hold_until_they_expire() {
    let mut place = Place::new();
    let file = place.write("offices", "# ours\n8.8.4.0/24\n");
    let ended = AddressList {
        name: "old".to_owned(),
        reason: "tests".to_owned(),
        networks: vec!["8.8.0.0/16".to_owned()],
        file: None,
        expires: Some("2026-01-01".to_owned()),
    };
    place.settings.addresses.lists = vec![list("offices", &file), ended];
    let live = place.open().await.unwrap();
    let lists = |at: Millis| live.now().addresses.look_up("8.8.4.4", at).lists;
    assert_eq!(lists(NOW - 1), ["offices", "old"]);
    assert_eq!(lists(NOW), ["offices"], "by the event's time");
    assert!(live.ends.lock().unwrap().is_empty(), "it was warned of");
}

/// A server with a table, which says when it is still the same.
#[derive(Clone)]
struct Table {
    text: Arc<Mutex<(StatusCode, String)>>,
    whole: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

async fn serve(Served(table): Served<Table>, headers: HeaderMap) -> Response {
    table.asked.fetch_add(1, Ordering::Relaxed);
    let (status, text) = table.text.lock().unwrap().clone();
    let tag = format!("\"{}\"", text.len());
    if status == StatusCode::OK && headers.get("if-none-match").is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    table.whole.fetch_add(1, Ordering::Relaxed);
    (status, [("etag", tag)], text).into_response()
}

async fn server(text: &str) -> (Table, String) {
    let text = Arc::new(Mutex::new((StatusCode::OK, text.to_owned())));
    let table = Table { text, whole: Arc::default(), asked: Arc::default() };
    let app = Router::new().route("/exits", get(serve)).with_state(table.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/exits", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (table, url)
}

fn is_exit(live: &Live, address: &str) -> Option<bool> {
    live.now().addresses.look_up(address, NOW).tor_exit
}

#[tokio::test]
async fn a_fetched_table_is_kept_for_bad_times() {
    let (table, url) = server("8.8.8.8\n").await;
    let mut place = Place::new();
    place.settings.addresses.tor_exits = Some(url);
    let whole = |table: &Table| table.whole.load(Ordering::Relaxed);
    let asked = |table: &Table| table.asked.load(Ordering::Relaxed);
    // Without it at the very first start there is none.
    table.text.lock().unwrap().0 = StatusCode::INTERNAL_SERVER_ERROR;
    let failure = place.open().await.unwrap_err();
    assert!(matches!(&failure, Failure::Outside(text) if text.contains("`addresses.tor_exits`")), "{failure}");
    table.text.lock().unwrap().0 = StatusCode::OK;
    let live = place.open().await.unwrap();
    assert_eq!((is_exit(&live, "8.8.8.8"), is_exit(&live, "8.8.4.4")), (Some(true), Some(false)));
    // A fresh copy is not fetched again.
    let before = asked(&table);
    place.open().await.unwrap();
    assert_eq!(asked(&table), before);
    // An aged one is, and only if it has changed.
    let age = || {
        let note = place.path("data/tables/tor_exits.json");
        let mut known: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        known["fetched"] = json!("2026-01-01T00:00:00Z");
        fs::write(&note, known.to_string()).unwrap();
    };
    age();
    let before = (asked(&table), whole(&table));
    assert_eq!(is_exit(&place.open().await.unwrap(), "8.8.8.8"), Some(true));
    assert_eq!((asked(&table), whole(&table)), (before.0 + 1, before.1));
    age();
    for (status, text) in [
        (StatusCode::TOO_MANY_REQUESTS, ""),
        (StatusCode::OK, "<html>moved</html>"),
        (StatusCode::FOUND, ""),
        (StatusCode::INTERNAL_SERVER_ERROR, ""),
    ] {
        *table.text.lock().unwrap() = (status, text.to_owned());
        let live = place.open().await.unwrap();
        assert_eq!(is_exit(&live, "8.8.8.8"), Some(true), "{status} {text}: the kept one is in force");
    }
    *table.text.lock().unwrap() = (StatusCode::OK, "8.8.4.4\n8.8.4.5\n".to_owned());
    let live = place.open().await.unwrap();
    assert_eq!((is_exit(&live, "8.8.8.8"), is_exit(&live, "8.8.4.4")), (Some(false), Some(true)));
    // A damaged copy is fetched anew.
    fs::write(place.path("data/tables/tor_exits"), "9.9.9.9\n").unwrap();
    let live = place.open().await.unwrap();
    assert_eq!((is_exit(&live, "9.9.9.9"), is_exit(&live, "8.8.4.4")), (Some(false), Some(true)));
}

#[tokio::test]
async fn a_fetched_table_is_looked_after_every_day() {
    let (table, url) = server("8.8.8.8\n").await;
    let mut place = Place::new();
    place.settings.addresses.tor_exits = Some(url);
    let live = place.open().await.unwrap();
    // What is due by now is fetched; paused time cannot be used with a real server.
    let Some((slot, file)) = live.fetched.first() else { panic!("no table is fetched") };
    let note = file.kept().unwrap().unwrap().note;
    let fetched = Utc::now().timestamp_millis();
    assert!(note.due_in(fetched) > Duration::from_secs(23 * 3600));
    assert_eq!(note.due_in(fetched + 24 * 3_600_000), Duration::ZERO);
    assert!(note.due_in(fetched - 48 * 3_600_000) <= Duration::from_secs(24 * 3600));
    *table.text.lock().unwrap() = (StatusCode::OK, "8.8.4.4\n8.8.4.5\n".to_owned());
    live.fetch(*slot, file, Some(&note)).await.unwrap();
    live.publish();
    assert_eq!(is_exit(&live, "8.8.4.4"), Some(true));
}
