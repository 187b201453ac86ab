//! Alerts: findings that are recorded are owed to the sinks of the settings, and delivered by the outbox of `dial-sinks`.

pub(crate) mod desk;
pub(crate) mod destinations;
