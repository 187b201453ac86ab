//! What tables on this machine say of the address that a call came from.

mod context;

pub use context::{AddressContext, AddressKind};
