//! The stream, the lease table and the places where effects are kept, when a call lands there.

use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::{ErrorKind, StreamClient as _};
use tokio::sync::oneshot;

use crate::dice::Dice;
use crate::post::Call;
use crate::table::refused;
use crate::wire::{Answer, Reply, Request};
use crate::world::World;

impl World {
    /// A scan that takes its time reads some leases early and the others late.
    pub fn part_of_table(&self, call: &Call, early: bool) -> Vec<Lease> {
        let app = &self.apps[self.people[call.machine].app];
        let salt = self.life.seed ^ call.reading.as_nanos() as u64;
        let number = |key: &str| key.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
        let chosen = |key: &String| Dice::new(salt, number(key)).chance(50) == early;
        app.table.rows.iter().filter(|(key, _)| chosen(key)).map(|(_, row)| row.lease.clone()).collect()
    }

    /// Does what a call asks for, now.
    pub fn carried_out(&mut self, call: &Call) -> Reply {
        let (now, without) = (self.now, self.mutation);
        let who = &self.people[call.machine];
        let app = &mut self.apps[who.app];
        match &call.request {
            Request::ListShards(page) => {
                let page = self.truth.at(now, async |stream| stream.list_shards(page.as_deref()).await);
                page.map(Answer::Shards)
            }
            Request::Iterator(shard, start) => {
                let start = without.map_or(start.clone(), |without| without.iterator(start));
                self.truth.at(now, async |stream| stream.get_iterator(shard, &start).await).map(Answer::Iterator)
            }
            Request::Records(iterator, limit) => {
                let records = self.truth.at(now, async |stream| stream.get_records(iterator, *limit).await);
                records.map(Answer::Records)
            }
            Request::CreateTable => Ok(Answer::Done),
            Request::Scan => Ok(Answer::Leases(app.table.rows.values().map(|row| row.lease.clone()).collect())),
            Request::Get(key) => Ok(Answer::Lease(Box::new(app.table.rows.get(key).map(|row| row.lease.clone())))),
            Request::Create(lease) => {
                let before = app.table.rows.get(&lease.lease_key).map(|row| row.lease.clone());
                let created = app.table.create(lease, now, without);
                app.created(who, &lease.lease_key, before.as_ref());
                Ok(Answer::Created(created))
            }
            Request::Update(known, change) => {
                let before = app.table.update(known, change, now, without)?;
                app.changed(who, known, change, &before, &self.truth);
                let stored = app.table.rows.get(&known.lease_key).ok_or_else(|| refused("UpdateItem"))?;
                Ok(Answer::Updated(Box::new(stored.lease.clone())))
            }
            Request::Delete(known) => {
                if let Some(row) = app.table.delete(known, without)? {
                    app.deleted(who, known, &row.lease, &self.truth);
                }
                Ok(Answer::Done)
            }
            Request::Effect { effect, .. } => {
                app.made_durable(effect);
                Ok(Answer::Done)
            }
        }
    }

    pub fn count(&mut self, call: &Call, reply: &Reply, again: bool) {
        let abandoned = call.caller.as_ref().is_none_or(oneshot::Sender::is_closed);
        let kind = reply.as_ref().err().map(|error| error.kind);
        let write = call.request.is_lease_write();
        let records = match reply {
            Ok(Answer::Records(answer)) => answer.records.iter().map(|record| record.data.len()).sum(),
            _ => 0,
        };
        let tally = &mut self.tally;
        tally.add("calls", 1);
        tally.add("lease writes that landed twice", u64::from(write && again));
        tally.add("lease writes that landed after their caller gave up or died", u64::from(write && abandoned));
        tally.add("lease writes refused", u64::from(write && kind == Some(ErrorKind::Refused)));
        tally.add("leases removed", u64::from(matches!((&call.request, reply), (Request::Delete(_), Ok(_)))));
        tally.add("leases taken from another", u64::from(is_switch(&call.request) && reply.is_ok()));
        tally.add("reads throttled by the stream", u64::from(kind == Some(ErrorKind::Throttled)));
        tally.add("answers of more than 2 MB", u64::from(records > 2 << 20));
        tally.add("answers of more than 8 MB", u64::from(records > 8 << 20));
    }
}

fn is_switch(request: &Request) -> bool {
    matches!(request, Request::Update(known, LeaseChange::Take { owner })
        if known.lease_owner.as_ref().is_some_and(|before| before != owner))
}
