//! Secrets that are read once, at the start: settings name their place on this machine and never the secret.

pub(crate) use dial_sinks::secret::LocalPlace as SecretPlace;
