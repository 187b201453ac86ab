//! What fate has in store: acts that disturb, then calm, then the end.

use crate::clock::{MILLI, Micros, SECOND};
use crate::faults::Faults;
use crate::machine::Machine;
use crate::world::{Event, World};

/// Where a life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// So many acts are left.
    Wild {
        left: u64,
    },
    /// Everything works again; all must be read.
    Calm {
        since: Micros,
    },
    /// The workers were told to stop.
    Stopping {
        since: Micros,
    },
    Over,
}

/// In calm, everything must be read within so many failover times and four minutes: some workers read five records
/// every two seconds.
const PATIENCE_FAILOVERS: u64 = 30;
const PATIENCE: Micros = 240 * SECOND;

impl World {
    pub fn act(&mut self) {
        let pause = match self.phase {
            Phase::Wild { left: 0 } => {
                self.calm_down();
                SECOND
            }
            Phase::Wild { left } => {
                self.phase = Phase::Wild { left: left - 1 };
                self.disturb();
                self.acting.between(10 * MILLI, self.life.pause)
            }
            Phase::Calm { since } => {
                self.wait_until_done(since);
                500 * MILLI
            }
            Phase::Stopping { since } => {
                self.wait_until_stopped(since);
                200 * MILLI
            }
            Phase::Over => return,
        };
        let at = self.now + pause;
        self.schedule(at, Event::Act);
    }

    fn calm_down(&mut self) {
        self.life.faults = Faults { leases: 0, stream: 0, effects: 0, ..self.life.faults };
        let machines: Vec<usize> = self.machines.keys().copied().collect();
        for id in machines {
            // Who stands still is killed in the end, or goes on by itself.
            if self.acting.chance(30) {
                self.crash(id);
            }
        }
        for app in 0..self.apps.len() {
            let name = format!("{:?}-last", self.apps[app].kind).to_lowercase();
            self.boot(app, name, true);
        }
        self.machines.values_mut().for_each(Machine::calm);
        self.phase = Phase::Calm { since: self.now };
        self.log(|_| "-- calm".into());
    }

    fn wait_until_done(&mut self, since: Micros) {
        let undone: Vec<String> = self.apps.iter().flat_map(|app| app.undone(&self.truth)).take(6).collect();
        // A call that was swallowed before is given up after a failover time, and what failed is tried again by then.
        let settled = self.now >= since + 3 * self.life.failover_micros() / 2 + 5 * SECOND;
        if settled && undone.is_empty() && self.machines.values().all(|machine| !machine.frozen) {
            let machines: Vec<usize> = self.machines.keys().copied().collect();
            machines.into_iter().for_each(|id| self.stop(id));
            self.phase = Phase::Stopping { since: self.now };
        }
        let late = self.now > since + PATIENCE + PATIENCE_FAILOVERS * self.life.failover_micros();
        self.must(!late, || format!("left undone in calm: {undone:?}"));
    }

    fn wait_until_stopped(&mut self, since: Micros) {
        if self.machines.is_empty() {
            for app in &mut self.apps {
                app.conclude(&self.truth, since);
                self.tally.add("declarations that a new owner inherited", app.inherited);
                let repeats = app.delivered.values().filter(|times| **times > 1).count() as u64;
                self.tally.add("records handed over more than once", repeats);
                self.tally.add("records", app.delivered.len() as u64);
            }
            self.phase = Phase::Over;
        } else {
            let late = self.now > since + 12 * SECOND;
            self.must(!late, || "some workers did not stop".into());
        }
    }
}
