//! A stream, tables, topics and queues, workers, and events that lead to findings of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use dial_analytics::folder::FolderStore;
use dial_analytics::read;
use dial_analytics::store::ObjectStore;
use dial_emulators::{Kinesis, Ministack, sdk_config, unique};
use dial_ingest::LeaseStore;
use dial_ingest::dynamodb::DynamoLeases;
use dial_rules::event::{Millis, rfc3339};
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::outbox::store::{Outbox, Queue};
use dial_sinks::store::FindingStore;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::destination::{Destination, SIGNING_KEY};
use crate::server::Server;
use crate::support::logs::last_lines;
use crate::support::planted::Dice;
use crate::support::{DIAL, Folder};

pub(crate) const STREAM: &str = "trail";
const SHARDS: u32 = 2;
/// How many rules have few findings each, so that none of them is a storm.
const CALM: usize = 8;
/// After so many seconds without a sign of life a worker's shards are taken over.
pub(crate) const FAILOVER: u64 = 3;

/// The rules: some that are calm, repeats by one actor, a storm, and two steps of one person.
pub(crate) fn rules() -> String {
    let mut rules = String::new();
    let calls = (0..CALM).map(|n| format!("Calm{n}")).chain(["Again", "Storm", "First", "Second"].map(str::to_owned));
    for (n, call) in calls.enumerate() {
        let name = call.to_lowercase();
        writeln!(
            rules,
            "title: {call} was called\nid: 5b0c5a1e-6a0e-4c55-9d0b-0c6a3f1b7a{n:02}\nname: {name}\nlevel: medium\n\
             logsource: {{product: aws, service: cloudtrail}}\n\
             detection: {{call: {{eventName: {call}}}, condition: call}}\n---"
        )
        .unwrap();
    }
    rules
        + "title: First, then second\nid: 5b0c5a1e-6a0e-4c55-9d0b-0c6a3f1b7a99\nlevel: high\n\
           correlation: {type: temporal_ordered, rules: [first, second], group-by: [dial.actor], timespan: 1h}\n"
}

pub(crate) fn now() -> Millis {
    Millis::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A CloudTrail record of now, to the millisecond.
pub(crate) fn event(id: &str, call: &str, user: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": rfc3339(now()),
        "eventSource": "iam.amazonaws.com", "eventName": call, "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{user}"), "userName": user},
    })
}

/// Events to come, by the tick at which they do, and how many findings they lead to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ticks: Vec<Vec<Value>>,
    pub(crate) findings: usize,
}

impl Plan {
    /// Single findings by different actors and repeats by one all the time, three correlated pairs, and a storm. What is of one
    /// `name` has actors of its own.
    pub(crate) fn new(name: &str, dice: &mut Dice, ticks: usize, storm: usize) -> Plan {
        let mut plan = Plan { ticks: vec![Vec::new(); ticks], findings: 0 };
        for tick in (0..ticks).step_by(4) {
            let id = format!("{name}-single-{tick}");
            plan.add(tick, id.clone(), &format!("Calm{}", dice.below(CALM)), &id);
            plan.add(tick + dice.below(4), format!("{name}-again-{tick}"), "Again", name);
        }
        let begins = dice.below(ticks / 2);
        for n in 0..storm {
            let id = format!("{name}-storm-{n}");
            plan.add(begins + dice.below(8), id.clone(), "Storm", &id);
        }
        for n in 0..3 {
            let (tick, who) = (dice.below(ticks - 8), format!("{name}-pair-{n}"));
            // Steps of a correlation are no findings of their own.
            plan.add(tick, format!("{who}-first"), "First", &who);
            plan.add(tick + 6, format!("{who}-second"), "Second", &who);
            plan.findings -= 1;
        }
        plan
    }

    fn add(&mut self, tick: usize, id: String, call: &str, user: &str) {
        let last = self.ticks.len() - 1;
        // What it is, for now; when it happened is known when it comes.
        self.ticks[tick.min(last)].push(json!([id, call, user]));
        self.findings += 1;
    }
}

/// A worker's process; killed when dropped.
pub(crate) struct Worker(pub(crate) Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker {
    /// Ends it as an operator does, and checks that it ends well.
    pub(crate) fn stop(mut self, scene: &Scene) {
        let sent = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = self.0.wait().unwrap();
        assert!(status.success(), "it ended with {status}\n{}", scene.logs());
    }

    /// The most memory that it has used, in KiB.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Queues in which what AWS's sinks were given arrives.
pub(crate) struct Arrivals {
    sqs: aws_sdk_sqs::Client,
    /// By the sink's name.
    urls: BTreeMap<&'static str, String>,
}

/// What workers share.
pub(crate) struct Scene {
    pub(crate) kinesis: Kinesis,
    pub(crate) ministack: &'static Ministack,
    pub(crate) folder: Folder,
    pub(crate) prefix: String,
    /// By the sink's name.
    pub(crate) servers: BTreeMap<&'static str, Arc<Server>>,
    pub(crate) arrivals: Arrivals,
    env: Vec<(&'static str, String)>,
}

impl Scene {
    /// With all seven sinks, which are well.
    pub(crate) async fn set() -> Scene {
        let (kinesis, prefix) = (Kinesis::start(), format!("{}-", unique("alerts")));
        kinesis.create_stream(STREAM, SHARDS).await;
        let (ministack, folder) = (Ministack::shared(), Folder::new());
        let (arrivals, topic, bus) = Arrivals::open(ministack).await;
        let servers = serve(ministack).await;
        let address = |name: &str| servers[name].address();
        let (_, path) = arrivals.urls["queue"].split_once("://").unwrap().1.split_once('/').unwrap();
        let queue = format!("{}/{path}", address("queue"));
        folder.write("rules.yml", rules());
        let settings = format!(
            "[stream]\nname = {STREAM:?}\ninitial_position = \"trim-horizon\"\n[worker]\nfailover_seconds = {FAILOVER}\n\
             [tables]\nprefix = {prefix:?}\n[metrics]\nlisten = \"off\"\n\
             [archive]\nfindings_seconds = 2\n[alerts]\ndigest_seconds = 2\nupdate_seconds = 1\ndedup_seconds = 3600\n\
             [sinks.bot]\nkind = \"slack\"\ntoken = \"env:BOT_TOKEN\"\nchannel = \"C1\"\nurl = \"{}/api/\"\n\
             [sinks.hook]\nkind = \"slack\"\nwebhook = \"env:HOOK\"\n\
             [sinks.web]\nkind = \"webhook\"\nurl = \"{}/alerts\"\nsigning_key = \"env:SIGNING_KEY\"\n\
             [sinks.hive]\nkind = \"thehive\"\nurl = \"{}/hive\"\nkey = \"env:HIVE_KEY\"\n\
             [sinks.topic]\nkind = \"sns\"\ntopic = {topic:?}\n\
             [sinks.queue]\nkind = \"sqs\"\nqueue = {queue:?}\n\
             [sinks.bus]\nkind = \"eventbridge\"\nbus = {bus:?}\n",
            address("bot"),
            address("web"),
            address("hive"),
        );
        folder.write("dial.toml", settings);
        let mut env: Vec<(&'static str, String)> = kinesis.env().into_iter().chain(ministack.env()).collect();
        env.extend([
            ("AWS_ENDPOINT_URL_SNS", address("topic")),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", address("bus")),
            ("BOT_TOKEN", "xoxb-test".to_owned()),
            ("HOOK", format!("{}/services/test", address("hook"))),
            ("SIGNING_KEY", SIGNING_KEY.to_owned()),
            ("HIVE_KEY", "test".to_owned()),
        ]);
        Scene { kinesis, ministack, folder, prefix, servers, arrivals, env }
    }

    /// The program, to be run beside the settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DIAL);
        command.args(arguments).current_dir(self.folder.path("")).envs(self.env.clone()).stdin(Stdio::null());
        command
    }

    pub(crate) fn worker(&self, id: &str) -> Worker {
        let mut command = self.command(&["run", "--role", "detect", "--rules", "rules.yml"]);
        let log = fs::File::create(self.folder.path(format!("{id}.log"))).unwrap();
        command.env("DIAL_WORKER__ID", id).stdout(Stdio::null()).stderr(log);
        Worker(command.spawn().unwrap())
    }

    /// Puts the events of a tick, which happen now.
    pub(crate) async fn put(&self, tick: &[Value], dice: &mut Dice) {
        let record = |planned: &Value| {
            let [id, call, user] = [0, 1, 2].map(|at| planned[at].as_str().unwrap());
            (format!("{}", dice.below(1_000_000)), event(id, call, user).to_string().into_bytes())
        };
        if !tick.is_empty() {
            self.kinesis.put(STREAM, tick.iter().map(record).collect()).await;
        }
    }

    /// Who reads which shard, and how far.
    pub(crate) fn leases(&self) -> DynamoLeases {
        DynamoLeases::new(self.ministack.dynamodb(), format!("{}leases-detect", self.prefix))
    }

    /// Until so many workers have a shard each.
    pub(crate) async fn until_shared(&self, workers: usize) {
        let begun = Instant::now();
        loop {
            let owners =
                self.leases().list().await.unwrap_or_default().into_iter().filter_map(|lease| lease.lease_owner);
            if owners.collect::<BTreeSet<_>>().len() == workers {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the shards are not shared\n{}", self.logs());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn store(&self) -> DynamoFindingStore {
        DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix))
    }

    /// The ids of all findings.
    pub(crate) async fn findings(&self) -> Vec<String> {
        let (store, mut all) = (self.store(), Vec::new());
        let mut filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
        loop {
            let page = store.list(&filter).await.unwrap();
            all.extend(page.findings.into_iter().map(|finding| finding.finding_id));
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return all,
            }
        }
    }

    /// Each finding's id and version as it is recorded, and as it lies in the archive.
    pub(crate) async fn archived(&self) -> [BTreeSet<(String, u64)>; 2] {
        let mut recorded = BTreeSet::new();
        for owed in self.store().owed(&self.findings().await).await.unwrap() {
            recorded.insert((owed.finding.finding_id, owed.version));
        }
        let (archive, mut rows) = (FolderStore::open(&self.folder.path("dial-data")).unwrap(), BTreeSet::new());
        for listed in archive.list("findings/v1/").await.unwrap() {
            for row in read::rows(archive.get(&listed.key).await.unwrap()).unwrap() {
                rows.insert((row["finding_id"].as_str().unwrap().to_owned(), row["version"].as_u64().unwrap()));
            }
        }
        [recorded, rows]
    }

    /// How much is owed, at any time: findings to be routed, alerts to be delivered, and those that were given up.
    pub(crate) async fn owed(&self) -> [usize; 3] {
        let (store, ever) = (self.store(), i64::MAX / 4);
        let mut owed = [0; 3];
        for (count, queue) in owed.iter_mut().zip([Queue::Findings, Queue::Alerts, Queue::Dead]) {
            *count = store.due(queue, ever, 1_000).await.unwrap().len();
        }
        owed
    }

    pub(crate) fn logs(&self) -> String {
        last_lines(&self.folder.path(""))
    }
}

async fn serve(ministack: &Ministack) -> BTreeMap<&'static str, Arc<Server>> {
    let aws = || Destination::Aws { upstream: ministack.endpoint() };
    let destinations = [
        ("bot", Destination::SlackBot(Default::default())),
        ("hook", Destination::SlackHook),
        ("web", Destination::Webhook),
        ("hive", Destination::TheHive(Default::default())),
        ("topic", aws()),
        ("queue", aws()),
        ("bus", aws()),
    ];
    let mut servers = BTreeMap::new();
    for (name, destination) in destinations {
        servers.insert(name, Server::start(destination).await);
    }
    servers
}

impl Arrivals {
    /// A queue, a topic and a bus that each send on to a queue; with the topic's ARN and the bus's.
    async fn open(ministack: &Ministack) -> (Arrivals, String, String) {
        let config = sdk_config(&ministack.endpoint());
        let sqs = aws_sdk_sqs::Client::new(&config);
        let (mut urls, mut arns) = (BTreeMap::new(), BTreeMap::new());
        for name in ["queue", "topic", "bus"] {
            let url = sqs.create_queue().queue_name(unique(name)).send().await.unwrap().queue_url.unwrap();
            let call = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
            let mut attributes = call.send().await.unwrap().attributes.unwrap();
            arns.insert(name, attributes.remove(&QueueAttributeName::QueueArn).unwrap());
            urls.insert(name, url);
        }
        let sns = aws_sdk_sns::Client::new(&config);
        let topic = sns.create_topic().name(unique("topic")).send().await.unwrap().topic_arn.unwrap();
        let call = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&arns["topic"]);
        call.attributes("RawMessageDelivery", "true").send().await.unwrap();
        let (events, name) = (aws_sdk_eventbridge::Client::new(&config), unique("bus"));
        let bus = events.create_event_bus().name(&name).send().await.unwrap().event_bus_arn.unwrap();
        let rule = events.put_rule().name("all").event_bus_name(&name).event_pattern(r#"{"source": ["dial"]}"#);
        rule.send().await.unwrap();
        let target = Target::builder().id("queue").arn(&arns["bus"]).build().unwrap();
        events.put_targets().rule("all").event_bus_name(&name).targets(target).send().await.unwrap();
        (Arrivals { sqs, urls }, topic, bus)
    }

    /// The messages that have arrived by a sink, and are taken off its queue: JSON of our schema.
    pub(crate) async fn take(&self, sink: &str) -> Vec<String> {
        let (url, mut all, mut empty) = (&self.urls[sink], Vec::new(), 0);
        while empty < 3 {
            let call = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(1);
            let some = call.send().await.unwrap().messages.unwrap_or_default();
            empty = if some.is_empty() { empty + 1 } else { 0 };
            for message in some {
                let receipt = message.receipt_handle().unwrap();
                self.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
                let body = message.body.unwrap();
                let event: Value = serde_json::from_str(&body).unwrap();
                all.push(if sink == "bus" { event["detail"].to_string() } else { body });
            }
        }
        all
    }
}
