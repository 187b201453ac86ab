//! The algebra of checkpoints: progress carries where it started, and never goes back.
//!
//! Pure. What a processor asks for is judged here against what is known of the shard; the write that follows is
//! conditional on the lease being as it was read.

use crate::error::PortError;
use crate::sequence::Position;

/// A checkpoint that was announced before its effect was made durable (`pendingCheckpoint` in the lease).
///
/// The first phase of two: declare what is about to be written, write it, commit. Whoever owns the shard next is
/// handed an open declaration before any record, and so can finish the very same write instead of a similar one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The checkpoint to come: the last position that the declared effect covers.
    pub position: Position,
    /// The declarer's own words about the effect (`pendingCheckpointState`), opaque here. A DynamoDB item holds
    /// 400 KB in all.
    pub state: Vec<u8>,
}

/// Progress from one checkpoint to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    from: Position,
    to: Position,
}

impl Advance {
    /// The advance between two positions; `None` if that would not be forward.
    #[must_use]
    pub fn new(from: Position, to: Position) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// Where it started.
    #[must_use]
    pub fn from(&self) -> &Position {
        &self.from
    }

    /// Where it leads.
    #[must_use]
    pub fn to(&self) -> &Position {
        &self.to
    }

    /// This one and then `next`; `None` unless `next` starts where this one ends.
    #[must_use]
    pub fn then(self, next: Self) -> Option<Self> {
        (self.to == next.from).then_some(Self { from: self.from, to: next.to })
    }

    /// The checkpoint after this advance; `None` if it is not the one that this advance started from.
    #[must_use]
    pub fn apply(self, checkpoint: &Position) -> Option<Position> {
        (self.from == *checkpoint).then_some(self.to)
    }
}

/// Why a checkpoint was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The shard has another owner, or will have as soon as one looks. Stop working on it.
    #[error("the lease of shard {0} is lost")]
    LeaseLost(String),
    /// The position lies after every record that was handed over.
    #[error("position {asked} was not handed over yet; the last one that was is {delivered}")]
    NotDelivered {
        /// What was asked for.
        asked: Position,
        /// The last position that the processor was given.
        delivered: Position,
    },
    /// The checkpoint is already at or past this position, so there is nothing to declare.
    #[error("the checkpoint {checkpoint} is already at or past {asked}")]
    NotAhead {
        /// What was asked for.
        asked: Position,
        /// The checkpoint.
        checkpoint: Position,
    },
    /// Another declaration is open.
    #[error("a declaration up to {open} is open: finish its effect and commit {open}, or withdraw it, before {asked}")]
    DeclarationOpen {
        /// What was asked for.
        asked: Position,
        /// What is declared.
        open: Position,
    },
    /// The lease table did not answer for as long as the lease lasted or the call was worth repeating.
    #[error("the checkpoint could not be written: {0}")]
    Store(#[from] PortError),
}

/// What is known of a shard when a checkpoint is asked for.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The checkpoint in force.
    pub checkpoint: &'a Position,
    /// The last position handed to the processor, or the checkpoint it began at.
    pub delivered: &'a Position,
    /// The declaration in force.
    pub open: Option<&'a Declaration>,
}

/// The write that a commit of `asked` needs: none if the checkpoint is already there.
///
/// While a declaration is open, a commit before its position is refused, since the declared effect would then begin
/// in the middle; a commit at or after it closes it.
///
/// # Errors
/// [`CheckpointError::NotDelivered`], [`CheckpointError::DeclarationOpen`].
pub fn judge_commit(standing: &Standing<'_>, asked: &Position) -> Result<Option<Advance>, CheckpointError> {
    if asked <= standing.checkpoint {
        return Ok(None);
    }
    if asked > standing.delivered {
        return Err(CheckpointError::NotDelivered { asked: asked.clone(), delivered: standing.delivered.clone() });
    }
    match standing.open {
        Some(open) if *asked < open.position => {
            Err(CheckpointError::DeclarationOpen { asked: asked.clone(), open: open.position.clone() })
        }
        _ => Ok(Advance::new(standing.checkpoint.clone(), asked.clone())),
    }
}

/// Whether `asked` is to be written as a declaration: false if it is the open one already.
///
/// # Errors
/// [`CheckpointError::NotAhead`], [`CheckpointError::NotDelivered`], [`CheckpointError::DeclarationOpen`].
pub fn judge_declare(standing: &Standing<'_>, asked: &Declaration) -> Result<bool, CheckpointError> {
    if let Some(open) = standing.open {
        return if open == asked {
            Ok(false)
        } else {
            Err(CheckpointError::DeclarationOpen { asked: asked.position.clone(), open: open.position.clone() })
        };
    }
    if asked.position <= *standing.checkpoint {
        return Err(CheckpointError::NotAhead {
            asked: asked.position.clone(),
            checkpoint: standing.checkpoint.clone(),
        });
    }
    if asked.position > *standing.delivered {
        return Err(CheckpointError::NotDelivered {
            asked: asked.position.clone(),
            delivered: standing.delivered.clone(),
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(n: u32) -> Position {
        Position::new(n.to_string().parse().unwrap(), 0)
    }

    fn declared(n: u32) -> Declaration {
        Declaration { position: at(n), state: vec![1] }
    }

    proptest! {
        /// The checkpoint, whatever is asked in whatever order, never falls, never passes what was delivered, and
        /// never lands inside an open declaration.
        #[test]
        fn checkpoints_only_rise(asks in proptest::collection::vec((any::<bool>(), 0u32..50, 0u32..10), 0..60)) {
            let (mut checkpoint, mut delivered, mut open) = (Position::TRIM_HORIZON, at(0), None::<Declaration>);
            let mut highest = 0;
            for (declare, n, more) in asks {
                highest += more;
                delivered = delivered.max(at(highest));
                let standing = Standing { checkpoint: &checkpoint, delivered: &delivered, open: open.as_ref() };
                if declare {
                    if judge_declare(&standing, &declared(n)) == Ok(true) {
                        prop_assert!(open.is_none() && at(n) > checkpoint && at(n) <= delivered);
                        open = Some(declared(n));
                    }
                } else if let Ok(Some(advance)) = judge_commit(&standing, &at(n)) {
                    let inside = open.as_ref().is_some_and(|open| at(n) < open.position);
                    prop_assert!(at(n) > checkpoint && at(n) <= delivered && !inside);
                    checkpoint = advance.apply(&checkpoint).unwrap();
                    open = None;
                }
            }
        }

        #[test]
        fn advances_join_only_end_to_end(a in 0u32..9, b in 0u32..9, c in 0u32..9, d in 0u32..9) {
            let joined = Advance::new(at(a), at(b)).zip(Advance::new(at(c), at(d))).and_then(|(x, y)| x.then(y));
            let expected = (a < b && b == c && c < d).then(|| Advance::new(at(a), at(d)).unwrap());
            prop_assert_eq!(joined, expected);
        }
    }

    #[test]
    fn a_commit_behind_is_nothing_to_write() {
        let (checkpoint, delivered) = (at(5), at(9));
        let standing = Standing { checkpoint: &checkpoint, delivered: &delivered, open: None };
        assert_eq!(judge_commit(&standing, &at(5)), Ok(None));
        assert_eq!(judge_commit(&standing, &at(3)), Ok(None));
        assert_eq!(judge_commit(&standing, &Position::TRIM_HORIZON), Ok(None));
        assert!(matches!(judge_commit(&standing, &at(10)), Err(CheckpointError::NotDelivered { .. })));
        assert!(matches!(judge_commit(&standing, &Position::SHARD_END), Err(CheckpointError::NotDelivered { .. })));
    }

    #[test]
    fn an_open_declaration_is_finished_before_anything_else() {
        let (checkpoint, delivered, open) = (at(5), at(20), declared(10));
        let standing = Standing { checkpoint: &checkpoint, delivered: &delivered, open: Some(&open) };
        assert!(matches!(judge_commit(&standing, &at(9)), Err(CheckpointError::DeclarationOpen { .. })));
        assert_eq!(judge_commit(&standing, &at(10)), Ok(Advance::new(at(5), at(10))));
        assert_eq!(judge_commit(&standing, &at(11)), Ok(Advance::new(at(5), at(11))));
        assert_eq!(judge_declare(&standing, &declared(10)), Ok(false));
        assert!(judge_declare(&standing, &declared(11)).is_err());
    }
}
