//! The acts of fate, one at a time.

use dial_ingest::Position;
use dial_ingest::lease::LeaseChange;

use crate::clock::SECOND;
use crate::machine::Doom;
use crate::script::Phase;
use crate::truth::ShardTruth;
use crate::wire::Request;
use crate::world::World;

#[derive(Clone, Copy, Debug)]
enum Act {
    Put,
    Boot,
    Crash,
    Freeze,
    Doom,
    Stop,
    Reshard,
    CutOff,
    ExpireIterators,
    Forget,
    ChangeTheName,
}

const ACTS: [(u64, Act); 11] = [
    (30, Act::Put),
    (16, Act::Boot),
    (5, Act::Crash),
    (5, Act::Freeze),
    (12, Act::Doom),
    (4, Act::Stop),
    (10, Act::Reshard),
    (6, Act::CutOff),
    (3, Act::ExpireIterators),
    (8, Act::Forget),
    (3, Act::ChangeTheName),
];

impl World {
    pub fn disturb(&mut self) {
        if self.machines.is_empty() {
            return self.boot_one();
        }
        let machines: Vec<usize> = self.machines.keys().copied().collect();
        let machine = self.acting.pick(&machines);
        let failover = self.life.failover_micros();
        let act = self.acting.weighted(&ACTS);
        self.log(|_| format!("-- {act:?}"));
        match act {
            Act::Put => self.put(),
            Act::Boot => self.boot_one(),
            Act::Crash => self.crash(machine),
            Act::Freeze => {
                let time = self.acting.between(failover / 10, 3 * failover);
                self.freeze(machine, time);
            }
            Act::Doom => {
                let doom = match self.acting.below(3) {
                    0 => Doom::Crash,
                    sent => {
                        let time = self.acting.between(failover / 2, 3 * failover);
                        Doom::Freeze { time, sent_after: sent == 1 }
                    }
                };
                let calls = self.acting.between(0, 12);
                self.machines.get_mut(&machine).into_iter().for_each(|machine| machine.doom = Some((calls, doom)));
            }
            Act::Stop => self.stop(machine),
            Act::Reshard => {
                let done = self.truth.reshard(self.now, &mut self.acting, self.life.most_shards);
                done.into_iter().for_each(|what| self.tally.add(what, 1));
            }
            Act::CutOff => self.cut_off(machine),
            Act::ExpireIterators => self.truth.stream.expire_iterators(),
            Act::Forget => self.forget_a_shard(),
            Act::ChangeTheName => self.change_a_name(),
        }
    }

    fn put(&mut self) {
        for _ in 0..self.acting.between(1, 25) {
            let large = self.life.large_records && self.acting.chance(15);
            let size = if large { self.acting.between(1 << 20, 6 << 20) } else { self.acting.between(500, 3_000) };
            self.truth.put(self.now, size as usize);
        }
    }

    fn boot_one(&mut self) {
        let app = self.acting.below(self.apps.len() as u64) as usize;
        // Two workers of one name never live at once; a name may come back.
        let name = format!("{:?}-{}", self.apps[app].kind, self.acting.below(self.life.workers + 1)).to_lowercase();
        let alive = self.alive(app);
        if (alive.len() as u64) < self.life.workers && alive.iter().all(|id| self.people[*id].name != name) {
            self.boot(app, name, false);
        }
    }

    pub fn stop(&mut self, id: usize) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.stopping_since.is_none()) {
            machine.stop(now);
            self.log(|world| format!("{} is told to stop", world.people[id].name));
        }
    }

    fn cut_off(&mut self, id: usize) {
        let until = self.now + self.acting.between(SECOND, 2 * self.life.failover_micros());
        let which = self.acting.below(4);
        let Some(machine) = self.machines.get_mut(&id) else { return };
        match which {
            0 | 1 => machine.cut_off.leases_until = until,
            2 => machine.cut_off.stream_until = until,
            _ => machine.cut_off.effects_until = until,
        }
    }

    /// A closed shard ages out, long after it was closed and read. It takes a day in the real stream: nothing that was
    /// sent, and nobody who stood still, dates from before its end.
    fn forget_a_shard(&mut self) {
        let old = self.now.saturating_sub(4 * self.life.failover_micros() + self.life.faults.late + 15 * SECOND);
        // Shards age out in the order in which they were closed.
        let is_oldest = |id: &str| self.truth.ancestors(id).iter().all(|id| self.truth.shards[*id].forgotten);
        let aged = |(id, shard): &(&String, &ShardTruth)| {
            let settled = self.apps.iter().all(|app| shard.records.iter().all(|record| app.durable.contains(record)));
            let known = self.apps.iter().all(|app| app.table.rows.contains_key(*id));
            shard.closed && !shard.forgotten && shard.closed_at < old && settled && known && is_oldest(id)
        };
        let aged: Vec<String> = self.truth.shards.iter().filter(aged).map(|(id, _)| id.clone()).collect();
        if let Some(shard) = aged.first() {
            self.tally.add("shards that aged out", 1);
            self.log(|_| format!("{shard} ages out"));
            self.truth.forget(shard);
        }
    }

    /// An operator writes another name, or none, on a lease by hand, and does not count it.
    fn change_a_name(&mut self) {
        let app = self.acting.below(self.apps.len() as u64) as usize;
        let keys: Vec<String> = self.apps[app].table.rows.keys().cloned().collect();
        if !keys.is_empty() {
            let which = self.acting.below(keys.len() as u64) as usize;
            self.give_away(app, &keys[which]);
        }
    }

    fn give_away(&mut self, app: usize, key: &str) {
        let names: Vec<String> = self.alive(app).into_iter().map(|id| self.people[id].name.clone()).collect();
        let other = self.acting.below(names.len() as u64 + 1) as usize;
        let owner = names.get(other).cloned();
        self.log(|_| format!("by hand: the lease of {key} is given to {owner:?}"));
        self.tally.add("leases given away by hand", 1);
        self.apps[app].table.give_away(key, owner, self.now);
    }

    /// Now and then an operator is at a lease at the very moment when a worker writes it.
    pub fn interfere(&mut self, request: &Request, machine: usize) {
        let wild = matches!(self.phase, Phase::Wild { .. });
        let app = self.people[machine].app;
        match request {
            Request::Update(lease, change) => {
                let percent = if matches!(change, LeaseChange::Renew) { 1 } else { 2 };
                if wild && self.acting.chance(percent) {
                    self.give_away(app, &lease.lease_key);
                }
            }
            // Wants to see once more what there still is of it.
            Request::Delete(lease) if self.acting.chance(10) => {
                self.log(|_| format!("by hand: {} is set back", lease.lease_key));
                self.apps[app].table.set_back(&lease.lease_key, Position::TRIM_HORIZON, self.now);
            }
            _ => {}
        }
    }
}
