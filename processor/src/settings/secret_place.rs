//! Secrets that are read once, at the start: settings name their place on this machine and never the secret.

pub(crate) use dial_sinks::secret::LocalPlace as SecretPlace;

/// The value of an environment variable: what `env:NAME` names. Text that is no UTF-8 is none.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
