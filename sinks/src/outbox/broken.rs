//! What a test may break on purpose, to see that the simulation notices. Outside tests nothing is ever broken.

/// A guarantee that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests break something"))]
pub(crate) enum Broken {
    /// Recording a finding does not owe its alerts.
    NothingOwed,
    /// A claim never ends.
    EndlessClaim,
    /// A finding is settled before it has joined its alerts.
    SettlesFirst,
    /// Confirming a delivery clears what joined meanwhile.
    ClearsJoined,
    /// Each attempt of a delivery has a key of its own.
    KeyPerAttempt,
    /// A batch counts as archived before it is.
    ConfirmsFirst,
}

#[cfg(not(test))]
pub(crate) const fn is_broken(_: Broken) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Broken>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn is_broken(what: Broken) -> bool {
    BROKEN.get() == Some(what)
}

/// From now on, on this thread, this is broken.
#[cfg(test)]
pub(crate) fn break_it(what: Option<Broken>) {
    BROKEN.set(what);
}
