//! Which sources of context the settings name, and what they become.

use std::path::Path;
use std::sync::Arc;

use dial_rules::policy::Policy;

use crate::assess::Assessor;
use crate::aws;
use crate::enrich::enricher::Enricher;
use crate::enrich::live::{Live, Purpose};
use crate::enrich::organizations::{AwsOrganization, Organization};
use crate::failure::{Failure, Result};
use crate::settings::Settings;
use crate::stores;

/// The tables in force, to evaluate rules with.
///
/// # Errors
/// When one of them cannot be used: what rules ask of it would go unnoticed.
pub(crate) async fn tables(settings: &Settings) -> Result<Arc<Live>> {
    Live::open(settings, organization(settings).await, Purpose::Evaluate).await
}

/// AWS Organizations, where the settings want it.
async fn organization(settings: &Settings) -> Option<Arc<dyn Organization>> {
    if !settings.organizations.enabled {
        return None;
    }
    Some(Arc::new(AwsOrganization::new(&aws::config().await)))
}

/// An assessor for findings that were recorded earlier: tables that cannot be used now are missing from what is shown, and
/// nothing more. `folder` is where findings were asked for, if one was named. With `services` those of others are asked too.
///
/// # Errors
/// When the key of a service that is to be asked is not where the settings say.
pub(crate) async fn to_show(
    policy: Policy,
    settings: &Settings,
    folder: Option<&Path>,
    services: bool,
) -> Result<Assessor> {
    let live = Live::open(settings, organization(settings).await, Purpose::Show).await?;
    let (actors, unlinked) = match stores::actors(settings, folder).await {
        Ok(actors) => (actors, None),
        Err(failure) => {
            tracing::warn!("who is behind credentials cannot be told: {failure}");
            (None, Some(failure.to_string()))
        }
    };
    let enricher = match services {
        true => Enricher::new(settings, live, actors).map_err(Failure::Usage)?,
        false => Enricher::without_services(live, actors),
    };
    let enricher = match unlinked {
        Some(reason) => enricher.without_actors(reason),
        None => enricher,
    };
    Ok(Assessor::new(policy, enricher))
}
