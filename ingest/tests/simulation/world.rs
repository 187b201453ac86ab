//! The world: what is due when, and whose turn it is.
//!
//! A simulation of events. A worker is run until it makes a call, or until something is due that concerns it: the
//! answer to one of its calls, or the next act of fate. What it did meanwhile is put in line by the time on its clock,
//! and everything that is done to the stream, to the lease tables and to the workers is done in that order.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::app::App;
use crate::clock::{Micros, SECOND};
use crate::dice::Dice;
use crate::life::Life;
use crate::machine::Machine;
use crate::mutation::Mutation;
use crate::post::Call;
use crate::script::Phase;
use crate::tally::Tally;
use crate::truth::Truth;
use crate::wire::Note;
use crate::witness::Person;

/// Something that happens at one moment.
pub enum Event {
    /// A processor said something about itself.
    Noted {
        machine: usize,
        reading: Duration,
        note: Box<Note>,
    },
    /// A call leaves its worker.
    Sent(u64),
    /// It takes effect. A scan is read in two parts if it is torn.
    Lands {
        call: u64,
        again: bool,
    },
    Answered(u64),
    Thaws(usize),
    /// A worker dies at this moment.
    Crashes(usize),
    /// A worker has come to its end by itself.
    Ends(usize),
    /// The next act of fate.
    Act,
}

/// One whole life.
pub struct World {
    pub life: Life,
    pub mutation: Option<Mutation>,
    pub now: Micros,
    pub truth: Truth,
    pub apps: Vec<App>,
    /// Those that live, by number.
    pub machines: BTreeMap<usize, Machine>,
    /// All that ever lived.
    pub people: Vec<Person>,
    pub calls: BTreeMap<u64, Box<Call>>,
    pub phase: Phase,
    pub acting: Dice,
    pub lines: Dice,
    pub violations: Vec<String>,
    pub tally: Tally,
    /// What happened, if anybody wants to know.
    pub trace: Option<Vec<String>>,
    pub next_act: Micros,
    agenda: BTreeMap<(Micros, u64), Event>,
    tickets: u64,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>, traced: bool) -> Self {
        let life = Life::of(seed);
        let mut acting = Dice::new(seed, 2);
        let mut truth = Truth::new(life.shards, life.page_size, life.names_children);
        for _ in 0..life.resharded_before {
            truth.reshard(0, &mut acting, life.most_shards);
        }
        let mut world = Self {
            mutation,
            now: 0,
            truth,
            apps: life.kinds.iter().map(|kind| App::new(*kind, life.failover)).collect(),
            machines: BTreeMap::new(),
            people: Vec::new(),
            calls: BTreeMap::new(),
            phase: Phase::Wild { left: life.acts },
            acting,
            lines: Dice::new(seed, 3),
            violations: Vec::new(),
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            next_act: 0,
            agenda: BTreeMap::new(),
            tickets: 0,
            life,
        };
        world.log(|world| format!("{:?}", world.life));
        world.schedule(0, Event::Act);
        world
    }

    /// A number that was never given out before.
    pub fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    pub fn schedule(&mut self, at: Micros, event: Event) {
        if matches!(event, Event::Act) {
            self.next_act = at;
        }
        let ticket = self.ticket();
        self.agenda.insert((at.max(self.now), ticket), event);
    }

    pub fn log(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>9.3} {}", self.now as f64 / SECOND as f64, line(self));
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    /// From the beginning to the end, or to the first thing that must not be.
    pub fn live(&mut self) {
        while self.phase != Phase::Over && self.violations.is_empty() {
            let Some(((due, ticket), _)) = self.agenda.first_key_value() else { break };
            let (due, ticket) = (*due, *ticket);
            if let Some(behind) = self.behind(due) {
                self.run(behind);
                continue;
            }
            self.now = due;
            if let Some(event) = self.agenda.remove(&(due, ticket)) {
                self.happens(event);
            }
            self.collect();
        }
    }

    /// Whoever has come least far, if that is not as far as `due`.
    fn behind(&self, due: Micros) -> Option<usize> {
        let awake = self.machines.values().filter(|machine| !machine.frozen && machine.reached < due);
        awake.min_by_key(|machine| (machine.reached, machine.id)).map(|machine| machine.id)
    }

    fn run(&mut self, id: usize) {
        let next_act = self.next_act;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let until = machine.due.iter().copied().min().map_or(next_act, |due| due.min(next_act));
        machine.run(until);
        let posted = machine.drain();
        for (reading, posted) in posted {
            if !self.post(id, reading, posted) {
                break;
            }
        }
        if let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.has_ended()) {
            machine.frozen = true;
            let at = machine.reached;
            self.schedule(at, Event::Ends(id));
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            // A clock may run ahead of a crash by the grain of its timers.
            Event::Noted { machine, .. } if !self.machines.contains_key(&machine) => {}
            Event::Noted { machine, reading, note } => {
                self.log(|world| format!("{} {note:?}", world.people[machine].name));
                let who = &self.people[machine];
                self.apps[who.app].noted(who, &note, reading, self.now, &self.truth);
            }
            Event::Sent(call) => self.sent(call),
            Event::Lands { call, again } => self.lands(call, again),
            Event::Answered(call) => self.answered(call),
            Event::Thaws(machine) => self.thaw(machine),
            Event::Crashes(machine) => self.crash(machine),
            Event::Ends(machine) => self.end(machine),
            Event::Act => self.act(),
        }
    }

    /// Brings together what the witnesses found.
    fn collect(&mut self) {
        for app in &mut self.apps {
            self.violations.append(&mut app.violations);
        }
    }

    pub fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(what());
        }
    }
}
