//! Work that takes long, on a thread that others' tasks may be waiting for.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does the work here, and lets other threads take over what waits for this one.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(), // there is no other thread to go on with
        _ => tokio::task::block_in_place(work),
    }
}
