//! Sinks of all kinds over one local server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use dial_sinks::destinations::Address;
use dial_sinks::destinations::google_chat::{GoogleChat, GoogleChatOptions};
use dial_sinks::destinations::jira::{Jira, JiraOptions};
use dial_sinks::destinations::pagerduty::{PagerDuty, PagerDutyOptions};
use dial_sinks::destinations::security_hub::{SecurityHub, SecurityHubOptions};
use dial_sinks::destinations::slack::{Slack, SlackGrowth, SlackOptions, SlackWay};
use dial_sinks::destinations::teams::{Teams, TeamsOptions};
use dial_sinks::destinations::thehive::{TheHive, TheHiveLabels, TheHiveOptions, TheHiveVersion};
use dial_sinks::destinations::webhook::{Webhook, WebhookHeader, WebhookMethod, WebhookOptions};
use dial_sinks::secret::Secret;
use dial_sinks::sink::Sink;
use reqwest::Url;

/// In every secret.
pub(crate) const HUSH: &str = "hush5f0c9f9e";

/// A secret that counts how often it was refused.
#[derive(Default)]
pub(crate) struct Counted {
    value: String,
    refused: AtomicUsize,
}

impl Counted {
    pub(crate) fn new(value: impl Into<String>) -> Arc<Counted> {
        Arc::new(Counted { value: value.into(), refused: AtomicUsize::new(0) })
    }

    pub(crate) fn refusals(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("env:SECRET")
    }
}

#[async_trait]
impl Secret for Counted {
    async fn get(&self) -> Result<String, String> {
        Ok(self.value.clone())
    }

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

/// A sink, and what its destination answers when all is well.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) fine: &'static str,
    /// Whether it makes anything of an answer's body.
    pub(crate) reads: bool,
    /// `None` where what authenticates is no secret of ours.
    pub(crate) secret: Option<Arc<Counted>>,
}

impl Case {
    /// How often its secret was refused.
    pub(crate) fn refusals(&self) -> Option<usize> {
        self.secret.as_ref().map(|secret| secret.refusals())
    }
}

/// Every sink over HTTP.
pub(crate) fn cases(server: &str, patience: Duration) -> Vec<Case> {
    let case = |name, (sink, secret): (Box<dyn Sink>, Arc<Counted>), fine, reads| Case {
        name,
        sink,
        fine,
        reads,
        secret: Some(secret),
    };
    let hive = |version, as_case| thehive(server, version, as_case, patience);
    vec![
        case("slack webhook", slack_webhook(server, patience), "ok", true),
        case(
            "slack bot",
            slack_bot(server, SlackGrowth::Update, patience),
            r#"{"ok":true,"channel":"C1","ts":"1.2"}"#,
            true,
        ),
        case("webhook", webhook(server, WebhookMethod::Post, patience), "whatever", false),
        case("webhook put", webhook(server, WebhookMethod::Put, patience), "whatever", false),
        case("thehive 5", hive(TheHiveVersion::Five, false), r#"{"_id":"~1"}"#, true),
        case("thehive 5 case", hive(TheHiveVersion::Five, true), r#"{"_id":"~1"}"#, true),
        case("thehive 4", hive(TheHiveVersion::Four, false), r#"{"_id":"~1"}"#, true),
        case("pagerduty", pagerduty(server, patience), r#"{"status":"success"}"#, true),
        case("teams", teams(server, patience), "1", true),
        case("jira", jira(server, Some("soc@example.com"), patience), r#"{"issues":[{"key":"SEC-1"}]}"#, true),
        case("google chat", google_chat(server, patience), r#"{"name":"spaces/A/messages/B"}"#, true),
        Case {
            name: "security hub",
            sink: security_hub(server, patience),
            fine: r#"{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}"#,
            reads: true,
            secret: None,
        },
    ]
}

pub(crate) fn pagerduty(server: &str, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let key = Counted::new(HUSH);
    let url = Url::parse(&format!("{server}/v2/enqueue")).unwrap();
    (Box::new(PagerDuty::new(PagerDutyOptions { url, key: key.clone(), patience }).unwrap()), key)
}

pub(crate) fn teams(server: &str, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let secret = Counted::new(format!("{server}/workflows/x?sig={HUSH}"));
    (Box::new(Teams::new(TeamsOptions { url: Address::Secret(secret.clone()), patience }).unwrap()), secret)
}

pub(crate) fn google_chat(server: &str, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let secret = Counted::new(format!("{server}/v1/spaces/A/messages?key=k&token={HUSH}"));
    (Box::new(GoogleChat::new(GoogleChatOptions { url: Address::Secret(secret.clone()), patience }).unwrap()), secret)
}

pub(crate) fn slack_webhook(server: &str, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let secret = Counted::new(format!("{server}/services/{HUSH}"));
    let way = SlackWay::Webhook { url: Address::Secret(secret.clone()) };
    (Box::new(Slack::new(SlackOptions { way, patience }).unwrap()), secret)
}

pub(crate) fn slack_bot(server: &str, growth: SlackGrowth, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let token = Counted::new(format!("xoxb-{HUSH}"));
    let api = Url::parse(&format!("{server}/api/")).unwrap();
    let way = SlackWay::Bot { token: token.clone(), channel: "alerts".to_owned(), api, growth };
    (Box::new(Slack::new(SlackOptions { way, patience }).unwrap()), token)
}

pub(crate) fn webhook(server: &str, method: WebhookMethod, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let key = Counted::new(HUSH);
    let bearer =
        WebhookHeader { name: "Authorization".to_owned(), text: "Bearer ".to_owned(), secret: Some(key.clone()) };
    let plain = WebhookHeader { name: "X-Team".to_owned(), text: "cloud".to_owned(), secret: None };
    let options = WebhookOptions {
        url: Address::Secret(Counted::new(format!("{server}/hook?token={HUSH}"))),
        method,
        headers: vec![bearer, plain],
        template: None,
        signing: Some(Counted::new(HUSH)),
        patience,
    };
    (Box::new(Webhook::new(options).unwrap()), key)
}

pub(crate) fn thehive(
    server: &str,
    version: TheHiveVersion,
    as_case: bool,
    patience: Duration,
) -> (Box<dyn Sink>, Arc<Counted>) {
    let key = Counted::new(HUSH);
    let options = TheHiveOptions {
        url: Url::parse(&format!("{server}/hive")).unwrap(),
        key: key.clone(),
        organisation: Some("soc".to_owned()),
        version,
        as_case,
        labels: TheHiveLabels::default(),
        patience,
    };
    (Box::new(TheHive::new(options).unwrap()), key)
}

pub(crate) fn jira(server: &str, user: Option<&str>, patience: Duration) -> (Box<dyn Sink>, Arc<Counted>) {
    let token = Counted::new(HUSH);
    let options = JiraOptions {
        url: Url::parse(server).unwrap(),
        token: token.clone(),
        user: user.map(str::to_owned),
        project: "SEC".to_owned(),
        issue_type: "Task".to_owned(),
        patience,
    };
    (Box::new(Jira::new(options).unwrap()), token)
}

pub(crate) fn security_hub(server: &str, patience: Duration) -> Box<dyn Sink> {
    let token = Some(format!("token-{HUSH}"));
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", HUSH, token, None, "tests");
    let options = SecurityHubOptions {
        account: "999988887777".to_owned(),
        region: "eu-west-1".to_owned(),
        url: Some(Url::parse(server).unwrap()),
        credentials: SharedCredentialsProvider::new(credentials),
        patience,
    };
    Box::new(SecurityHub::new(options).unwrap())
}
