//! `dial.toml`: read once, checked, and handed out in typed parts. Every key can be overridden by an environment
//! variable: `stream.name` by `DIAL_STREAM__NAME`.

mod log_filter;
mod metrics;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use dial_ingest::{PrefetchBudget, Read};
use dial_rules::tables::Tables as FactTables;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub(crate) use metrics::{Listen, Metrics};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "dial.toml";

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) stream: Stream,
    pub(crate) worker: Worker,
    pub(crate) tables: Tables,
    pub(crate) archive: Archive,
    pub(crate) data: Data,
    pub(crate) rules: Rules,
    /// `[facts]`: what the organisation knows about itself and no event says.
    pub(crate) facts: FactTables,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
}

/// `[stream]`: the Kinesis stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stream {
    /// Its name; without one `run` works locally.
    pub(crate) name: Option<String>,
    /// Where an application that has no checkpoints yet begins.
    pub(crate) initial_position: Initial,
    /// How the detect role reads it. The archive role polls: it can wait.
    pub(crate) read: ReadBy,
    /// With fan-out, the consumer's name, the same for all workers of one application.
    pub(crate) consumer: String,
}

/// `stream.read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReadBy {
    /// By asking, several times a second.
    #[default]
    Polling,
    /// By enhanced fan-out: the stream pushes, at a price.
    FanOut,
}

/// `stream.initial_position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Initial {
    /// At the oldest record that the stream still has.
    #[default]
    TrimHorizon,
    /// At what arrives from now on.
    Latest,
}

/// `[worker]`: this worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Worker {
    /// Its name in the lease table, unique among those that run; the host's name and the process id unless set.
    pub(crate) id: Option<String>,
    /// After so many seconds without a sign of life a worker's shards are taken over.
    pub(crate) failover_seconds: u64,
    /// The most that a role may have read of all its shards and not yet processed, in MiB.
    pub(crate) prefetch_mib: u64,
    /// The same of one shard.
    pub(crate) shard_prefetch_mib: u64,
}

/// `[tables]`: DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tables {
    /// What the tables' names begin with.
    pub(crate) prefix: String,
}

/// `[archive]`: the Parquet files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Archive {
    /// `s3://BUCKET/PREFIX` or a folder; without one the data folder.
    pub(crate) location: Option<String>,
    /// Keep each event's JSON in the column `raw`.
    pub(crate) raw: bool,
    /// A file is written once its rows take so many MiB of memory.
    pub(crate) flush_mib: u64,
    /// A file is written once its oldest row has waited so many seconds.
    pub(crate) flush_seconds: u64,
}

/// `[data]`: what is kept on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Data {
    /// The folder.
    pub(crate) folder: PathBuf,
}

/// `[rules]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// Files and folders of Sigma rules instead of the built-in packs.
    pub(crate) paths: Vec<PathBuf>,
}

/// `[log]`: what the program says of itself, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// A filter as of `tracing`: `info`, `warn,dial_ingest=debug`.
    pub(crate) filter: String,
    /// One JSON object a line.
    pub(crate) json: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            name: None,
            initial_position: Initial::default(),
            read: ReadBy::default(),
            consumer: "dial-detect".to_owned(),
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        let mib = |bytes: usize| bytes as u64 >> 20;
        let PrefetchBudget { worker_bytes, shard_bytes, .. } = PrefetchBudget::default();
        Worker { id: None, failover_seconds: 10, prefetch_mib: mib(worker_bytes), shard_prefetch_mib: mib(shard_bytes) }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables { prefix: "dial-".to_owned() }
    }
}

impl Default for Archive {
    fn default() -> Self {
        Archive { location: None, raw: true, flush_mib: 128, flush_seconds: 300 }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data { folder: PathBuf::from("./dial-data") }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".to_owned(), json: false }
    }
}

impl Settings {
    /// Reads the file and the environment. Without `file`, `dial.toml` of the working directory is read if it exists.
    ///
    /// # Errors
    /// Names the file and line, or the variable, and what to write instead.
    pub(crate) fn read(file: Option<&Path>) -> Result<Settings, String> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("the settings file {} cannot be read: {error}", path.display())),
        };
        // Read by itself first, because only then the parser can say on which line a mistake is.
        let written = toml::from_str::<Settings>(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        written
            .check()
            .map_err(|(key, wrong)| format!("{}: line {}: `{key}` {wrong}", path.display(), line_of(&text, key)))?;
        let settings: Settings = Figment::from(Serialized::defaults(Settings::default()))
            .merge(Toml::string(&text))
            .merge(Env::prefixed("DIAL_").ignore(&["CONFIG"]).split("__"))
            .extract()
            .map_err(|error| format!("an environment variable DIAL_… does not fit: {error}"))?;
        settings
            .check()
            .map_err(|(key, wrong)| format!("the environment variable {}: `{key}` {wrong}", variable(key)))?;
        settings.check_together().map_err(|(key, wrong)| match std::env::var_os(variable(key)) {
            Some(_) => format!("the environment variable {}: `{key}` {wrong}", variable(key)),
            None => format!("{}: line {}: `{key}` {wrong}", path.display(), line_of(&text, key)),
        })?;
        Ok(settings)
    }

    /// The same of keys that must fit each other; one may be set by the file and one by the environment.
    fn check_together(&self) -> Result<(), (&'static str, String)> {
        let Worker { prefetch_mib: all, shard_prefetch_mib: one, .. } = self.worker;
        if one <= all {
            return Ok(());
        }
        // The one that was set is the one to name.
        if one == Worker::default().shard_prefetch_mib {
            let wrong = format!("is {all}, less than `worker.shard_prefetch_mib`, {one}: write at most {all} there");
            return Err(("worker.prefetch_mib", wrong));
        }
        let wrong = format!("is {one}, more than `worker.prefetch_mib` of all shards: write at most {all}");
        Err(("worker.shard_prefetch_mib", wrong))
    }

    /// What is no mistake but hardly meant: a worker's archive of a stream on its own disk.
    pub(crate) fn archive_remark(&self) -> Option<String> {
        self.stream.name.as_ref()?;
        let folder = match self.archive.location.as_deref() {
            Some(location) if location.starts_with("s3://") => return None,
            Some(location) => Path::new(location),
            None => &self.data.folder,
        };
        Some(format!(
            "the archive goes to the folder {} of each worker's own disk, where other workers and a machine that follows \
             do not find it: set `archive.location` to s3://BUCKET/PREFIX",
            folder.display()
        ))
    }

    /// The first key whose value cannot be used, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let name = "is no name that AWS takes: letters, digits, `_`, `.` and `-`, at most 128";
        let wrong = |key, why: &str| Err((key, why.to_owned()));
        for (key, value) in [
            ("worker.failover_seconds", self.worker.failover_seconds),
            ("worker.prefetch_mib", self.worker.prefetch_mib),
            ("worker.shard_prefetch_mib", self.worker.shard_prefetch_mib),
            ("archive.flush_mib", self.archive.flush_mib),
            ("archive.flush_seconds", self.archive.flush_seconds),
        ] {
            if value == 0 {
                return wrong(key, "is 0: write at least 1");
            }
        }
        if self.stream.name.as_deref().is_some_and(|text| !is_aws_name(text)) {
            return wrong("stream.name", name);
        }
        if !is_aws_name(&self.stream.consumer) {
            return wrong("stream.consumer", name);
        }
        let address = self.archive.location.as_deref().and_then(|location| location.strip_prefix("s3://"));
        if let Some(bucket) = address.map(|address| address.split('/').next().unwrap_or_default())
            && !is_bucket_name(bucket)
        {
            let why = "names no bucket that S3 takes: write s3://BUCKET/PREFIX; a bucket's name is 3 to 63 of a-z, 0-9, \
                       `.` and `-`";
            return wrong("archive.location", why);
        }
        self.metrics.check()?;
        if let Some((table, fault)) = self.facts.faults().into_iter().next() {
            return Err((table, fault));
        }
        if !self.tables.prefix.is_empty() && !is_aws_name(&self.tables.prefix) {
            return wrong("tables.prefix", name);
        }
        log_filter::check(&self.log.filter).map_err(|wrong| ("log.filter", wrong))
    }

    /// The local store of findings.
    pub(crate) fn findings_file(&self) -> PathBuf {
        self.data.folder.join("findings.db")
    }

    /// The DynamoDB table of findings.
    pub(crate) fn findings_table(&self) -> String {
        format!("{}findings", self.tables.prefix)
    }

    /// The DynamoDB table of a role's leases.
    pub(crate) fn leases_table(&self, role: &str) -> String {
        format!("{}leases-{role}", self.tables.prefix)
    }

    /// How the detect role reads the stream.
    pub(crate) fn detect_read(&self) -> Read {
        match self.stream.read {
            ReadBy::Polling => Read::Polling,
            ReadBy::FanOut => Read::FanOut { consumer_name: self.stream.consumer.clone() },
        }
    }

    /// How much a role may read ahead.
    pub(crate) fn prefetch(&self) -> PrefetchBudget {
        let bytes = |mib: u64| usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        PrefetchBudget {
            worker_bytes: bytes(self.worker.prefetch_mib),
            shard_bytes: bytes(self.worker.shard_prefetch_mib),
            ..PrefetchBudget::default()
        }
    }

    /// This worker's name: the one that is set, or one that no other worker has.
    pub(crate) fn worker_id(&self) -> String {
        self.worker.id.clone().unwrap_or_else(|| {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // In containers host names and process ids repeat; the time of the start does not.
            format!("{}-{}-{:x}", host.trim(), std::process::id(), started.as_millis())
        })
    }

    /// The settings in force, as TOML. They hold no secrets: those come from the environment or AWS.
    ///
    /// # Errors
    /// When they cannot be written as TOML, which none can be that was read from it.
    pub(crate) fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}

/// The line, from 1, on which the text sets a key; 1 when it does not.
fn line_of(text: &str, key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or(key);
    text.lines().position(|line| line.trim_start().starts_with(last)).map_or(1, |at| at + 1)
}

/// Names of Kinesis streams and of DynamoDB tables: `[a-zA-Z0-9_.-]{1,128}`.
fn is_aws_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Names of S3 buckets: `[a-z0-9.-]{3,63}`, with a letter or a digit at both ends.
fn is_bucket_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| inner(c) || ".-".contains(c))
        && name.starts_with(inner)
        && name.ends_with(inner)
}

/// The environment variable that sets a key.
fn variable(key: &str) -> String {
    format!("DIAL_{}", key.to_uppercase().replace('.', "__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dial.toml");
        fs::write(&path, text).unwrap();
        Settings::read(Some(&path))
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, words) in [
            ("[stream]\nnmae = 'x'", ["line 2", "nmae", "name"]),
            ("[straem]\nname = 'x'", ["line 1", "straem", "stream"]),
            ("[stream]\nname = 7", ["line 2", "string", "name"]),
            ("[stream]\nname = 'x", ["line 2", "", ""]),
            ("[stream]\ninitial_position = 'newest'", ["line 2", "newest", "latest"]),
            ("[stream]\nread = 'push'", ["line 2", "push", "fan-out"]),
            ("[stream]\nconsumer = ''", ["stream.consumer", "letters", ""]),
            ("[worker]\nprefetch_mib = 0", ["worker.prefetch_mib", "at least 1", ""]),
            ("[metrics]\nlisten = '0.0.0.0:9464'", ["line 2", "metrics.listen", "metrics.token"]),
            ("[metrics]\ntoken = 'abc'", ["line 2", "metrics.token", "env:NAME"]),
            ("[stream]\nname = 'a b'", ["stream.name", "letters", ""]),
            ("[worker]\nfailover_seconds = 0", ["worker.failover_seconds", "at least 1", ""]),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("dial.toml") && words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        let settings = read("[stream]\nname = 'trail'\n[rules]\npaths = ['a']").unwrap();
        assert_eq!(settings.stream.name.as_deref(), Some("trail"));
        assert_eq!(read(&settings.to_toml().unwrap()).unwrap(), settings);
        assert_eq!(read("").unwrap(), Settings::default());
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_it_was_named() {
        let error = Settings::read(Some(Path::new("no/such.toml"))).unwrap_err();
        assert!(error.contains("no/such.toml"), "{error}");
    }
}
