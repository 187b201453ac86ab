//! `dial findings tail`: what may be typed.

use clap::Args;
use dial_rules::event::Millis;
use dial_rules::severity::Severity;

use super::kind::Kind;
use super::{DataArgs, parse_time};

#[derive(Debug, Args)]
pub(crate) struct FindingsTail {
    /// Begin with those that were last seen then: 90s, 15m, 1h, 2d ago, or a date or time
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub(crate) since: Option<Since>,
    /// Of this severity and above
    #[arg(long, value_name = "LEVEL", visible_alias = "severity", default_value = "informational")]
    pub(crate) min_severity: Severity,
    /// Of rules whose id begins so, or whose id or title is so, with * and ? as wildcards
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Vec<String>,
    /// Of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// In this account, by its number or name; * and ? are wildcards
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Vec<String>,
    /// In this region; * and ? are wildcards
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Vec<String>,
    /// By whom, as findings say it, or the ARN; * and ? are wildcards
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Vec<String>,
    /// Those too that the policy hides
    #[arg(long)]
    pub(crate) suppressed: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// Where in the past to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So many milliseconds before now.
    Ago(Millis),
    /// At this time.
    At(Millis),
}

impl Since {
    pub(crate) fn time(self, now: Millis) -> Millis {
        match self {
            Since::Ago(span) => now.saturating_sub(span),
            Since::At(time) => time,
        }
    }
}

fn parse_since(text: &str) -> Result<Since, String> {
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    for (unit, millis) in units {
        let number = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
        if let Some(number) = number {
            return Ok(Since::Ago(Millis::from(number).saturating_mul(millis)));
        }
    }
    parse_time(text)
        .map(Since::At)
        .map_err(|error| format!("write how long ago, such as 90s, 15m, 1h or 2d; or {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_named_by_span_or_time() {
        assert_eq!(parse_since("90s"), Ok(Since::Ago(90_000)));
        assert_eq!(parse_since("2d"), Ok(Since::Ago(172_800_000)));
        assert_eq!(parse_since("1970-01-02"), Ok(Since::At(86_400_000)));
        assert_eq!(Since::Ago(1_000).time(5_000), 4_000);
        for wrong in ["", "h", "-1h", "1.5h", "1w", "yesterday", "5000000000s"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
