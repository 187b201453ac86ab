//! `dial query`: what may be typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DataArgs;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One object a line
    Json,
    /// RFC 4180, with the columns' names first
    Csv,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dial query \"SELECT event_name, count(*) AS n FROM events WHERE dt >= '2024-05-01' GROUP BY 1 ORDER BY 2 DESC LIMIT 20\"
  dial query --file who.sql --format csv > who.csv
  dial query --data ./dial-demo 'SELECT severity, rule_title, actor FROM findings_latest'
  dial query 'DESCRIBE events'                     the columns; `dial archive tables` says what they mean
  dial query --json \"SELECT json_extract_scalar(request_parameters, '$.userName') AS made FROM events
                     WHERE event_name = 'CreateUser' AND dt = '2024-05-01'\" | jq -r .made

Asks Athena where the settings have an [athena] database, and the local data folder otherwise, or with --data; the tables
and views are the same. Only statements that read are asked. A query of Athena that does not say of which days is refused,
since Athena bills what it reads. What Athena read and what that costs is said on standard error. Ctrl-C stops the query.
docs/QUERY.md has more examples, and where the two dialects differ.")]
pub(crate) struct Query {
    /// One statement; - for standard input
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// A file with the statement; - for standard input
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How rows are printed: a table on a terminal and JSON lines when piped, unless told otherwise
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// At most so many rows. What Athena reads for them it reads all the same
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Ask Athena although nothing says of which days, or although that cannot be told
    #[arg(long)]
    pub(crate) whole_table: bool,
    /// In CSV, put an apostrophe before texts that a spreadsheet would take for formulas. Else they are printed as they are,
    /// and who caused the events wrote them
    #[arg(long)]
    pub(crate) safe_csv: bool,
    /// Memory that a query of a folder may take; sorting and grouping beyond it use temporary files
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..))]
    pub(crate) memory_mib: u32,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}
