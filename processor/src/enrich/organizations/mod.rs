//! The accounts of an organisation, from AWS Organizations.

mod aws;
mod chart;
mod kept;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod twins;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use async_trait::async_trait;

pub(crate) use aws::AwsOrganization;
pub(crate) use chart::{Chart, Member, Unit, merged};
pub(crate) use kept::{Kept, KeptAccounts, replace};

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

/// Asks for all of it, one question after another: the service takes few a second. All or nothing, since half an
/// organisation looks like one whose other accounts are gone.
///
/// # Errors
/// What the first question failed with that was not answered.
pub(crate) async fn walk(organization: &dyn Organization) -> Result<Chart, Fault> {
    let mut chart = Chart::default();
    let roots = all(|next| organization.roots(next)).await?;
    let mut seen: HashSet<String> = roots.iter().cloned().collect();
    let mut parents: VecDeque<String> = roots.iter().cloned().collect();
    chart.roots = roots;
    while let Some(parent) = parents.pop_front() {
        for (id, name) in all(|next| organization.units(&parent, next)).await? {
            // A unit has one parent: whatever comes round again is left out.
            if seen.insert(id.clone()) {
                parents.push_back(id.clone());
                chart.units.push(Unit { id, name, parent: parent.clone() });
            }
        }
        for mut member in all(|next| organization.accounts(&parent, next)).await? {
            member.parent.clone_from(&parent);
            chart.members.push(member);
        }
        if chart.units.len() + chart.members.len() > MOST {
            return Err(Fault::Nonsense(format!("more than {MOST} units and accounts")));
        }
    }
    for member in &mut chart.members {
        let id = member.id.clone();
        member.tags = all(|next| organization.tags(&id, next)).await?.into_iter().collect::<BTreeMap<_, _>>();
    }
    Ok(chart)
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
