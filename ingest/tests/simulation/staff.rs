//! The machines of the world: how they come, stand still and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use dial_ingest::Worker;

use crate::clock::Micros;
use crate::consumer::Consumer;
use crate::machine::{Identity, Machine};
use crate::mutation::Mutation;
use crate::ports::{Outbox, Ports};
use crate::witness::Person;
use crate::world::{Event, World};

impl World {
    pub fn boot(&mut self, app: usize, name: String, undisturbed: bool) {
        let id = self.people.len();
        let kind = self.apps[app].kind;
        let dice = &mut self.acting;
        let clock = self.life.clock(self.now, dice);
        let outbox = Arc::new(Outbox::default());
        let consumer = Consumer {
            outbox: outbox.clone(),
            habits: self.life.habits(kind, dice),
            machine: id as u64,
            seed: self.life.seed,
            runs: Default::default(),
        };
        let config = self.life.settings(&name, kind, undisturbed, dice);
        let ports = Arc::new(Ports(outbox.clone()));
        let worker = Worker::new(config, ports.clone(), ports, Arc::new(consumer));
        let identity = Identity { id, app, name: name.clone(), clock };
        self.machines.insert(id, Machine::boot(identity, outbox, |shutdown| worker.run(shutdown)));
        self.people.push(Person { machine: id, app, name: name.clone(), clock, thawed: None });
        self.log(|_| format!("{name} starts"));
    }

    /// It is gone from one moment to the next; what it has sent goes its way.
    pub fn crash(&mut self, id: usize) {
        self.log(|world| format!("{} crashes", world.people[id].name));
        self.tally.add("crashes", 1);
        self.forget(id);
    }

    fn forget(&mut self, id: usize) {
        self.machines.remove(&id);
        let app = self.people[id].app;
        self.apps[app].died(id);
    }

    /// It stands still for so long from what it has reached; time goes on for others.
    pub fn freeze(&mut self, id: usize, time: Micros) {
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| !machine.frozen) else { return };
        machine.frozen = true;
        let from = machine.reached.max(self.now);
        self.log(|world| format!("{} stands still from {from} for {time}", world.people[id].name));
        self.schedule(from + time, Event::Thaws(id));
    }

    pub fn thaw(&mut self, id: usize) {
        let stood_still = self.mutation == Some(Mutation::ClockStandsStill);
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.frozen) else { return };
        let slept = machine.thaw(self.now, stood_still);
        self.people[id].thawed = Some(self.now);
        self.tally.add("pauses longer than the failover time", u64::from(slept > self.life.failover));
        self.log(|world| format!("{} goes on after {slept:?}", world.people[id].name));
    }

    /// Takes a worker that has ended off its machine.
    pub fn end(&mut self, id: usize) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let end = machine.end();
        let took = machine.stopping_since.map(|since| machine.clock.reads(self.now) - machine.clock.reads(since));
        let name = machine.name.clone();
        self.must(end.is_ok(), || format!("{name} ended: {end:?}"));
        let undisturbed = self.people[id].thawed.is_none();
        let late = took.is_none_or(|took| took.as_secs() >= 10) && undisturbed;
        self.must(!late, || format!("{name} ended {took:?} after it was told to"));
        self.log(|_| format!("{name} has stopped after {took:?}"));
        self.forget(id);
    }

    /// Who reads for an application now.
    pub fn alive(&self, app: usize) -> BTreeSet<usize> {
        self.machines.values().filter(|machine| machine.app == app).map(|machine| machine.id).collect()
    }
}
