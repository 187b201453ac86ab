//! The command line: what may be typed. Parsed once; nothing looks at raw arguments later.

mod archive;
mod compact;
mod dead_letters;
mod kind;
mod query;
mod shards;
mod sinks;
mod subscribe;
mod tail;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dial_rules::severity::Severity;

pub(crate) use archive::{Archive, ArchiveDdl, ArchiveDialect, ArchiveTables};
pub(crate) use compact::Compact;
pub(crate) use dead_letters::{DeadLetters, LetterKind, LettersList, LettersRedrive, LettersShow};
pub(crate) use query::{Format, Query};
pub(crate) use shards::{Shards, ShardsList, ShardsPlan, ShardsScale};
pub(crate) use sinks::{Sinks, SinksList, SinksTest};
pub(crate) use subscribe::Subscribe;
pub(crate) use tail::FindingsTail;

/// Detections over CloudTrail: on a laptop with nothing installed, or as a fleet on a Kinesis stream.
#[derive(Debug, Parser)]
#[command(name = "dial", version, after_help = AFTER, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const AFTER: &str = "Examples:
  dial demo                           a simulated organisation under attack, in half a minute
  dial scan ~/logs s3://trail/AWSLogs your own CloudTrail files
  dial run                            the stream of dial.toml; without one, standard input

Exit codes: 0 fine; 1 findings, or failures that the command exists to report; 2 wrong usage or settings;
3 something outside failed; 130 a scan or a query was interrupted before its end.";

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// JSON, one object a line, instead of tables; so it is also when the output is piped
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The settings file; without this option ./dial.toml, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "DIAL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch a simulated organisation be attacked; needs nothing
    Demo(Demo),
    /// Evaluate rules on CloudTrail files
    Scan(Scan),
    /// Follow the Kinesis stream of the settings; without one, standard input, a folder or what is posted
    Run(Run),
    /// Check, test and list rules
    #[command(subcommand)]
    Rules(Rules),
    /// Look at what was found
    #[command(subcommand)]
    Findings(Findings),
    /// Ask the archive in SQL: in Athena, or in a folder
    Query(Query),
    /// See where alerts go, and try it
    #[command(subcommand)]
    Sinks(Sinks),
    /// See what could not be processed, and process it again
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Make few large files of the archive's many small ones, day by day
    Compact(Compact),
    /// See what the archive's tables hold, and make them known to Athena or DuckDB
    #[command(subcommand)]
    Archive(Archive),
    /// See the stream's shards, and change their number
    #[command(subcommand)]
    Shards(Shards),
    /// Have the alerts of an SNS topic, or some of them, delivered to an SQS queue
    Subscribe(Subscribe),
    /// Check the settings
    #[command(subcommand)]
    Config(Config),
}

/// Rules other than the built-in packs.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// Sigma rules, a file or a folder, instead of the built-in packs; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dial demo
  dial demo --seconds 5 --seed 7
  dial demo --print > events.jsonl         the simulated events themselves, to try other commands on
  dial demo --print --quiet --events 100000 | dial scan -    how much noise the rules make")]
pub(crate) struct Demo {
    /// How long the simulated day takes to play
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) seconds: u64,
    /// Another seed makes another day
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the demo keeps its findings and its archive; emptied at each start
    #[arg(long, value_name = "DIR", default_value = "./dial-demo")]
    pub(crate) data: PathBuf,
    /// Print the day's events, EventBridge's JSON one a line, and play nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Print traffic without the attack, in which every call that the rules watch has its harmless share
    #[arg(long, requires = "print")]
    pub(crate) quiet: bool,
    /// How many events of quiet traffic
    #[arg(long, value_name = "N", default_value_t = 20_000, requires = "quiet",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) events: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dial scan logs/                          every CloudTrail file below a folder, gzipped or not
  dial scan s3://trail/AWSLogs/111122223333/CloudTrail/us-east-1/2024/05
  zcat a.json.gz | dial scan -             standard input
  dial scan --rules my-rules/ --rules extra.yml --json logs/ | jq .rule_title
  dial scan --save logs/                   keep the findings for `dial findings list`
  dial scan --archive parquet/ logs/       events and findings as Parquet, for DuckDB, Spark or Athena

Reads CloudTrail files, arrays, JSON lines, EventBridge events, GuardDuty and Security Hub findings. Of a folder it takes
the files whose names end in .json, .jsonl, .ndjson or .log, and the same with .gz; a file that is named is always read.")]
pub(crate) struct Scan {
    /// Files, folders, s3://BUCKET/PREFIX addresses, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// Keep the findings in the local data folder, where `dial findings` shows them
    #[arg(long)]
    pub(crate) save: bool,
    /// Write events and findings as Parquet into this folder, or to s3://BUCKET/PREFIX: the tables that `dial run` writes. Doing
    /// it again adds nothing
    #[arg(long, value_name = "DIR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) archive: Option<String>,
    /// Report, and save and archive where that is asked for, findings of this severity and above
    #[arg(long, value_name = "LEVEL", default_value = "informational")]
    pub(crate) severity: Severity,
    /// Files that are read at a time; one for each core unless told otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Decode, match, record findings
    Detect,
    /// Write Parquet
    Archive,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dial run                                 both roles, on the stream that dial.toml names
  dial run --role detect                   one role, so that the other scales by itself
  dial run --watch /var/log/cloudtrail     new files in a folder, as they appear (no stream set)
  tail -F events.jsonl | dial run          standard input (no stream set)
  dial run --listen 127.0.0.1:8787         events that are posted, into the stream or the data folder

Stops cleanly on SIGTERM and Ctrl-C: it finishes what it reads, commits, and gives its leases back.")]
pub(crate) struct Run {
    /// The roles of this worker; both unless told otherwise
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Vec<Role>,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// Without a stream: follow this folder and process CloudTrail files as they appear
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Option<PathBuf>,
    /// Accept events by POST /v1/events here, instead of where the settings say; `off` for nowhere. See `door` in the
    /// settings for the keys that senders need
    #[arg(long, value_name = "ADDRESS", conflicts_with = "until_drained")]
    pub(crate) listen: Option<String>,
    /// Stop once everything that is there now has been read; no events are accepted meanwhile
    #[arg(long)]
    pub(crate) until_drained: bool,
    /// With a stream or --listen: serve /metrics, /healthz and /readyz here, instead of where the settings say; `off` for nowhere
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Load rules and report whatever keeps them from working, and what could be better
    #[command(after_help = "Examples:
  dial rules check
  dial rules check my-rules/ sigma/rules/cloud/aws
  dial rules check --strict my-rules/      remarks fail too, in CI perhaps

Errors: rules that do not load, ids used twice, conditions that can never hold, tests that cannot be run. Remarks: no id,
level or tests; tests of one kind only; fields that no event has; selections that decide nothing; tags that ATT&CK does
not have; expensive regular expressions; what `dial rules new` left to write.")]
    Check(RuleCheck),
    /// Run the tests that lie beside rules as NAME.test.yml
    #[command(after_help = "Examples:
  dial rules test
  dial rules test my-rules/ --junit rules.xml      a report that CI systems read")]
    Test(RuleTests),
    /// Begin a rule and its tests from an event that it should find
    #[command(after_help = "Examples:
  dial rules new --event event.json --out my-rules/
  dial rules new --event event.json --title 'Trail stopped' --out my-rules/
  zcat a.json.gz | dial rules new --event - --service kms      the first event of KMS

The rule asks for the call and for parameters that make it what it is: flags, chosen values, the whole internet; not for
ids, names and times. What only you can say is marked TODO. No file is overwritten.")]
    New(RuleNew),
    /// List rules with severity, service and techniques
    #[command(after_help = "Examples:
  dial rules list
  dial rules list --level high --technique T1098      and its sub-techniques
  dial rules list --tag persistence --status stable my-rules/
  dial rules list --json | jq -r 'select(.severity == \"high\") .title'")]
    List(RuleList),
    /// Show how the rules on trial have done: [[policy.staged]] of the settings
    #[command(after_help = "Examples:
  dial rules staged
  dial rules staged --json | jq 'select(.findings_per_day > 5) .title'

A rule on trial is evaluated and its findings are recorded; they are alerted from the end of the trial on.")]
    Staged(DataArgs),
    /// Show condition by condition why a rule matches events, or why not
    #[command(after_help = "Examples:
  dial rules explain 03b5938b --event event.json
  zcat a.json.gz | dial rules explain 03b5938b --event - --rules my-rules/

An id may be shortened. All conditions are evaluated, and all events of the file.")]
    Explain(RuleExplain),
    /// Show which ATT&CK tactics and techniques rules cover
    #[command(after_help = "Examples:
  dial rules coverage
  dial rules coverage my-rules/ --navigator > layer.json     a layer for ATT&CK Navigator

The pairs of tactics and techniques are those of the rules' tags; a rule of several tactics counts under each.")]
    Coverage(RuleCoverage),
    /// Derive the EventBridge event patterns that forward what rules need
    #[command(after_help = "Examples:
  dial rules patterns
  dial rules patterns --rules my-rules/ --json | jq -c '.patterns[] | .pattern'

A pattern marked read-only needs an EventBridge rule in the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS. Rules
that may match any event are named on standard error; patterns named `everything` are for them alone.")]
    Patterns(RuleArgs),
    /// The facts that rules may ask for: fields under `dial.`, with types and examples
    #[command(
        after_help = "Examples:\n  dial rules fields\n  dial rules fields policy\n  dial rules fields --json | jq -r .name"
    )]
    Fields(RuleFields),
}

#[derive(Debug, Args)]
pub(crate) struct RuleFields {
    /// Only fields with this in their names
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RulePaths {
    /// Files or folders; the built-in packs unless told otherwise
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RuleCheck {
    #[command(flatten)]
    pub(crate) paths: RulePaths,
    /// Exit with 1 for remarks too
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RuleTests {
    #[command(flatten)]
    pub(crate) paths: RulePaths,
    /// Also write the outcomes to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RuleList {
    #[command(flatten)]
    pub(crate) paths: RulePaths,
    /// Of this level and above
    #[arg(long, value_name = "LEVEL", default_value = "informational")]
    pub(crate) level: Severity,
    /// With this tag: attack.persistence, or only persistence
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// For this ATT&CK technique or a sub-technique of it
    #[arg(long, value_name = "ID")]
    pub(crate) technique: Option<String>,
    /// For events of this kind: cloudtrail, guardduty or securityhub
    #[arg(long, value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// Of this status: stable, test, experimental, deprecated or unsupported
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RuleNew {
    /// A file with the event, in any form that `dial scan` reads; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) event: PathBuf,
    /// Take the first event of this service: iam, ec2.amazonaws.com, guardduty, …
    #[arg(long, value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// The rule's title, after which its files are named
    #[arg(long, value_name = "TITLE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) title: Option<String>,
    /// The folder for both files; made if need be
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RuleExplain {
    /// The rule's id, or what it begins with
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// A file with the event, in any form that `dial scan` reads; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) event: PathBuf,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RuleCoverage {
    #[command(flatten)]
    pub(crate) paths: RulePaths,
    /// Print a layer for ATT&CK Navigator
    #[arg(long)]
    pub(crate) navigator: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Findings {
    /// The findings, the latest first
    #[command(after_help = "Examples:
  dial findings list --severity high --since 2024-05-01
  dial findings list --data ./dial-demo                    what `dial demo` left
  dial findings list --rule 6b70f895 --data ./dial-demo    of one rule
  dial findings list --suppressed                          what the policy hides, by whom and why

A rule's id may be shortened; `dial rules list` shows it.")]
    List(FindingsList),
    /// One finding with its evidence
    #[command(after_help = "Examples:
  dial findings show ID
  dial findings show ID --data ./dial-demo    what `dial demo` left

ID stands for what `dial findings list` shows in its last column; the first digits will do.")]
    Show(FindingsShow),
    /// Follow live: new findings, and those that grow, as they are recorded
    #[command(after_help = "Examples:
  dial findings tail
  dial findings tail --min-severity high --since 1h
  dial findings tail --account 'prod-*' --actor '*alice*'
  dial findings tail --kind correlated --json | jq -r .rule_title

Looks once a second until Ctrl-C. A finding is told once for each content that it comes to have; as JSON, `change` says
whether it is new or has changed. What is recorded of events from long ago may take a minute to be told.")]
    Tail(FindingsTail),
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The local data folder, instead of what the settings name
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FindingsList {
    /// Of this severity and above
    #[arg(long, alias = "min-severity", value_name = "LEVEL", default_value = "informational")]
    pub(crate) severity: Severity,
    /// Of the rule with this id, or the only one whose id begins so
    #[arg(long, value_name = "ID")]
    pub(crate) rule: Option<String>,
    /// Last seen at this time or later: a date, or a time such as 2024-05-01T12:00:00Z
    #[arg(long, visible_alias = "from", value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<i64>,
    /// Last seen before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<i64>,
    /// Those that the policy hides, with who answers for it and why
    #[arg(long, conflicts_with = "all")]
    pub(crate) suppressed: bool,
    /// Open and hidden ones, each on a line of its own; else those of one incident are one line on a terminal
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many lines
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FindingsShow {
    /// Its id, as `dial findings list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the settings, say what is wrong with them, and print what is in force
    #[command(
        after_help = "Examples:\n  dial config check\n  DIAL_STREAM__NAME=trail dial config check --config prod.toml"
    )]
    Check,
}

/// Milliseconds since 1970 of a date or an RFC 3339 time.
fn parse_time(text: &str) -> Result<i64, String> {
    let whole_day = || dial_rules::event::parse_rfc3339(&format!("{text}T00:00:00Z"));
    dial_rules::event::parse_rfc3339(text)
        .or_else(whole_day)
        .ok_or_else(|| "write a date such as 2024-05-01 or a time such as 2024-05-01T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dates_and_times_are_understood() {
        assert_eq!(parse_time("1970-01-02"), Ok(86_400_000));
        assert_eq!(parse_time("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(parse_time("yesterday").is_err());
    }
}
