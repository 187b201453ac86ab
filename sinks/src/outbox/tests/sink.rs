//! A destination that keeps what arrives, and fails in every way for random stretches.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use tokio::time::sleep;

use super::world::{Dice, START};
use crate::message::Message;
use crate::outbox::clock::Clock;
use crate::sink::{Growth, Handle, SendError, Sink};

/// What a destination does for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Down,
    /// It never answers, and takes nothing.
    Hanging,
    Limiting,
    Rejecting,
    /// It takes what arrives and never answers.
    Losing,
}

/// What arrived.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) at: Millis,
    pub(crate) key: String,
    pub(crate) thread: String,
    pub(crate) sequence: u64,
    pub(crate) count: u64,
    pub(crate) title: String,
    pub(crate) finding_ids: Vec<String>,
    /// Of those that are told one by one: how many events.
    pub(crate) told: BTreeMap<String, u64>,
    pub(crate) sent: Option<Handle>,
    pub(crate) is_confirmed: bool,
}

#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) growth: Growth,
    pub(crate) received: Mutex<Vec<Receipt>>,
    clock: Clock,
    dice: Dice,
    /// From when on, in order.
    moods: Mutex<Vec<(Millis, Mood)>>,
}

impl Mailbox {
    pub(crate) fn new(growth: Growth, clock: &Clock, dice: &Dice) -> Mailbox {
        let (clock, dice) = (clock.clone(), dice.clone());
        Mailbox { growth, received: Mutex::default(), clock, dice, moods: Mutex::default() }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.moods.lock().unwrap().push((self.clock.now(), mood));
    }

    /// Changes its mood again and again until it is well for good.
    pub(crate) fn moody(&self, until: Millis) {
        let all = [Mood::Down, Mood::Hanging, Mood::Limiting, Mood::Rejecting, Mood::Losing];
        let (mut at, mut moods) = (START, self.moods.lock().unwrap());
        while at < until {
            let is_well = self.dice.below(2) == 0;
            let mood = if is_well { Mood::Well } else { all[usize::try_from(self.dice.below(5)).unwrap()] };
            moods.push((at, mood));
            at += Millis::try_from(2_000 + self.dice.below(60_000)).unwrap();
        }
        moods.push((until, Mood::Well));
    }

    fn mood(&self) -> Mood {
        let now = self.clock.now();
        self.moods.lock().unwrap().iter().rev().find(|(from, _)| *from <= now).map_or(Mood::Well, |(_, mood)| *mood)
    }

    fn receive(&self, message: &Message, sent: Option<&Handle>) -> usize {
        let shown = std::iter::once(&message.lead).chain(&message.others);
        let mut received = self.received.lock().unwrap();
        received.push(Receipt {
            at: self.clock.now(),
            key: message.key.clone(),
            thread: message.thread.clone(),
            sequence: message.sequence,
            count: message.count,
            title: message.title.clone(),
            finding_ids: message.finding_ids.clone(),
            told: shown.map(|one| (one.finding.finding_id.clone(), one.finding.event_count)).collect(),
            sent: sent.cloned(),
            is_confirmed: false,
        });
        received.len() - 1
    }
}

#[async_trait]
impl Sink for Mailbox {
    fn kind(&self) -> &'static str {
        "mailbox"
    }

    fn growth(&self) -> Growth {
        self.growth
    }

    async fn send(&self, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        match self.mood() {
            Mood::Down => Err(SendError::Unavailable("down".to_owned())),
            Mood::Hanging => std::future::pending().await,
            Mood::Limiting => {
                Err(SendError::Limited { retry_after: Some(Duration::from_secs(1 + self.dice.below(40))) })
            }
            Mood::Rejecting => Err(SendError::Rejected("no".repeat(10_000))),
            Mood::Losing => {
                self.receive(message, sent);
                std::future::pending().await
            }
            Mood::Well => {
                let at = self.receive(message, sent);
                sleep(Duration::from_millis(self.dice.below(300))).await;
                self.received.lock().unwrap()[at].is_confirmed = true;
                Ok((self.growth == Growth::Updates).then(|| Handle(message.thread.clone())))
            }
        }
    }
}
