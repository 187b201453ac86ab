//! [`Walk`]: an organisation asked for step by step, and what has been answered of it so far.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::super::source::Fault;
use super::{Chart, MOST, Organization, Unit, all};

/// About how many accounts' tags are asked at once; fewer after the service has said that this was too much.
const AT_ONCE: usize = 8;
/// What was answered before so long is asked for again: the organisation may be another one by now.
const STALE: Duration = Duration::from_secs(3600);

/// A walk through an organisation. One that failed goes on where it was, so that a service which answers some questions
/// before it has enough is done some time.
#[derive(Debug)]
pub(crate) struct Walk {
    begun: Option<Instant>,
    chart: Chart,
    seen: HashSet<String>,
    /// Units and roots whose units and accounts are not asked for yet.
    parents: VecDeque<String>,
    /// How many questions were answered, in all walks.
    answered: u64,
    at_once: usize,
    /// Members whose tags are not asked for yet, by their places.
    untagged: BTreeSet<usize>,
}

impl Default for Walk {
    fn default() -> Self {
        Walk {
            begun: None,
            chart: Chart::default(),
            seen: HashSet::new(),
            parents: VecDeque::new(),
            answered: 0,
            at_once: AT_ONCE,
            untagged: BTreeSet::new(),
        }
    }
}

impl Walk {
    /// Asks for what is not answered yet. All or nothing, since half an organisation looks like one whose other accounts are
    /// gone. Whoever gives up waiting loses the questions that are under way and no more.
    ///
    /// # Errors
    /// What the first question failed with that was not answered.
    pub(crate) async fn go(&mut self, organization: &dyn Organization) -> Result<Chart, Fault> {
        if self.begun.is_some_and(|begun| begun.elapsed() > STALE) {
            self.forget();
        }
        if self.begun.is_none() {
            let roots = all(|next| organization.roots(next)).await?;
            self.answered += 1;
            self.begun = Some(Instant::now());
            self.seen.extend(roots.iter().cloned());
            self.parents.extend(roots.iter().cloned());
            self.chart.roots = roots;
        }
        while let Some(parent) = self.parents.front().cloned() {
            self.ask_below(organization, parent).await.inspect_err(|fault| self.note(fault))?;
        }
        self.ask_for_tags(organization).await.inspect_err(|fault| self.note(fault))?;
        let chart = std::mem::take(&mut self.chart);
        self.forget();
        Ok(chart)
    }

    /// How many questions were answered since the first walk began.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    fn forget(&mut self) {
        *self = Walk { answered: self.answered, at_once: self.at_once, ..Walk::default() };
    }

    /// After an answer that makes no sense nothing before it is trusted.
    fn note(&mut self, fault: &Fault) {
        match fault {
            Fault::Nonsense(_) => self.forget(),
            Fault::Limited { .. } => self.at_once = (self.at_once / 2).max(1),
            _ => {}
        }
    }

    /// The units and accounts right below the unit or root that is next.
    async fn ask_below(&mut self, organization: &dyn Organization, parent: String) -> Result<(), Fault> {
        let units = all(|next| organization.units(&parent, next)).await?;
        let members = all(|next| organization.accounts(&parent, next)).await?;
        self.answered += 2;
        self.parents.pop_front();
        for (id, name) in units {
            // A unit has one parent: whatever comes round again is left out.
            if self.seen.insert(id.clone()) {
                self.parents.push_back(id.clone());
                self.chart.units.push(Unit { id, name, parent: parent.clone() });
            }
        }
        for mut member in members {
            member.parent.clone_from(&parent);
            self.untagged.insert(self.chart.members.len());
            self.chart.members.push(member);
        }
        if self.chart.units.len() + self.chart.members.len() > MOST {
            return Err(Fault::Nonsense(format!("more than {MOST} units and accounts")));
        }
        Ok(())
    }

    async fn ask_for_tags(&mut self, organization: &dyn Organization) -> Result<(), Fault> {
        let wanted: Vec<(usize, String)> =
            self.untagged.iter().map(|at| (*at, self.chart.members[*at].id.clone())).collect();
        let asked = wanted.into_iter().map(|(at, id)| async move {
            let tags = all(|next| organization.tags(&id, next)).await;
            (at, tags)
        });
        let mut answers = futures::stream::iter(asked).buffer_unordered(self.at_once);
        while let Some((at, tags)) = answers.next().await {
            let tags = tags?;
            self.answered += 1;
            self.chart.members[at].tags = tags.into_iter().collect();
            self.untagged.remove(&at);
        }
        Ok(())
    }
}
