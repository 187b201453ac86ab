//! `dial compact`: what may be typed.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use dial_analytics::layout::Day;
use dial_analytics::table::Table;
use dial_rules::event::Millis;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dial compact --dry-run                            what would be done, and nothing is
  dial compact                                      the archive of the settings; once a day, by cron or a scheduled task
  dial compact --location s3://my-trail-archive/dial --from 2024-05-01 --to 2024-05-31
  dial compact --table events --closed-after 6h --json

A day that is over becomes few large files instead of many small ones, sorted by time. Whoever reads the views, `dial
query` or the archive meanwhile sees each row once: the old files count until the moment of a switch, the new ones from
then on. Old files are deleted by a later run, once the grace period has passed. It may be broken off at any time, run
again, and run by several at once.")]
pub(crate) struct Compact {
    /// The archive: s3://BUCKET/PREFIX or a folder, instead of what the settings name
    #[arg(long, value_name = "PLACE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) location: Option<String>,
    /// Only this table: events or findings
    #[arg(long, value_name = "TABLE", value_parser = parse_table)]
    pub(crate) table: Option<&'static Table>,
    /// The first day
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub(crate) from: Option<Day>,
    /// The last day, included
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub(crate) to: Option<Day>,
    /// How long after its end a day is compacted; what arrives later joins it at a later run
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_span)]
    pub(crate) closed_after: Millis,
    /// How long files that no longer count are kept: longer than your longest query
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_span)]
    pub(crate) grace: Millis,
    /// How long after it is made a switch takes effect: more than clocks differ; 60s on S3, none in a folder
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub(crate) margin: Option<Millis>,
    /// Files are made of so many MiB of rows in memory at most; on disk that is about a twelfth
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) budget_mib: u64,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

fn parse_table(text: &str) -> Result<&'static Table, String> {
    Table::named(&text.to_ascii_lowercase()).ok_or_else(|| "write events or findings".to_owned())
}

fn parse_day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "write a day from 2010 on, such as 2024-05-01".to_owned())
}

/// Milliseconds of `90s`, `15m`, `24h` or `2d`.
fn parse_span(text: &str) -> Result<Millis, String> {
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let span = units.into_iter().find_map(|(unit, millis)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Millis::from(number).saturating_mul(millis))
    });
    span.ok_or_else(|| "write how long, such as 90s, 15m, 24h or 2d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_days_and_tables_are_understood() {
        assert_eq!(parse_span("90s"), Ok(90_000));
        assert_eq!(parse_span("0s"), Ok(0));
        assert_eq!(parse_span("2d"), Ok(172_800_000));
        for wrong in ["", "24", "h", "-1h", "1.5h", "1w"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
        assert!(parse_day("2024-5-1").is_err() && parse_day("2024-05-01").is_ok());
        assert!(parse_table("events").is_ok() && parse_table("Findings").is_ok() && parse_table("event").is_err());
    }
}
