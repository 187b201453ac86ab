//! Evaluating windows: inner correlations first, since their completions are matches of the outer ones.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dial_rules::correlation::{Correlation, Filed};
use dial_rules::event::Millis;
use dial_sinks::windows::due::{Evaluation, SMALL};
use dial_sinks::windows::store::{WindowItem, WindowRange};
use tokio::time::timeout;

use super::filing::Batch;
use super::outcome::{Outcome, outcome};
use super::touched::Tickets;
use super::window::{Begun, Ticket, Turn};
use super::{CorrelateError, Correlator, Meter, Pending, entry};
use crate::clock::now;
use crate::detector::record;
use crate::in_place::in_place;

/// How many windows are evaluated together, which bounds what is held of them in memory.
const TOGETHER: usize = 256;
/// How long an evaluation by somebody else is waited for before it is looked after: its task may have been ended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Correlator {
    /// Evaluates what is pending, records what is found, and does the same with the windows that this adds to. A window
    /// that has grown large waits until it is worth it. When it returns `Ok`, nothing is pending; else what still is.
    ///
    /// # Errors
    /// When a store fails. Doing it again is harmless, and right.
    pub(crate) async fn evaluate(&self, pending: &mut Pending) -> Result<(), CorrelateError> {
        for correlation in self.correlations().inner_first() {
            let mut open = pending.tickets.of(&correlation.id);
            while !open.is_empty() {
                // Subscribed before anybody is asked, so that no end is missed.
                let mut evaluated = self.0.evaluated.subscribe();
                let round = Round::look(open, self.clock(), &mut pending.tickets);
                open = round.open;
                if !round.begun.is_empty() {
                    let done = self.evaluate_windows(correlation, round.begun).await;
                    self.0.evaluated.send_replace(());
                    done?;
                } else if !open.is_empty() {
                    let wait =
                        round.at.map_or(LOOK_AGAIN, |at| millis(at.saturating_sub(self.clock())).min(LOOK_AGAIN));
                    // Ended or not, it is looked at again.
                    let _ = timeout(wait, evaluated.changed()).await;
                }
            }
            pending.tickets.remove(&correlation.id);
        }
        Ok(())
    }

    /// Evaluates windows of one correlation. Those that fail are pending again.
    async fn evaluate_windows(&self, correlation: &Correlation, begun: Vec<Begun>) -> Result<(), CorrelateError> {
        let started = self.clock();
        let (ranges, counts) = ranges(correlation, &begun);
        let read = self.call("read windows", self.0.ports.windows.read(&ranges)).await?;
        let outcomes = self.outcomes(correlation, &begun, read, &counts)?;
        let found = outcomes.iter().flat_map(|(outcome, _)| outcome.findings.iter().cloned()).collect();
        let recorded = record(self.0.ports.findings.as_ref(), found, &self.0.ports.news);
        let recorded = self.call("record findings", recorded).await?;
        Meter::add(&self.0.meter.new_findings, recorded.new.len());
        let completions: Vec<Filed> = outcomes.iter().flat_map(|(outcome, _)| outcome.completions.clone()).collect();
        let mut outer = Tickets::default();
        self.append(&Batch { filed: completions, indexed: Vec::new() }, now(), &mut outer).await?;
        let (took, total) = (self.clock().saturating_sub(started), outcomes.iter().map(|(_, items)| items).sum());
        Meter::add(&self.0.meter.evaluated, begun.len());
        for (one, (outcome, items)) in begun.into_iter().zip(outcomes) {
            let tickets = self.tickets_of(&outcome.completions, &outer)?;
            one.end(
                Evaluation { items, ended: started.saturating_add(took), took: share(took, items, total) },
                tickets,
            );
            self.0.meter.items_read.fetch_add(items, Ordering::Relaxed);
            self.0.meter.missing.fetch_add(outcome.missing, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What each window comes to, and on how many items. The longest part of the work.
    fn outcomes(
        &self,
        correlation: &Correlation,
        begun: &[Begun],
        read: Vec<Vec<WindowItem>>,
        counts: &[usize],
    ) -> Result<Vec<(Outcome, u64)>, CorrelateError> {
        let mut read = read.into_iter();
        let mut outcomes = Vec::new();
        for (Begun { window, buckets, .. }, ranges) in begun.iter().zip(counts) {
            let items: Vec<WindowItem> = read.by_ref().take(*ranges).flatten().collect();
            let evaluate = || outcome(self.correlations(), correlation, &window.key, &items, buckets.iter().copied());
            let count = items.len() as u64;
            outcomes.push((if count > SMALL { in_place(evaluate) } else { evaluate() }?, count));
        }
        Ok(outcomes)
    }

    /// The tickets of the windows that completions were added to.
    fn tickets_of(&self, completions: &[Filed], outer: &Tickets) -> Result<Vec<Ticket>, CorrelateError> {
        let mut windows = BTreeSet::new();
        for completion in completions {
            if let Some(correlation) = self.correlations().get(&completion.correlation) {
                windows.insert(entry::window_of(correlation, &completion.group)?);
            }
        }
        Ok(windows.iter().flat_map(|window| outer.at(window).to_vec()).collect())
    }
}

/// Whose turn it is among some windows.
#[derive(Default)]
struct Round {
    begun: Vec<Begun>,
    /// Those that are not served yet.
    open: Vec<Ticket>,
    /// When the first of the large ones is due.
    at: Option<Millis>,
}

impl Round {
    fn look(open: Vec<Ticket>, now: Millis, outer: &mut Tickets) -> Round {
        let mut round = Round::default();
        for ticket in open {
            if round.begun.len() == TOGETHER {
                round.open.push(ticket);
                continue;
            }
            match ticket.turn(now) {
                Turn::Served(tickets) => {
                    tickets.into_iter().for_each(|ticket| outer.add(ticket));
                    continue;
                }
                Turn::Busy => {}
                Turn::At(time) => round.at = Some(round.at.map_or(time, |at| at.min(time))),
                Turn::Yours(begun) => round.begun.push(begun),
            }
            round.open.push(ticket);
        }
        round
    }
}

/// What to read for these windows, and how many ranges each has.
fn ranges(correlation: &Correlation, begun: &[Begun]) -> (Vec<WindowRange>, Vec<usize>) {
    let (mut ranges, mut counts) = (Vec::new(), Vec::new());
    for Begun { window, buckets, .. } in begun {
        let stretches = entry::stretches(buckets.iter().copied(), correlation.timespan);
        counts.push(stretches.len());
        ranges.extend(stretches.into_iter().map(|(from, to)| WindowRange { window: window.key.clone(), from, to }));
    }
    (ranges, counts)
}

/// The part of a time that is due to some of the items.
fn share(took: Millis, items: u64, total: u64) -> Millis {
    let share = i128::from(took) * i128::from(items) / i128::from(total.max(1));
    Millis::try_from(share).unwrap_or(Millis::MAX)
}

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
