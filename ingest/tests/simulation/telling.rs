//! How a life is told: calls and answers in few words.

use dial_ingest::Declaration;
use dial_ingest::lease::{Lease, LeaseChange};

use crate::wire::{Answer, Effect, Reply, Request};

/// `shardId-000000000007` as `s7`; the sequence number of record 7 as `7`.
fn short(id: &str) -> String {
    let tail = |digits: &str| digits.trim_start_matches('0').to_owned();
    match (id.strip_prefix("shardId-"), id.strip_prefix("49")) {
        (Some(digits), _) => format!("s{:0>1}", tail(digits)),
        (_, Some(digits)) if digits.len() == 54 => tail(digits),
        _ => id.into(),
    }
}

fn declared(declaration: &Declaration) -> String {
    format!("{} {:?}", short(declaration.position.sequence.as_str()), String::from_utf8_lossy(&declaration.state))
}

pub fn told(change: &LeaseChange) -> String {
    match change {
        LeaseChange::Commit { position } => format!("commit {}", short(position.sequence.as_str())),
        LeaseChange::Declare(declaration) => format!("declare {}", declared(declaration)),
        LeaseChange::Take { .. } => "take".into(),
        LeaseChange::End { children } => {
            let children: Vec<String> = children.iter().map(|id| short(id)).collect();
            format!("end, goes on in {children:?}")
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

fn known(lease: &Lease) -> String {
    let owner = lease.lease_owner.as_deref().unwrap_or("nobody");
    let at = short(lease.checkpoint.sequence.as_str());
    let open = lease.declaration.as_ref().map(|open| format!(", declared {}", declared(open))).unwrap_or_default();
    format!("{}: {owner} {} at {at}{open}", short(&lease.lease_key), lease.lease_counter)
}

pub fn request(request: &Request) -> String {
    match request {
        Request::Iterator(shard, start) => format!("GetShardIterator {} {}", short(shard), start),
        Request::Records(iterator, limit) => format!("GetRecords {} of {}", limit, short(iterator)),
        Request::Get(key) => format!("get {}", short(key)),
        Request::Create(lease) => format!("create {}", known(lease)),
        Request::Update(lease, what) => format!("{} [{}]", told(what), known(lease)),
        Request::Delete(lease) => format!("delete [{}]", known(lease)),
        Request::Effect { shard, effect: Effect::Rows(rows) } => format!("rows of {}: {rows:?}", short(shard)),
        Request::Effect { effect: Effect::File { name, rows }, .. } => format!("file {name}: {rows:?}"),
        Request::ListShards(_) | Request::CreateTable | Request::Scan => request.call().into(),
    }
}

pub fn reply(reply: &Reply) -> String {
    match reply {
        Ok(Answer::Shards(page)) => {
            let shards = page.shards.iter().map(|shard| {
                let parents: Vec<String> = shard.parent_ids.iter().map(|id| short(id)).collect();
                format!("{} of {parents:?}{}", short(&shard.shard_id), if shard.open { "" } else { " closed" })
            });
            shards.collect::<Vec<_>>().join(", ")
        }
        Ok(Answer::Records(answer)) => {
            let numbers: Vec<String> = answer.records.iter().map(|r| short(r.sequence_number.as_str())).collect();
            format!("records {numbers:?}{}", if answer.next_iterator.is_some() { "" } else { " to the end" })
        }
        Ok(Answer::Leases(leases)) => leases.iter().map(known).collect::<Vec<_>>().join(" | "),
        Ok(Answer::Lease(lease)) => lease.as_ref().as_ref().map_or("no lease".into(), known),
        Ok(Answer::Updated(lease)) => known(lease),
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.kind.to_string(),
    }
}
