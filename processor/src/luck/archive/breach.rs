//! What the archive role could do otherwise, to see whether anybody notices.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use dial_ingest::Declaration;

/// A step that is left out or done in another order. The ports do it, so that no production code has to know of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    /// Intents are not written down.
    NoIntent,
    /// Whoever takes a shard over is not told of the intent that is open.
    IntentUnread,
    /// The checkpoint moves, and then the files are written.
    CommitBeforePut,
    /// The files are written, and then the intent is declared.
    IntentAfterPut,
    /// Files are named by the time of their writing.
    NamedByTime,
    /// Where a file is there already, it is written beside that.
    PutBeside,
}

impl Breach {
    pub(super) const ALL: [Breach; 6] = [
        Breach::NoIntent,
        Breach::IntentUnread,
        Breach::CommitBeforePut,
        Breach::IntentAfterPut,
        Breach::NamedByTime,
        Breach::PutBeside,
    ];
}

/// What a worker holds back while it does another step first; gone with the worker.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    pub(super) files: Mutex<Vec<(String, Bytes)>>,
    /// By lease.
    pub(super) intents: Mutex<BTreeMap<String, Declaration>>,
}
