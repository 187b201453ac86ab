//! A stream, its tables, its bucket, and the workers on it.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use dial_analytics::read;
use dial_analytics::s3::S3Store;
use dial_emulators::{Kinesis, KinesisLocal, Ministack, unique};
use dial_ingest::LeaseStore;
use dial_ingest::dynamodb::DynamoLeases;
use tokio::time::sleep;

use super::proxy::Proxy;
use super::record::{Kept, Key, Put};

/// The Kinesis emulator of a run.
pub(super) enum Emulator {
    Ferrokinesis(Kinesis),
    Local(KinesisLocal),
}

impl Emulator {
    fn client(&self) -> aws_sdk_kinesis::Client {
        match self {
            Emulator::Ferrokinesis(kinesis) => kinesis.client(),
            Emulator::Local(kinesis) => kinesis.client(),
        }
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        match self {
            Emulator::Ferrokinesis(kinesis) => kinesis.env(),
            Emulator::Local(kinesis) => kinesis.env(),
        }
    }
}

pub(super) struct Scene {
    kinesis: Emulator,
    client: aws_sdk_kinesis::Client,
    ministack: &'static Ministack,
    folder: tempfile::TempDir,
    stream: String,
    prefix: String,
    bucket: String,
    pub(super) expected: BTreeMap<Key, Kept>,
}

/// A worker's process; killed when dropped.
pub(super) struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL
        let _ = self.0.wait();
    }
}

impl Scene {
    pub(super) async fn set(kinesis: Emulator, shards: u32) -> Scene {
        let scene = Scene {
            client: kinesis.client(),
            kinesis,
            ministack: Ministack::shared(),
            folder: tempfile::tempdir().unwrap(),
            stream: unique("trail"),
            prefix: format!("{}-", unique("dial")),
            bucket: unique("archive"),
            expected: BTreeMap::new(),
        };
        match &scene.kinesis {
            Emulator::Ferrokinesis(kinesis) => kinesis.create_stream(&scene.stream, shards).await,
            Emulator::Local(kinesis) => kinesis.create_stream(&scene.stream, shards).await,
        }
        scene.ministack.s3().create_bucket().bucket(&scene.bucket).send().await.unwrap();
        let settings = format!(
            "[stream]\nname = {:?}\n[worker]\nfailover_seconds = 2\n[tables]\nprefix = {:?}\n\
             [archive]\nlocation = \"s3://{}/trail\"\nflush_seconds = 1\n[metrics]\nlisten = \"off\"\n",
            scene.stream, scene.prefix, scene.bucket
        );
        fs::write(scene.folder.path().join("dial.toml"), settings).unwrap();
        scene
    }

    fn leases(&self) -> String {
        format!("{}leases-archive", self.prefix)
    }

    pub(super) async fn proxy(&self) -> Proxy {
        Proxy::start(self.ministack.endpoint(), &self.bucket, self.leases()).await
    }

    /// An archiver, whose calls to DynamoDB and S3 pass by the proxy if there is one.
    pub(super) fn archiver(&self, id: &str, proxy: Option<&Proxy>, more: &[&str]) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
        command.args(["run", "--role", "archive"]).args(more).current_dir(self.folder.path());
        command.envs(self.kinesis.env()).envs(self.ministack.env()).env("DIAL_WORKER__ID", id);
        if let Some(proxy) = proxy {
            for service in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"] {
                command.env(service, proxy.endpoint());
            }
        }
        let log = fs::File::create(self.folder.path().join(format!("{id}.log"))).unwrap();
        Worker(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub(super) async fn put(&mut self, puts: &[Put]) {
        for chunk in puts.chunks(20) {
            let entry = |put: &Put| {
                let entry = PutRecordsRequestEntry::builder().partition_key(&put.key);
                entry.data(Blob::new(put.data().to_vec())).build().unwrap()
            };
            let call = self.client.put_records().stream_name(&self.stream);
            let answer = call.set_records(Some(chunk.iter().map(entry).collect())).send().await.unwrap();
            for (put, placed) in chunk.iter().zip(answer.records()) {
                // One that is refused is not on the stream.
                if let (Some(shard), Some(sequence)) = (placed.shard_id(), placed.sequence_number()) {
                    self.expected.extend(put.kept(shard, sequence));
                }
            }
        }
    }

    async fn open_shards(&self) -> Vec<(u128, u128, String)> {
        let answer = self.client.list_shards().stream_name(&self.stream).send().await.unwrap();
        let open = answer.shards.unwrap().into_iter().filter(|shard| {
            shard.sequence_number_range.as_ref().is_none_or(|range| range.ending_sequence_number.is_none())
        });
        let mut open: Vec<_> = open
            .map(|shard| {
                let range = shard.hash_key_range.unwrap();
                (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap(), shard.shard_id)
            })
            .collect();
        open.sort();
        open
    }

    /// Splits the first open shard, or merges the first two of at least three.
    pub(super) async fn reshard(&self, split: bool) {
        let open = self.open_shards().await;
        let (stream, (start, end, first)) = (&self.stream, &open[0]);
        if split || open.len() < 3 {
            let middle = (start + (end - start) / 2).to_string();
            let call = self.client.split_shard().stream_name(stream).shard_to_split(first);
            call.new_starting_hash_key(middle).send().await.unwrap();
        } else {
            let call = self.client.merge_shards().stream_name(stream).shard_to_merge(first);
            call.adjacent_shard_to_merge(&open[1].2).send().await.unwrap();
        }
        let begun = Instant::now();
        loop {
            let answer = self.client.describe_stream_summary().stream_name(stream).send().await.unwrap();
            if answer.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE" {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the stream does not become active");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads the stream to its end.
    pub(super) async fn drain(&self) {
        let mut worker = self.archiver("last", None, &["--until-drained"]);
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = worker.0.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not come to an end\n{}", self.logs());
            sleep(Duration::from_millis(50)).await;
        };
        assert!(status.success(), "it ended with {status}\n{}", self.logs());
        let leases = DynamoLeases::new(self.ministack.dynamodb(), self.leases()).list().await.unwrap();
        let open: Vec<_> = leases.iter().filter(|lease| lease.declaration.is_some()).collect();
        assert!(open.is_empty(), "left open: {open:?}");
    }

    /// What lies in the archive, and in how many files.
    pub(super) async fn archived(&self) -> (Vec<(Key, Kept)>, usize) {
        let store = S3Store::new(self.ministack.s3(), &self.bucket, "trail");
        let contents = read::contents(&store).await.unwrap();
        let key = |shard: String, key: &dial_analytics::position::RowKey| {
            (shard, key.position.sequence().to_owned(), key.position.sub_sequence(), key.index)
        };
        let rows = contents.rows.into_iter().map(|row| (key(row.shard_id, &row.key), Kept::Event(row.event_id)));
        let letters = contents.dead_letters.into_iter().map(|(shard, it)| (key(shard, &it.key), Kept::DeadLetter));
        (rows.chain(letters).collect(), contents.files.len())
    }

    pub(super) fn logs(&self) -> String {
        crate::logs::last_lines(self.folder.path())
    }
}
