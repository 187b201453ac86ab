//! Databases that get an address on the internet.

use super::Facts;

/// Whether the call makes something reachable from the internet; `None` for calls that do not say.
pub(crate) fn public(facts: &Facts<'_>) -> Option<bool> {
    match facts.service().as_str() {
        "rds" | "redshift" | "redshift-serverless" | "dms" | "mq" | "lightsail" => {
            facts.request()?.flag_of("publiclyAccessible")
        }
        _ => None,
    }
}
