//! The shards that a closed one continues in.

use crate::error::{ErrorKind, PortError};
use crate::lease::Lease;
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
    for child in &children {
        around.leases.create(&Lease::of_child(child, Position::TRIM_HORIZON)).await?;
    }
    Ok(children.into_iter().map(|child| child.shard_id).collect())
}

async fn listed(around: &Surroundings, shard_id: &str) -> Result<Vec<ChildShard>, PortError> {
    let shards = all_shards(&*around.stream).await?;
    let children = shards.iter().filter(|shard| shard.parent_ids.iter().any(|parent| parent == shard_id));
    Ok(children.map(ChildShard::from).collect())
}
