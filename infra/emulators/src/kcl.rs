//! The Kinesis Client Library for Java, as a peer to share a lease table with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::{command, spawn};
use crate::client::{REGION, credentials_env};
use crate::folder::Folder;
use crate::install::{ensure, tail};
use crate::python::Environment;

/// What is installed: the library's Java archives come inside a Python package; of its Python nothing is used.
const ENVIRONMENT: Environment<'static> = Environment {
    name: "kcl",
    requirements: &["kclpy-ext==3.1.3.post4"],
    with_dependencies: false,
    oldest_python: (3, 9),
    python: "python3",
};

pub(crate) const JAVA: &str = "java";

/// Runs Java until its standard input ends.
const LAUNCHER: &str = include_str!("kcl.py");
/// The record processor.
const APP: &str = include_str!("kcl_app.py");
/// Starts the record processor: the daemon splits its command line at every space, so that no path may be in it.
const START_APP: &str = "exec \"$KCL_PYTHON\" app.py\n";
/// The library's own words; its default is every debug message of every part.
const LOGGING: &str = r#"<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
"#;

/// How long a daemon that was told to stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(90);

/// What a worker of the library is told.
#[derive(Debug, Clone)]
pub struct KclSettings {
    /// The application, whose name is that of the lease table.
    pub application: String,
    /// The worker, as `leaseOwner` names it.
    pub worker_id: String,
    /// The stream.
    pub stream: String,
    /// Where Kinesis is, `http://127.0.0.1:PORT`. The library speaks HTTP/2 without asking.
    pub kinesis: String,
    /// Where DynamoDB is.
    pub dynamodb: String,
    /// How long a lease lasts without being renewed.
    pub failover: Duration,
    /// The most records in one batch.
    pub max_records: u32,
    /// From one read of a shard to the next.
    pub read_interval: Duration,
    /// A checkpoint is written after so many batches, and at a stop.
    pub checkpoint_every: u32,
    /// Where the record processors write what happens, which [`read_journal`] reads. Must exist.
    pub journal: PathBuf,
}

/// Something that happened to a record processor of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KclEvent {
    /// Its shard.
    pub shard: String,
    /// What happened.
    pub step: KclStep,
}

/// What may happen to a record processor of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KclStep {
    /// It was given the shard, to go on after this checkpoint.
    Start {
        /// The checkpoint's sequence number, or a word such as `TRIM_HORIZON`.
        sequence: String,
        /// Its sub-sequence number.
        sub: u64,
    },
    /// It was given a record.
    Record {
        /// The record's sequence number.
        sequence: String,
        /// Its sub-sequence number.
        sub: u64,
        /// Its data, which has to be UTF-8 without tabs and line breaks.
        data: String,
    },
    /// Everything so far was to be checkpointed; why that failed, if it did.
    Checkpoint(Option<String>),
    /// The shard ended.
    Ended,
    /// The worker is stopping.
    Shutdown,
    /// Another worker has the shard.
    Lost,
}

/// What all record processors that wrote to `journal` saw, in order for each of them; half a line at the end of a
/// file is left out.
///
/// # Panics
///
/// When the folder cannot be read or a line is not one of theirs.
pub fn read_journal(journal: &Path) -> Vec<KclEvent> {
    let entries = std::fs::read_dir(journal).unwrap_or_else(|e| panic!("cannot read {}: {e}", journal.display()));
    let mut events = Vec::new();
    for entry in entries.flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_else(|e| panic!("a journal cannot be read: {e}"));
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        events.extend(whole.map(|line| event(line).unwrap_or_else(|| panic!("{line:?} is no line of a journal"))));
    }
    events
}

fn event(line: &str) -> Option<KclEvent> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [what, shard, rest @ ..] = fields.as_slice() else { return None };
    let step = match (*what, rest) {
        ("start", [sequence, sub]) => KclStep::Start { sequence: (*sequence).into(), sub: sub.parse().ok()? },
        ("record", [sequence, sub, data]) => {
            KclStep::Record { sequence: (*sequence).into(), sub: sub.parse().ok()?, data: (*data).into() }
        }
        ("checkpoint", [error]) => KclStep::Checkpoint(Some((*error).to_owned()).filter(|error| !error.is_empty())),
        ("ended", []) => KclStep::Ended,
        ("shutdown", []) => KclStep::Shutdown,
        ("lost", []) => KclStep::Lost,
        _ => return None,
    };
    Some(KclEvent { shard: (*shard).into(), step })
}

/// A running worker of the library (its MultiLangDaemon with record processors of ours). It is killed when this is
/// dropped and when the process ends, however it ends.
#[derive(Debug)]
pub struct Kcl {
    launcher: Child,
    log: PathBuf,
}

impl Kcl {
    /// Installs the library where that has not been done; [`Kcl::start`] does as well.
    ///
    /// # Panics
    ///
    /// Without Java or Python, or when the package cannot be installed: with the reason.
    pub fn install() {
        let installed = java_version(JAVA).and_then(|_| ensure(&ENVIRONMENT, Folder::of_workspace()?.path()));
        installed.unwrap_or_else(|reason| panic!("the Kinesis Client Library is not installed: {reason}"));
    }

    /// Installs the library where that has not been done, and starts a worker. Takes seconds until it reads.
    ///
    /// # Panics
    ///
    /// Without Java or Python, or when the package cannot be installed: with the reason.
    pub fn start(settings: &KclSettings) -> Self {
        Self::try_start(settings).unwrap_or_else(|reason| panic!("the Kinesis Client Library did not start: {reason}"))
    }

    fn try_start(settings: &KclSettings) -> Result<Self, String> {
        java_version(JAVA)?;
        let folder = Folder::of_workspace()?;
        folder.sweep();
        let python = ensure(&ENVIRONMENT, folder.path())?;
        let name = crate::unique("kcl");
        let (scratch, log) = (folder.run().join(&name), folder.logs().join(format!("{name}.log")));
        std::fs::create_dir_all(&scratch).map_err(|e| format!("cannot create {}: {e}", scratch.display()))?;
        let properties = properties(settings);
        for (name, text) in [("app.py", APP), ("app", START_APP), ("kcl.properties", &properties), ("log.xml", LOGGING)]
        {
            let path = scratch.join(name);
            std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        let mut command = command(&python, &scratch);
        command.args(["-c", LAUNCHER, JAVA, "-Xmx256m", "-Daws.cborEnabled=false", "-cp"]);
        command.arg(jars(&python)?.join("*")).arg("software.amazon.kinesis.multilang.MultiLangDaemon");
        command.args(["--properties-file", "kcl.properties", "--log-configuration", "log.xml"]);
        command.env("KCL_PYTHON", &python).env("KCL_JOURNAL", &settings.journal);
        command.env("KCL_CHECKPOINT_EVERY", settings.checkpoint_every.to_string());
        command.envs(credentials_env());
        let launcher = spawn(&mut command, &scratch, &log)?;
        Ok(Self { launcher, log })
    }

    /// The end of what it says, for an error message.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// The file that it writes what it says to; the file stays when it has ended.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Whether it runs still.
    pub fn is_running(&mut self) -> bool {
        matches!(self.launcher.try_wait(), Ok(None))
    }

    /// Stops it as SIGTERM does: its record processors are asked to checkpoint, then it ends.
    ///
    /// # Panics
    ///
    /// When it does not end within a minute and a half: with the end of its log.
    pub fn stop(mut self) {
        if let Some(stdin) = &mut self.launcher.stdin {
            // An error means that it has ended already.
            let _ = stdin.write_all(b"stop\n").and_then(|()| stdin.flush());
        }
        let deadline = Instant::now() + STOPS_WITHIN;
        while self.is_running() {
            assert!(Instant::now() < deadline, "the Kinesis Client Library does not stop; {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it with SIGKILL: its leases stay behind as they are.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Kcl {
    fn drop(&mut self) {
        // The launcher kills Java when its standard input ends; killed itself, it would leave Java behind.
        drop(self.launcher.stdin.take());
        let _ = self.launcher.wait();
    }
}

/// What `java -version` says in its first line.
pub(crate) fn java_version(java: &str) -> Result<String, String> {
    let hint = "the Kinesis Client Library needs Java 8 or newer as `java` on PATH \
                (Debian: apt-get install default-jre-headless)";
    let output = Command::new(java).arg("-version").stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("{hint}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().next().unwrap_or_default().to_owned();
    if output.status.success() { Ok(first) } else { Err(format!("{hint}: `java -version` says {first:?}")) }
}

/// The folder of the library's Java archives, which lies beside the interpreter's other packages.
fn jars(python: &Path) -> Result<PathBuf, String> {
    let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(python).args(["-c", question]).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("cannot run {}: {e}", python.display()))?;
    let jars = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("amazon_kclpy/jars");
    if jars.is_dir() { Ok(jars) } else { Err(format!("{} is missing", jars.display())) }
}

fn properties(settings: &KclSettings) -> String {
    let KclSettings { application, worker_id, stream, kinesis, dynamodb, .. } = settings;
    let failover = settings.failover.as_millis();
    [
        "executableName = sh app".to_owned(),
        format!("applicationName = {application}"),
        format!("workerId = {worker_id}"),
        format!("streamName = {stream}"),
        format!("kinesisEndpoint = {kinesis}"),
        format!("dynamoDBEndpoint = {dynamodb}"),
        format!("regionName = {REGION}"),
        "AwsCredentialsProvider = DefaultCredentialsProvider".to_owned(),
        "processingLanguage = python".to_owned(),
        "initialPositionInStream = TRIM_HORIZON".to_owned(),
        "retrievalMode = POLLING".to_owned(),
        "metricsLevel = NONE".to_owned(),
        format!("failoverTimeMillis = {failover}"),
        format!("leaseAssignmentIntervalMillis = {failover}"),
        "workerMetricsReporterFreqInMillis = 1000".to_owned(),
        // How long it sleeps each time before it lists shards; a minute unless told.
        "shardSyncIntervalMillis = 1000".to_owned(),
        format!("maxRecords = {}", settings.max_records),
        format!("idleTimeBetweenReadsInMillis = {}", settings.read_interval.as_millis()),
        "shutdownGraceMillis = 30000".to_owned(),
        String::new(),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_java_the_error_says_what_to_install() {
        let error = java_version("no-such-java").unwrap_err();
        assert!(error.contains("Java 8 or newer") && error.contains("apt-get install"), "{error}");
    }

    #[test]
    fn a_journal_is_read_line_by_line() {
        let step = |line| event(line).unwrap().step;
        assert_eq!(step("start\ts\tTRIM_HORIZON\t0"), KclStep::Start { sequence: "TRIM_HORIZON".into(), sub: 0 });
        let record = KclStep::Record { sequence: "49".into(), sub: 3, data: "a word".into() };
        assert_eq!(step("record\ts\t49\t3\ta word"), record);
        assert_eq!(step("checkpoint\ts\t"), KclStep::Checkpoint(None));
        assert_eq!(step("checkpoint\ts\tShutdownException"), KclStep::Checkpoint(Some("ShutdownException".into())));
        assert_eq!(event("lost\ts").unwrap(), KclEvent { shard: "s".into(), step: KclStep::Lost });
        for nonsense in ["", "lost", "lost\ts\tmore", "record\ts\t49\tthree\tdata"] {
            assert_eq!(event(nonsense), None, "{nonsense:?}");
        }
    }
}
