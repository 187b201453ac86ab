//! The outbox: alerts of recorded findings, owed until they are delivered.
//!
//! Recording a finding and owing its alerts is one write. A finding that is owed is assessed and routed; for each sink it
//! joins the [`Alert`](alert::Alert) of its group, which is durable and has a time at which it is due. Whoever claims a due
//! alert delivers it, and what is not confirmed by the end of the claim is claimed again, by any worker. So a dead worker
//! delays an alert by half a minute, and a dead sink only its own.
//!
//! Pure are [`alert`] (what becomes of an alert), `group` (what findings are grouped by), `keys`, `links` and most of
//! `compose`. [`courier`] starts the tasks: `route` lets findings join their alerts, `lane` orders what is due at a sink,
//! `deliver` sends it, `sweep` finds what others left. [`dead`] keeps what was given up.
//!
//! The archive is one more sink ([`ARCHIVE`](crate::archive::ARCHIVE)): each recorded finding joins a batch of the worker
//! that routes it (`shelves`), which is an alert that gathers for a while, is delivered as rows (`shelve`), and never given
//! up.

mod absent;
pub mod alert;
pub(crate) mod bounds;
mod broken;
pub mod clock;
mod compose;
pub mod courier;
pub mod dead;
mod deliver;
pub mod desk;
mod dynamodb;
mod failing;
mod group;
pub mod health;
mod keys;
mod lane;
mod ledger;
mod links;
mod marks;
mod memory;
pub mod pace;
mod route;
mod shelve;
mod shelves;
mod sqlite;
pub mod store;
mod storm;
mod sweep;
#[cfg(test)]
mod tests;
