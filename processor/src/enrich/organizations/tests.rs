use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_organizations::types::Tag;
use dial_emulators::{Ministack, sdk_config};
use dial_rules::event::Millis;

use super::super::twins::{BAD_MOODS, Mood, Watch};
use super::twins::{FailingOrganization, MemoryOrganization, example};
use super::*;

async fn walk(organization: &dyn Organization) -> Result<Chart, Fault> {
    Walk::default().go(organization).await
}

#[tokio::test]
async fn the_whole_organisation_is_walked_over_small_pages() {
    let accounts = walk(&example()).await.unwrap().accounts("environment");
    let ous: Vec<_> = accounts.values().map(|account| account.ou.as_deref().unwrap()).collect();
    let production = "/Workloads/Production";
    assert_eq!(ous, ["/", production, production, production, "/Security"]);
    let payments = &accounts["000000000002"];
    assert_eq!(payments.environment.as_deref(), Some("production"));
    assert_eq!(payments.tags.len(), 3, "over two pages");
}

#[tokio::test]
async fn units_in_a_circle_end() {
    let mut odd = example();
    odd.units.insert("ou-p".to_owned(), vec![("ou-w".to_owned(), "Workloads".to_owned())]);
    assert_eq!(walk(&odd).await.unwrap(), walk(&example()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn whichever_call_fails_half_an_organisation_is_none() {
    let whole = FailingOrganization { inner: example(), watch: Watch::new(Mood::Well), fails_at: AtomicUsize::new(0) };
    walk(&whole).await.unwrap();
    for mood in BAD_MOODS {
        for fails_at in 0..whole.watch.calls() {
            let failing =
                FailingOrganization { inner: example(), watch: Watch::new(mood), fails_at: AtomicUsize::new(fails_at) };
            assert!(walk(&failing).await.is_err(), "{mood:?} at call {fails_at}");
        }
    }
}

/// What was answered is not asked for again, whichever call failed, nor what a give-up cut off.
#[tokio::test(start_paused = true)]
async fn a_walk_goes_on_where_it_failed() {
    let calls = {
        let whole = FailingOrganization::new(Watch::new(Mood::Well), 0);
        walk(&whole).await.unwrap();
        whole.watch.calls()
    };
    for mood in BAD_MOODS.into_iter().filter(|mood| *mood != Mood::Panics) {
        for fails_at in 0..calls {
            let failing = FailingOrganization::new(Watch::new(mood), fails_at);
            let mut walk = Walk::default();
            let given_up = tokio::time::timeout(Duration::from_secs(1), walk.go(&failing)).await;
            assert!(!matches!(given_up, Ok(Ok(_))), "{mood:?} at call {fails_at}");
            failing.watch.set(Mood::Well);
            assert_eq!(walk.go(&failing).await, Walk::default().go(&example()).await, "{mood:?} at call {fails_at}");
            if mood == Mood::Garbage {
                continue; // after that nothing is trusted
            }
            // Again: the pages of one answer and of the units beside it, or as many tags as are asked for at once.
            let again = failing.watch.calls() - calls;
            assert!(again <= 16, "{mood:?} at call {fails_at}: {again} calls again");
            if fails_at > calls / 2 {
                assert!(again < fails_at, "{mood:?} at call {fails_at}: it began anew");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_long_ago_is_asked_for_again() {
    let failing = FailingOrganization::new(Watch::new(Mood::Down), 6);
    let mut walk = Walk::default();
    walk.go(&failing).await.unwrap_err();
    failing.watch.set(Mood::Well);
    let before = (failing.watch.calls(), walk.answered());
    assert!(before.1 > 0);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    walk.go(&failing).await.unwrap();
    let whole = FailingOrganization::new(Watch::new(Mood::Well), 0);
    Walk::default().go(&whole).await.unwrap();
    assert_eq!(failing.watch.calls() - before.0, whole.watch.calls());
}

/// Answers after a while, and knows how many wait for it.
#[derive(Debug, Default)]
struct Busy {
    accounts: usize,
    waiting: AtomicUsize,
    most: AtomicUsize,
    /// More at once than this are turned away.
    limit: usize,
}

#[async_trait]
impl Organization for Busy {
    async fn roots(&self, _: Option<String>) -> Result<Page<String>, Fault> {
        Ok(Page { items: vec!["r".to_owned()], next: None })
    }
    async fn units(&self, _: &str, _: Option<String>) -> Result<Page<(String, String)>, Fault> {
        Ok(Page { items: Vec::new(), next: None })
    }
    async fn accounts(&self, _: &str, _: Option<String>) -> Result<Page<Member>, Fault> {
        let member = |n| Member { id: format!("{n:012}"), ..Member::default() };
        Ok(Page { items: (0..self.accounts).map(member).collect(), next: None })
    }
    async fn tags(&self, account: &str, _: Option<String>) -> Result<Page<(String, String)>, Fault> {
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(waiting, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if waiting > self.limit {
            return Err(Fault::Limited { retry_after: None });
        }
        Ok(Page { items: vec![("of".to_owned(), account.to_owned())], next: None })
    }
}

#[tokio::test(start_paused = true)]
async fn tags_are_asked_for_a_few_at_a_time_and_fewer_when_that_is_too_many() {
    let busy = Busy { accounts: 400, limit: 8, ..Busy::default() };
    let begun = tokio::time::Instant::now();
    let chart = walk(&busy).await.unwrap();
    assert_eq!(busy.most.load(Ordering::SeqCst), 8);
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(chart.members.iter().all(|member| member.tags["of"] == member.id));
    let strict = Busy { accounts: 400, limit: 2, ..Busy::default() };
    let mut walk = Walk::default();
    let mut limited = 0;
    while let Err(fault) = walk.go(&strict).await {
        assert_eq!(fault, Fault::Limited { retry_after: None });
        strict.waiting.store(0, Ordering::SeqCst);
        limited += 1;
    }
    assert_eq!(limited, 2, "from eight to four, and to two");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    #[derive(Debug)]
    struct Endless(usize);
    #[async_trait]
    impl Organization for Endless {
        async fn roots(&self, _: Option<String>) -> Result<Page<String>, Fault> {
            Ok(Page { items: vec!["r".to_owned(); self.0], next: Some("more".to_owned()) })
        }
        async fn units(&self, _: &str, _: Option<String>) -> Result<Page<(String, String)>, Fault> {
            unreachable!()
        }
        async fn accounts(&self, _: &str, _: Option<String>) -> Result<Page<Member>, Fault> {
            unreachable!()
        }
        async fn tags(&self, _: &str, _: Option<String>) -> Result<Page<(String, String)>, Fault> {
            unreachable!()
        }
    }
    for each in [1_000, 0] {
        assert!(matches!(walk(&Endless(each)).await, Err(Fault::Nonsense(_))), "{each} a page");
    }
    assert!(walk(&MemoryOrganization::default()).await.unwrap().accounts("x").is_empty());
}

#[tokio::test]
async fn what_is_kept_reads_back_and_what_is_damaged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::within(&folder.path().join("data"));
    assert_eq!(kept.read(), Ok(None));
    let accounts = walk(&example()).await.unwrap().accounts("environment");
    let now: Millis = 1_767_225_600_000;
    let answer = KeptAccounts::new(accounts, now);
    kept.write(&answer).unwrap();
    assert_eq!(kept.read(), Ok(Some(answer.clone())));
    assert_eq!(answer.fetched(), now);
    let path = folder.path().join("data").join("organization.json");
    let whole = std::fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = kept.read().unwrap_err();
        assert!(error.contains("organization.json"), "{error}");
    }
    std::fs::write(&path, whole.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap();
    assert!(kept.read().is_err());
    std::fs::write(&path, String::from_utf8(whole).unwrap().replace("\"version\":1", "\"version\":2")).unwrap();
    assert!(kept.read().unwrap_err().contains("version 2"));
    kept.write(&answer).unwrap();
    assert_eq!(kept.read(), Ok(Some(answer)));
    assert_eq!(std::fs::read_dir(folder.path().join("data")).unwrap().count(), 1, "nothing is left lying about");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(kept.read().is_err());
}

/// As workers in containers are, whose process ids are the same.
#[test]
fn those_who_write_at_once_leave_one_whole_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("organization.json");
    let answer = |n: u8| vec![b'0' + n; 1 << 16];
    std::thread::scope(|scope| {
        for n in 0..4 {
            let path = &path;
            scope.spawn(move || (0..50).for_each(|_| replace(path, &answer(n)).unwrap()));
        }
        for _ in 0..200 {
            if let Ok(read) = std::fs::read(&path) {
                assert!((0..4).any(|n| read == answer(n)), "{} bytes of several", read.len());
            }
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
}

/// Ministack's organisation, with units, tags, and an account that was closed.
#[tokio::test]
async fn the_service_itself_is_walked() {
    let ministack = Ministack::start();
    let config = sdk_config(&ministack.endpoint());
    let client = aws_sdk_organizations::Client::new(&config);
    client.create_organization().send().await.ok();
    let root = client.list_roots().send().await.unwrap().roots()[0].id.clone().unwrap();
    let unit = |parent: String, name: &'static str| {
        let call = client.create_organizational_unit().parent_id(parent).name(name);
        async move { call.send().await.unwrap().organizational_unit.unwrap().id.unwrap() }
    };
    let workloads = unit(root.clone(), "Workloads").await;
    let production = unit(workloads.clone(), "Production").await;
    let mut made = Vec::new();
    for name in ["payments", "old"] {
        let call = client.create_account().account_name(name).email(format!("{name}@example.com"));
        let status = call.send().await.unwrap().create_account_status.unwrap();
        let id = status.account_id.clone().unwrap();
        let moving = client.move_account().account_id(&id).source_parent_id(&root);
        moving.destination_parent_id(&production).send().await.unwrap();
        made.push(id);
    }
    let tag = Tag::builder().key("Environment").value("production").build().unwrap();
    client.tag_resource().resource_id(&made[0]).tags(tag).send().await.unwrap();
    client.close_account().account_id(&made[1]).send().await.unwrap();

    let accounts = walk(&AwsOrganization::new(&config)).await.unwrap().accounts("environment");
    let payments = &accounts[&made[0]];
    assert_eq!(payments.name.as_deref(), Some("payments"));
    assert_eq!(payments.environment.as_deref(), Some("production"));
    assert_eq!(payments.ou.as_deref(), Some("/Workloads/Production"));
    assert_eq!(accounts[&made[1]].ou.as_deref(), Some("/Workloads/Production"), "a closed one is kept");
    assert!(accounts.values().any(|account| account.ou.as_deref() == Some("/")), "the management account");
    drop(ministack);
    let gone = tokio::time::timeout(Duration::from_secs(60), walk(&AwsOrganization::new(&config))).await;
    assert!(matches!(gone, Ok(Err(Fault::Unavailable(_)))), "{gone:?}");
}
