use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;

use dial_rules::accounts::Account;
use dial_rules::addresses::{Addresses, List, Network, Parts};
use dial_rules::finding::{FindingKind, Subject};
use dial_rules::severity::Severity;
use tokio::time::Instant;

use super::super::organizations::twins::{FailingOrganization, example};
use super::super::source::{Loaded, Source};
use super::super::twins::{BAD_MOODS, FailingSource, Mood, Watch};
use super::*;
use crate::enrich::live::Purpose;

const NOW: Millis = 1_767_225_600_000;

/// A service that knows every address.
#[derive(Debug)]
struct AllReported;

#[async_trait::async_trait]
impl Source for AllReported {
    type Key = IpAddr;
    type Value = Reputation;
    fn part(&self) -> &'static str {
        "reputation"
    }
    fn weight(&self, _: &IpAddr, _: Option<&Reputation>) -> usize {
        64
    }
    async fn load(&self, keys: Vec<IpAddr>) -> Loaded<IpAddr, Reputation> {
        let reputation = Reputation { abuse_confidence_score: 90, total_reports: 3, ..Reputation::default() };
        Loaded { answers: keys.into_iter().map(|key| (key, Some(reputation.clone()))).collect(), fault: None }
    }
}

/// A store in which alice is behind every credential; behind [`CUT`] there may be more.
#[derive(Debug)]
struct AllAlice;

#[async_trait::async_trait]
impl Source for AllAlice {
    type Key = Lineage;
    type Value = Resolved;
    fn part(&self) -> &'static str {
        "lineage"
    }
    fn weight(&self, _: &Lineage, _: Option<&Resolved>) -> usize {
        64
    }
    async fn load(&self, keys: Vec<Lineage>) -> Loaded<Lineage, Resolved> {
        let resolved = |key: &Lineage| {
            let mut lineage = key.clone();
            lineage.persons.insert(ALICE.to_owned());
            let cut = key.credentials.iter().any(|credential| credential == CUT);
            Resolved { lineage, chain: vec!["arn:aws:sts::000000000002:assumed-role/Admin/x".to_owned()], cut }
        };
        Loaded { answers: keys.iter().map(|key| (key.clone(), Some(resolved(key)))).collect(), fault: None }
    }
}

/// The credential of [`finding`] number 200.
const CUT: &str = "ASIAIOSFODNN7EXAMP200";
const ALICE: &str = "arn:aws:iam::000000000001:user/alice";

/// An enricher over twins, with what tests see of them.
pub(super) struct Twins {
    pub(super) enricher: Enricher,
    pub(super) reputation: Arc<Watch>,
    pub(super) lineage: Arc<Watch>,
}

pub(super) async fn twins(reputation: Mood, lineage: Mood, organization: Mood) -> Twins {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.data.folder = folder.path().to_owned();
    settings.organizations.enabled = true;
    let (watch, fails_at) = (Watch::new(organization), AtomicUsize::new(0));
    let organization = FailingOrganization { inner: example(), watch, fails_at };
    let live = Live::open(&settings, Some(Arc::new(organization)), Purpose::Show).await.unwrap();
    let (reputation, lineage) = (Watch::new(reputation), Watch::new(lineage));
    let reputations = FailingSource { inner: AllReported, watch: reputation.clone() };
    let lineages = FailingSource { inner: AllAlice, watch: lineage.clone() };
    let enricher = Enricher {
        live,
        reputations: Some(reputations_of(AnySource::new(reputations), Duration::from_secs(3600))),
        lineages: Some(lineages_of(AnySource::new(lineages))),
        unlinked: None,
    };
    Twins { enricher, reputation, lineage }
}

fn finding(n: u8, address: &str) -> Finding {
    let origin =
        Lineage { credentials: BTreeSet::from([format!("ASIAIOSFODNN7EXAMP{n:02}")]), persons: BTreeSet::new() };
    Finding {
        finding_id: format!("{n:032}"),
        kind: FindingKind::Single,
        rule_id: "r".to_owned(),
        subject: Subject {
            rule_title: "t".to_owned(),
            severity: Severity::High,
            account_id: Some("000000000002".to_owned()),
            region: None,
            actor: None,
            source_ip: Some(address.to_owned()),
            techniques: Vec::new(),
            actor_arn: None,
            origin,
        },
        first_seen: NOW,
        last_seen: NOW,
        group: BTreeMap::new(),
        event_count: 1,
        evidence: BTreeSet::new(),
        bucket: None,
        order_ambiguous: false,
        completed_by: Default::default(),
    }
}

impl Twins {
    async fn contexts(&self, findings: &[Finding]) -> Vec<Context> {
        let known = self.enricher.prefetch(findings, &self.enricher.live().now()).await;
        let tables = self.enricher.live().now();
        findings.iter().map(|finding| known.context(finding, &tables)).collect()
    }
}

fn missing(context: &Context) -> Vec<&str> {
    context.missing.iter().map(|missing| missing.part).collect()
}

#[tokio::test(start_paused = true)]
async fn a_finding_shows_who_where_and_from_where() {
    let twins = twins(Mood::Well, Mood::Well, Mood::Well).await;
    let contexts = twins.contexts(&[finding(1, "8.8.8.8"), finding(2, "8.8.8.8"), finding(1, "10.0.0.1")]).await;
    let context = &contexts[0];
    assert_eq!(context.account.as_ref().unwrap().ou.as_deref(), Some("/Workloads/Production"));
    assert_eq!(context.address.as_ref().unwrap().kind, AddressKind::Public);
    assert_eq!(context.reputation.as_ref().unwrap().abuse_confidence_score, 90);
    assert!(context.lineage.persons.contains(ALICE) && context.chain.len() == 1);
    assert_eq!(missing(context), [""; 0]);
    assert_eq!(contexts[2].reputation, None, "nobody is asked about a private address");
    assert_eq!(missing(&contexts[2]), [""; 0], "and nothing is missing of it");
    assert_eq!((twins.reputation.keys(), twins.lineage.keys()), (1, 2), "each thing once");
}

#[tokio::test(start_paused = true)]
async fn a_lineage_that_was_cut_says_so() {
    let twins = twins(Mood::Well, Mood::Well, Mood::Well).await;
    let contexts = twins.contexts(&[finding(200, "10.0.0.1"), finding(100, "10.0.0.1")]).await;
    assert!(contexts.iter().all(|context| context.lineage.persons.contains(ALICE)), "what is known is shown");
    assert_eq!((missing(&contexts[0]), missing(&contexts[1])), (vec!["lineage"], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_is_dead_costs_its_own_part_and_half_a_second_once() {
    let mut moods = vec![Mood::Well];
    moods.extend(BAD_MOODS);
    for &reputation in &moods {
        for &lineage in &moods {
            let twins = twins(reputation, lineage, if reputation == lineage { reputation } else { Mood::Well }).await;
            let what = format!("{reputation:?}, {lineage:?}");
            let begun = Instant::now();
            for batch in 0..200_u8 {
                let findings: Vec<Finding> =
                    (0..5).map(|n| finding(batch % 100, &format!("8.8.{batch}.{n}"))).collect();
                let contexts = twins.contexts(&findings).await;
                assert_eq!(contexts.len(), findings.len());
                for (context, finding) in contexts.iter().zip(&findings) {
                    assert_eq!(context.reputation.is_some(), reputation == Mood::Well, "{what}");
                    assert_eq!(context.lineage.persons.is_empty(), lineage != Mood::Well, "{what}");
                    assert!(context.lineage.contains(&finding.subject.origin), "the event's own words stay");
                    let named = missing(context);
                    assert_eq!(named.contains(&"reputation"), reputation != Mood::Well, "{what}");
                    assert_eq!(named.contains(&"lineage"), lineage != Mood::Well, "{what}");
                    assert_eq!(named.contains(&"accounts"), context.account.is_none(), "{what}");
                }
            }
            let patience = Policy::default().patience;
            assert!(begun.elapsed() <= patience, "{what}: {:?}", begun.elapsed());
            // And once they are back, the same findings are complete.
            twins.reputation.set(Mood::Well);
            twins.lineage.set(Mood::Well);
            tokio::time::sleep(Duration::from_secs(100)).await;
            twins.contexts(&[finding(1, "8.8.1.1")]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let context = twins.contexts(&[finding(1, "8.8.1.1")]).await.remove(0);
            assert!(context.reputation.is_some() && context.lineage.persons.contains(ALICE), "{what}: {context:?}");
            assert!(!missing(&context).contains(&"reputation") && !missing(&context).contains(&"lineage"), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_come_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.data.folder = folder.path().to_owned();
    settings.organizations.enabled = true;
    for mood in BAD_MOODS.into_iter().filter(|mood| *mood != Mood::Panics) {
        std::fs::remove_file(folder.path().join("organization.json")).ok();
        let watch = Watch::new(mood);
        let failing = FailingOrganization { inner: example(), watch: watch.clone(), fails_at: AtomicUsize::new(0) };
        let live = Live::open(&settings, Some(Arc::new(failing)), Purpose::Show).await.unwrap();
        let enricher = Enricher::without_services(live.clone(), None);
        let shutdown = tokio_util::sync::CancellationToken::new();
        live.keep(&shutdown);
        let context = |known: Known| known.context(&finding(1, "8.8.8.8"), &live.now());
        assert_eq!(missing(&context(enricher.prefetch(&[], &live.now()).await)), ["accounts"], "{mood:?}");
        watch.set(Mood::Well);
        // What was never answered is asked for again at once, and not when its hour is over.
        tokio::time::sleep(Duration::from_secs(180)).await;
        let back = context(enricher.prefetch(&[], &live.now()).await);
        assert!(back.missing.is_empty() && back.account.is_some(), "{mood:?}: {back:?}");
        shutdown.cancel();
        // Away again at the next start: what it said last is in force.
        let gone = FailingOrganization { inner: example(), watch: Watch::new(mood), fails_at: AtomicUsize::new(0) };
        let live = Live::open(&settings, Some(Arc::new(gone)), Purpose::Evaluate).await.unwrap();
        assert_eq!(live.accounts_missing(), None);
        assert_eq!(live.now().accounts.len(), 5);
    }
}

/// Rules that ask for accounts find other things without them.
#[tokio::test(start_paused = true)]
async fn detection_does_not_start_without_the_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.data.folder = folder.path().to_owned();
    settings.organizations.enabled = true;
    let open = async |watch: &Arc<Watch>, fails_at| {
        let failing = FailingOrganization::new(watch.clone(), fails_at);
        Live::open(&settings, Some(Arc::new(failing)), Purpose::Evaluate).await
    };
    let kept = folder.path().join("organization.json");
    let minute = Duration::from_secs(60);
    for mood in BAD_MOODS.into_iter().filter(|mood| *mood != Mood::Panics) {
        for fails_at in [0, 10] {
            let begun = Instant::now();
            let failure = open(&Watch::new(mood), fails_at).await.unwrap_err();
            let text = failure.to_string();
            assert!(matches!(failure, crate::failure::Failure::Outside(_)), "{mood:?}: {text}");
            assert!(text.contains("`organizations.enabled`") && text.contains("infra/README.md"), "{text}");
            assert!((3 * minute..=10 * minute).contains(&begun.elapsed()), "{mood:?}: {:?}", begun.elapsed());
            // One that comes back while it is waited for.
            let watch = Watch::new(mood);
            let (live, ()) = tokio::join!(open(&watch, fails_at), async {
                tokio::time::sleep(minute).await;
                watch.set(Mood::Well);
            });
            let live = live.unwrap();
            assert_eq!((live.accounts_missing(), live.now().accounts.len()), (None, 5), "{mood:?}");
            std::fs::remove_file(&kept).unwrap();
        }
    }
    let begun = Instant::now();
    let text = open(&Watch::new(Mood::Refuses), 3).await.unwrap_err().to_string();
    assert!(text.contains("AccessDeniedException") && begun.elapsed() < minute, "{text}");
}

#[test]
fn nobody_is_asked_about_what_is_not_theirs_to_know() {
    let network = Network::parse("8.8.4.0/24").unwrap();
    let ended = List::new("offices", "where we sat", Some(NOW - 1), [network]);
    let addresses = Addresses::new(Parts { lists: vec![ended], ..Parts::default() }).unwrap();
    let tables = Tables { addresses, ..Tables::default() };
    for (field, asked) in [
        ("8.8.8.8", true),
        ("::ffff:8.8.8.8", true),
        ("8.8.8.8:443", true),
        ("8.8.4.4", false),
        ("::ffff:8.8.4.4", false),
        ("10.0.0.1", false),
        ("127.0.0.1", false),
        ("169.254.169.254", false),
        ("192.0.2.1", false),
        ("2001:db8::1", false),
        ("fd00::1", false),
        ("cloudformation.amazonaws.com", false),
        ("AWS Internal", false),
        ("8.8.8.8 OR 1=1", false),
        ("8.8.8.8/../../admin", false),
        ("", false),
    ] {
        assert_eq!(asked_about(&finding(1, field), &tables).is_some(), asked, "{field}");
    }
}

/// Whoever alerts will do so in a task.
#[tokio::test(start_paused = true)]
async fn a_task_may_assess() {
    let Twins { enricher, .. } = twins(Mood::Well, Mood::Well, Mood::Well).await;
    let assessor = crate::assess::Assessor::new(dial_rules::policy::Policy::default(), enricher);
    let assessed = tokio::spawn(async move { assessor.assess(vec![finding(1, "8.8.8.8")]).await }).await.unwrap();
    assert!(assessed[0].context.reputation.is_some());
}

/// Applying depends on nothing but what was fetched and the tables.
#[tokio::test(start_paused = true)]
async fn applying_is_pure() {
    let twins = twins(Mood::Well, Mood::Down, Mood::Well).await;
    let finding = finding(1, "8.8.8.8");
    let known = twins.enricher.prefetch(std::slice::from_ref(&finding), &twins.enricher.live().now()).await;
    let tables = twins.enricher.live().now();
    let first = known.context(&finding, &tables);
    twins.lineage.set(Mood::Well);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(known.context(&finding, &tables), first);
    let named = Account { name: Some("other".to_owned()), ..Account::default() };
    let other = Tables { accounts: [("000000000002".to_owned(), named.clone())].into(), ..Tables::default() };
    assert_eq!(known.context(&finding, &other).account, Some(named), "by the tables that are given");
}
