//! Calls on their way between the workers and the services.

use std::time::Duration;

use dial_ingest::lease::Lease;
use dial_ingest::{ErrorKind, PortError};
use tokio::sync::oneshot;

use crate::clock::Micros;
use crate::faults::Fate;
use crate::machine::Doom;
use crate::ports::{Message, Posted};
use crate::telling;
use crate::wire::{Answer, Reply, Request};
use crate::world::{Event, World};

/// A call from its sending to the last that comes of it.
pub struct Call {
    pub machine: usize,
    /// When it was made, by its worker's clock.
    pub reading: Duration,
    pub request: Request,
    pub caller: Option<oneshot::Sender<Reply>>,
    /// What the caller is told in place of the reply.
    told: Option<ErrorKind>,
    reply: Option<Reply>,
    /// What a scan has read so far, if it is read in two parts.
    part: Option<Vec<Lease>>,
    torn: bool,
    /// So many events are still to come.
    pending: u8,
}

impl World {
    /// Puts something that a worker posted in line. False if that was the last it could do.
    pub fn post(&mut self, machine: usize, reading: Duration, posted: Posted) -> bool {
        let Some(from) = self.machines.get_mut(&machine) else { return false };
        let at = from.clock.shown_at(reading).max(self.now);
        let (request, caller) = match posted.what {
            Message::Note(note) => {
                self.schedule(at, Event::Noted { machine, reading, note: Box::new(note) });
                return true;
            }
            Message::Call(request, caller) => (request, caller),
        };
        let doom = from.doom_of_this_call();
        let cut = from.cut_off.cuts(&request, at);
        let fate =
            if cut { Fate::cut(&mut self.lines) } else { Fate::of(&request, &self.life.faults, &mut self.lines) };
        let leaves = match doom {
            Some(Doom::Freeze { time, sent_after: true }) => at + time,
            _ => at,
        };
        self.send(Call::new(machine, reading, *request, caller), at, leaves, fate);
        match doom {
            None => return true,
            Some(Doom::Freeze { time, .. }) => self.freeze(machine, time),
            Some(Doom::Crash) => {
                self.machines.get_mut(&machine).into_iter().for_each(|machine| machine.frozen = true);
                self.schedule(at, Event::Crashes(machine));
            }
        }
        // What it posted at the same moment after a deadly call was never posted.
        !matches!(doom, Some(Doom::Crash))
    }

    fn send(&mut self, call: Call, at: Micros, leaves: Micros, fate: Fate) {
        let id = self.ticket();
        let machine = call.machine;
        let mut events = vec![(at, Event::Sent(id))];
        events.extend(fate.lands.map(|after| (leaves + after, Event::Lands { call: id, again: false })));
        let again = fate.lands_again.or(fate.torn.map(|torn| fate.lands.unwrap_or_default() + torn));
        events.extend(again.map(|after| (leaves + after, Event::Lands { call: id, again: true })));
        let answered = fate.answered.map(|(after, _)| leaves + after);
        events.extend(answered.map(|at| (at, Event::Answered(id))));
        if let (Some(at), Some(machine)) = (answered, self.machines.get_mut(&machine)) {
            machine.due.push(at);
        }
        let call = Call {
            told: fate.answered.and_then(|(_, told)| told),
            torn: fate.torn.is_some(),
            pending: events.len() as u8,
            ..call
        };
        self.calls.insert(id, Box::new(call));
        for (at, event) in events {
            self.schedule(at, event);
        }
    }

    /// One of a call's events is over.
    fn spent(&mut self, id: u64, mut call: Box<Call>) {
        call.pending -= 1;
        if call.pending > 0 || (call.caller.is_some() && self.machines.contains_key(&call.machine)) {
            // A call that is never answered must not be seen to be dropped by who waits for it.
            self.calls.insert(id, call);
        }
    }

    pub fn sent(&mut self, id: u64) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.log(|world| format!("{} {}", world.people[call.machine].name, telling::request(&call.request)));
        let alive = self.machines.contains_key(&call.machine);
        if let Some(shard) = call.request.needs_lease().filter(|_| alive) {
            let who = &self.people[call.machine];
            self.apps[who.app].works(who, shard, call.reading, self.now, call.request.call());
        }
        self.interfere(&call.request, call.machine);
        self.spent(id, call);
    }

    pub fn lands(&mut self, id: u64, again: bool) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if call.torn && !again {
            call.part = Some(self.part_of_table(&call, true));
            return self.spent(id, call);
        }
        let reply = match call.part.take() {
            Some(mut part) => {
                part.extend(self.part_of_table(&call, false));
                part.sort_by(|a, b| a.lease_key.cmp(&b.lease_key));
                Ok(Answer::Leases(part))
            }
            None => self.carried_out(&call),
        };
        self.count(&call, &reply, again);
        self.log(|world| {
            let whose = &world.people[call.machine].name;
            format!("    {whose}'s {} lands: {}", telling::request(&call.request), telling::reply(&reply))
        });
        call.reply.get_or_insert(reply);
        self.spent(id, call);
    }

    pub fn answered(&mut self, id: u64) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let reply = match (call.told, call.reply.take()) {
            (None, Some(reply)) => reply,
            (told, _) => {
                let kind = told.unwrap_or(ErrorKind::Unavailable);
                Err(PortError::new(call.request.call(), kind, "simulated"))
            }
        };
        let reply = match self.mutation {
            Some(mutation) => reply.map(|answer| mutation.distort(&call.request, answer)),
            None => reply,
        };
        self.log(|world| {
            let whose = &world.people[call.machine].name;
            format!("    {whose} hears of {}: {}", telling::request(&call.request), telling::reply(&reply))
        });
        if let Some(machine) = self.machines.get_mut(&call.machine) {
            if let Some(due) = machine.due.iter().position(|due| *due == self.now) {
                machine.due.swap_remove(due);
            }
            if let Some(caller) = call.caller.take().filter(|caller| !caller.is_closed()) {
                self.knows(&call, &reply);
                let _ = caller.send(reply);
            }
        }
        self.spent(id, call);
    }

    /// The witness hears what a worker is told about a lease.
    fn knows(&mut self, call: &Call, reply: &Reply) {
        if let (Request::Update(_, change), Ok(Answer::Updated(lease))) = (&call.request, reply) {
            let who = &self.people[call.machine];
            self.apps[who.app].answered(who, change, lease, call.reading, self.now);
        }
    }
}

impl Call {
    fn new(machine: usize, reading: Duration, request: Request, caller: oneshot::Sender<Reply>) -> Self {
        Self {
            machine,
            reading,
            request,
            caller: Some(caller),
            told: None,
            reply: None,
            part: None,
            torn: false,
            pending: 0,
        }
    }
}
