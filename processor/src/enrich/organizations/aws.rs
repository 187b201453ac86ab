//! [`AwsOrganization`]: AWS Organizations itself.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};

use super::{Member, Organization, Page};
use crate::enrich::source::Fault;
use crate::roles::chain;

/// How often one call is tried: the service throttles early, and nobody waits for this.
const ATTEMPTS: u32 = 5;
/// How many units or accounts come at a time; the most that the service gives.
const PER_PAGE: i32 = 20;

/// AWS Organizations, asked with the rights of the management account or of a delegated administrator.
#[derive(Debug, Clone)]
pub(crate) struct AwsOrganization {
    client: Client,
}

impl AwsOrganization {
    pub(crate) fn new(config: &SdkConfig) -> AwsOrganization {
        let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let config = aws_sdk_organizations::config::Builder::from(config).retry_config(retry).build();
        AwsOrganization { client: Client::from_conf(config) }
    }
}

#[async_trait]
impl Organization for AwsOrganization {
    async fn roots(&self, next: Option<String>) -> Result<Page<String>, Fault> {
        let answer = self.client.list_roots().set_next_token(next).send().await.map_err(|e| fault("ListRoots", e))?;
        let items = answer.roots().iter().filter_map(|root| root.id.clone()).collect();
        Ok(Page { items, next: answer.next_token })
    }

    async fn units(&self, parent: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        let call = self.client.list_organizational_units_for_parent().parent_id(parent).max_results(PER_PAGE);
        let answer =
            call.set_next_token(next).send().await.map_err(|e| fault("ListOrganizationalUnitsForParent", e))?;
        let units = answer.organizational_units().iter();
        let items = units.filter_map(|unit| Some((unit.id.clone()?, unit.name.clone()?))).collect();
        Ok(Page { items, next: answer.next_token })
    }

    async fn accounts(&self, parent: &str, next: Option<String>) -> Result<Page<Member>, Fault> {
        let call = self.client.list_accounts_for_parent().parent_id(parent).max_results(PER_PAGE);
        let answer = call.set_next_token(next).send().await.map_err(|e| fault("ListAccountsForParent", e))?;
        let member = |account: &aws_sdk_organizations::types::Account| {
            Some(Member { id: account.id.clone()?, name: account.name.clone(), ..Member::default() })
        };
        Ok(Page { items: answer.accounts().iter().filter_map(member).collect(), next: answer.next_token })
    }

    async fn tags(&self, account: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        let call = self.client.list_tags_for_resource().resource_id(account).set_next_token(next);
        let answer = call.send().await.map_err(|e| fault("ListTagsForResource", e))?;
        let items = answer.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        Ok(Page { items, next: answer.next_token })
    }
}

/// What an error of the SDK means here.
fn fault<E, R>(call: &str, error: SdkError<E, R>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.code().unwrap_or_default().to_owned();
    match code.as_str() {
        "TooManyRequestsException" | "ThrottlingException" => Fault::Limited { retry_after: None },
        "AccessDeniedException" | "AccessDeniedForDependencyException" | "AWSOrganizationsNotInUseException" => {
            Fault::Refused(format!("{code} of organizations:{call}: see that the worker may call it (infra/README.md)"))
        }
        // In one line and without the raw answer: it is told in findings.
        _ => Fault::Unavailable(format!("organizations:{call}: {}", chain(&error))),
    }
}
