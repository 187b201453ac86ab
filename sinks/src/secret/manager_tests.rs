//! Virtual time and a vault that does as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Answers what it was last told to, and counts.
#[derive(Default)]
struct Told {
    answer: Mutex<Option<Result<String, String>>>,
    calls: AtomicUsize,
    delay: Duration,
}

#[async_trait]
impl Vault for Arc<Told> {
    async fn fetch(&self, _: &str) -> Result<String, String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        self.answer.lock().unwrap().clone().unwrap_or_else(|| Err("away".to_owned()))
    }
}

impl Told {
    fn tell(&self, answer: Result<&str, &str>) {
        *self.answer.lock().unwrap() = Some(answer.map(str::to_owned).map_err(str::to_owned));
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn managed(key: Option<&str>) -> (Arc<Told>, Managed<Arc<Told>>) {
    let vault = Arc::new(Told { delay: Duration::from_millis(20), ..Told::default() });
    let name = ManagedName { id: "dial/slack".to_owned(), key: key.map(str::to_owned) };
    (Arc::clone(&vault), Managed::over(name, vault))
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_holds_for_five_minutes() {
    let (vault, secret) = managed(None);
    vault.tell(Ok("old\n"));
    assert_eq!(secret.get().await.as_deref(), Ok("old"));
    vault.tell(Ok("new"));
    pass(290).await;
    assert_eq!(secret.get().await.as_deref(), Ok("old"));
    assert_eq!(vault.calls(), 1);
    pass(11).await;
    assert_eq!(secret.get().await.as_deref(), Ok("new"));
    assert_eq!(vault.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_value_is_fetched_anew_but_not_in_a_storm() {
    let (vault, secret) = managed(None);
    vault.tell(Ok("old"));
    secret.get().await.unwrap();
    pass(60).await;
    vault.tell(Ok("new"));
    secret.refused();
    assert_eq!(secret.get().await.as_deref(), Ok("new"));
    for _ in 0..29 {
        secret.refused();
        pass(1).await;
        assert_eq!(secret.get().await.as_deref(), Ok("new"));
    }
    assert_eq!(vault.calls(), 2);
    pass(2).await;
    secret.get().await.unwrap();
    assert_eq!(vault.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_old_value_is_kept_while_aws_is_away() {
    let (vault, secret) = managed(None);
    vault.tell(Ok("s3cr3t"));
    secret.get().await.unwrap();
    vault.tell(Err("away"));
    for _ in 0..600 {
        pass(10).await;
        assert_eq!(secret.get().await.as_deref(), Ok("s3cr3t"));
    }
    // 5 minutes nothing, then about every 30 s for 95 minutes.
    assert!((150..=200).contains(&vault.calls()), "{}", vault.calls());
    vault.tell(Ok("new"));
    pass(31).await;
    assert_eq!(secret.get().await.as_deref(), Ok("new"));
}

#[tokio::test(start_paused = true)]
async fn while_there_is_none_it_is_asked_for_once_a_second() {
    let (vault, secret) = managed(None);
    let (first, second) = tokio::join!(secret.get(), secret.get());
    assert_eq!(vault.calls(), 1, "whoever waits is served by one call");
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error, "its secret secretsmanager:dial/slack is not to be had: away");
    }
    vault.tell(Ok("here"));
    assert!(secret.get().await.is_err());
    pass(1).await;
    assert_eq!(secret.get().await.as_deref(), Ok("here"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_dropped_is_made_again() {
    let (vault, secret) = managed(None);
    vault.tell(Ok("here"));
    let dropped = tokio::time::timeout(Duration::from_millis(5), secret.get()).await;
    assert!(dropped.is_err());
    assert_eq!(secret.get().await.as_deref(), Ok("here"));
    assert_eq!(vault.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_an_object_is_taken_and_nothing_else_is_told() {
    for (text, why) in [
        (r#"{"token":"s3cr3t"}"#, None),
        (r#"{"other":"s3cr3t"}"#, Some("no key \"token\"")),
        (r#"{"token":["s3cr3t"]}"#, Some("holds no text")),
        (r#"{"token":" "}"#, Some("nothing")),
        ("s3cr3t", Some("no JSON object")),
        (r#"{"token":"s3cr3t""#, Some("no JSON object")),
    ] {
        let (vault, secret) = managed(Some("token"));
        vault.tell(Ok(text));
        match (secret.get().await, why) {
            (Ok(value), None) => assert_eq!(value, "s3cr3t"),
            (Err(error), Some(why)) => assert!(error.contains(why) && !error.contains("s3cr3t"), "{error}"),
            (other, _) => panic!("{text}: {other:?}"),
        }
        assert!(!format!("{secret:?}").contains("s3cr3t"));
    }
}
