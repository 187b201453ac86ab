//! `dial archive`: what may be typed.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use dial_analytics::layout::Day;

#[derive(Debug, Subcommand)]
pub(crate) enum Archive {
    /// Print the statements that make the archive's tables and views known to Athena, or to DuckDB
    #[command(after_help = "Examples:
  dial archive ddl --location s3://trail/archive --database dial      to paste into Athena, one after the other
  dial archive ddl --json | jq -c .sql                                one statement a line, as a JSON text
  dial archive ddl --location ./dial-data > archive.sql               views over a folder, for DuckDB
  duckdb -init archive.sql                                            … and ask

Of an s3:// location the statements are Athena's unless told otherwise, of a folder DuckDB's. They may be run again, as
after an update: tables and views are replaced, files stay. docs/ARCHIVE.md says what the tables hold.")]
    Ddl(ArchiveDdl),
    /// List the archive's tables and views, and their columns with types and meanings
    #[command(after_help = "Examples:
  dial archive tables
  dial archive tables findings
  dial archive tables cloudtrail_logs                                 of a view, too
  dial archive tables --json | jq -r 'select(.type == \"time\") | .table + \".\" + .column'")]
    Tables(ArchiveTables),
}

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchiveDialect {
    /// Tables by partition projection, and views; of s3:// only
    Athena,
    /// Views over Parquet files
    Duckdb,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveDdl {
    /// Where the archive is: s3://BUCKET/PREFIX or a folder; what the settings name unless told otherwise
    #[arg(long, value_name = "PLACE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) location: Option<String>,
    /// Athena's database, made where it is missing
    #[arg(long, value_name = "NAME", default_value = "dial")]
    pub(crate) database: String,
    /// Whose SQL
    #[arg(long, value_name = "DIALECT")]
    pub(crate) dialect: Option<ArchiveDialect>,
    /// The first day that Athena looks for; rows of earlier ones are kept, and no query sees them
    #[arg(long, value_name = "DAY", value_parser = parse_day, default_value_t = Day::FIRST)]
    pub(crate) first: Day,
    /// The last day that Athena looks for, 2099-12-31 at most; tomorrow unless told otherwise. A stream's events lie on no
    /// later day; files may hold some that say so
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub(crate) last: Option<Day>,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveTables {
    /// Only this table or view
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,
}

fn parse_day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| format!("write a day such as 2024-05-01, from {} to {}", Day::FIRST, Day::LAST))
}
