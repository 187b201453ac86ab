//! The accounts of an organisation, from AWS Organizations.

mod aws;
mod chart;
mod kept;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod twins;
mod walk;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use aws::AwsOrganization;
pub(crate) use chart::{Chart, Member, Unit, merged};
pub(crate) use kept::{Kept, KeptAccounts, replace};
pub(crate) use walk::Walk;

use super::source::Fault;

/// The most units and accounts that are asked about: AWS's own limits are 2,000 units, and 10,000 accounts on request.
const MOST: usize = 50_000;
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page of an answer, and where the next one begins.
#[derive(Debug, Clone)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// An organisation that can be asked, page by page: the port of AWS Organizations. Units and roots are called by their
/// ids, `ou-…` and `r-…`.
#[async_trait]
pub(crate) trait Organization: std::fmt::Debug + Send + Sync {
    /// Ids of the roots.
    async fn roots(&self, next: Option<String>) -> Result<Page<String>, Fault>;
    /// Units right below a root or a unit: id and name.
    async fn units(&self, parent: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault>;
    /// Accounts right below it, without their tags.
    async fn accounts(&self, parent: &str, next: Option<String>) -> Result<Page<Member>, Fault>;
    /// Tags of an account.
    async fn tags(&self, account: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault>;
}

/// All pages of an answer.
async fn all<T, F>(mut page: impl FnMut(Option<String>) -> F) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<Page<T>, Fault>>,
{
    let (mut items, mut next) = (Vec::new(), None);
    // Pages may be empty, but not for ever.
    for _ in 0..MOST {
        let page = tokio::time::timeout(PATIENCE, page(next)).await.map_err(|_| Fault::Slow)??;
        items.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(items);
        }
        if items.len() > MOST {
            break;
        }
    }
    Err(Fault::Nonsense("an answer without an end".to_owned()))
}
