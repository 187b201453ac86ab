//! The shards that a closed one continues in.

use crate::error::{ErrorKind, PortError};
use crate::lease::Lease;
use crate::plan::missing_leases;
use crate::sequence::Position;
use crate::shard::Surroundings;
use crate::stream::{ChildShard, all_shards};

/// Creates the children's leases, unless they exist; returns the children's ids. They are those that the last answer
/// named, else those that the listing shows. A shard whose records have aged out may have none left.
pub(crate) async fn begin(
    around: &Surroundings,
    shard_id: &str,
    named: &[ChildShard],
    gone: bool,
) -> Result<Vec<String>, PortError> {
    let children = if named.is_empty() { listed(around, shard_id).await? } else { named.to_vec() };
    if children.is_empty() && !gone {
        // A closed shard always continues somewhere; the listing lags behind.
        let message = "the shard is closed, but the stream lists no child of it yet";
        return Err(PortError::new("ListShards", ErrorKind::Unavailable, message));
    }
    if children.iter().flat_map(|child| &child.parent_ids).any(|parent| parent != shard_id) {
        create_missing(around).await?;
    }
    for child in &children {
        around.leases.create(&Lease::of_child(child, Position::TRIM_HORIZON)).await?;
    }
    Ok(children.into_iter().map(|child| child.shard_id).collect())
}

/// A merged child's other parent may be so young that it has no lease yet. It gets it before the child does: a child
/// whose parent has no lease looks as if that parent had been done with long ago.
async fn create_missing(around: &Surroundings) -> Result<(), PortError> {
    let shards = all_shards(&*around.stream).await?;
    let leases = around.leases.list().await?;
    for lease in missing_leases(&leases, &shards, around.config.initial_position) {
        around.leases.create(&lease).await?;
    }
    Ok(())
}

async fn listed(around: &Surroundings, shard_id: &str) -> Result<Vec<ChildShard>, PortError> {
    let shards = all_shards(&*around.stream).await?;
    let children = shards.iter().filter(|shard| shard.parent_ids.iter().any(|parent| parent == shard_id));
    Ok(children.map(ChildShard::from).collect())
}
