//! [`Kind`]: `--kind single` or `--kind correlated`.

use clap::ValueEnum;
use dial_rules::finding::FindingKind;

/// Where a finding comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One event
    Single,
    /// Several events, by a correlation rule
    Correlated,
}

impl From<Kind> for FindingKind {
    fn from(kind: Kind) -> FindingKind {
        match kind {
            Kind::Single => FindingKind::Single,
            Kind::Correlated => FindingKind::Correlated,
        }
    }
}
