//! How a command ends when it does not end well, and the exit code of that.

use std::fmt;
use std::process::ExitCode;

use dial_sinks::actors::ActorError;
use dial_sinks::store::StoreError;
use dial_sinks::windows::store::WindowError;

use crate::correlator::CorrelateError;

/// Exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: fine, nothing to report.
    Fine,
    /// 1: there are findings, or failures that the command exists to report.
    Found,
    /// 3: something outside failed, although the command went on; it has been said.
    Outside,
    /// 130: a signal ended the work before its end, as shells number an end by Ctrl-C.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Fine => 0,
            Outcome::Found => 1,
            Outcome::Outside => 3,
            Outcome::Interrupted => 130,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 2: wrong usage, settings or rules.
    Usage(String),
    /// 3: a file, a service or the network failed.
    Outside(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => 2,
            Failure::Outside(_) => 3,
        })
    }

    /// A failure of something outside, with what was being done.
    pub(crate) fn outside(doing: impl fmt::Display, error: impl fmt::Display) -> Failure {
        Failure::Outside(format!("{doing}: {error}"))
    }
}

impl From<ActorError> for Failure {
    fn from(error: ActorError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl From<WindowError> for Failure {
    fn from(error: WindowError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl From<CorrelateError> for Failure {
    fn from(error: CorrelateError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Outside(text) => f.write_str(text),
        }
    }
}

/// What commands return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;
