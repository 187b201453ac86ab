//! [`Absent`]: stands for sinks that alerts name and the settings do not: another worker may know them, or nobody.

use async_trait::async_trait;

use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// A sink that the settings do not name. Its alerts are tried for as long as others, then given up.
#[derive(Debug)]
pub(crate) struct Absent;

#[async_trait]
impl Sink for Absent {
    fn kind(&self) -> &'static str {
        "absent"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, _: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        Err(SendError::Rejected("the settings name no such sink; add it again, or redrive to let it go".to_owned()))
    }
}
