//! The outbox: alerts of recorded findings, owed until they are delivered.
//!
//! Recording a finding and owing its alerts is one write. A finding that is owed is assessed and routed; for each sink it
//! joins the [`Alert`](alert::Alert) of its group, which is durable and has a time at which it is due. Whoever claims a due
//! alert delivers it, and what is not confirmed by the end of the claim is claimed again, by any worker. So a dead worker
//! delays an alert by half a minute, and a dead sink only its own.

pub mod alert;
pub(crate) mod bounds;
pub mod desk;
mod dynamodb;
mod failing;
mod memory;
mod sqlite;
pub mod store;
