//! What happens to a call on its way.

use dial_ingest::ErrorKind;

use crate::clock::{MILLI, Micros, SECOND};
use crate::dice::Dice;
use crate::wire::Request;

/// How often things go wrong, in a hundred, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub leases: u64,
    pub stream: u64,
    pub effects: u64,
    /// Answers and writes are late by at most this.
    pub late: Micros,
}

/// A call's way: when it takes effect, perhaps twice, and what is answered when. Times are since it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    pub lands: Option<Micros>,
    pub lands_again: Option<Micros>,
    /// Scans: how much later the second half of the table is read.
    pub torn: Option<Micros>,
    /// When the answer comes, and what it says instead of the truth. `None`: never.
    pub answered: Option<(Micros, Option<ErrorKind>)>,
}

fn way(dice: &mut Dice) -> Micros {
    dice.between(MILLI, 12 * MILLI)
}

impl Fate {
    pub fn smooth(dice: &mut Dice) -> Self {
        let lands = way(dice);
        Self { lands: Some(lands), answered: Some((lands + way(dice), None)), ..Self::default() }
    }

    /// The line is cut: an error after a while, or nothing ever.
    pub fn cut(dice: &mut Dice) -> Self {
        let after = dice.between(100 * MILLI, 2 * SECOND);
        let answered = dice.chance(70).then_some((after, Some(ErrorKind::Unavailable)));
        Self { answered, ..Self::default() }
    }

    pub fn of(request: &Request, faults: &Faults, dice: &mut Dice) -> Self {
        let smooth = Self::smooth(dice);
        let percent = match request {
            Request::ListShards(_) | Request::Iterator(..) | Request::Records(..) => faults.stream,
            Request::Effect { .. } => faults.effects,
            _ => faults.leases,
        };
        if !dice.chance(percent) {
            return smooth;
        }
        let (lands, soon) = (smooth.lands.unwrap_or_default(), way(dice));
        let late = dice.between(0, faults.late);
        let error = |after, kind| Some((after, Some(kind)));
        let writes = request.is_lease_write() || matches!(request, Request::Effect { .. });
        match dice.below(if writes { 10 } else { 6 }) {
            0 => Self { answered: error(soon, ErrorKind::Throttled), ..Self::default() },
            1 => Self { answered: error(soon, ErrorKind::Unavailable), ..Self::default() },
            2 => Self { lands: Some(late), answered: Some((late + soon, None)), ..Self::default() },
            3 => Self::cut(dice),
            4 if matches!(request, Request::Records(..)) => {
                Self { answered: error(soon, ErrorKind::ExpiredIterator), ..Self::default() }
            }
            4 if matches!(request, Request::Scan) => {
                let torn = dice.between(MILLI, faults.late.max(2 * MILLI));
                Self { torn: Some(torn), answered: Some((lands + torn + soon, None)), ..smooth }
            }
            // Made, but the answer is lost.
            4 | 5 => Self { answered: error(lands + soon + late / 4, ErrorKind::Unavailable), ..smooth },
            // Given up, but on its way still.
            6 => Self { lands: Some(late), answered: error(soon, ErrorKind::Unavailable), ..Self::default() },
            7 => Self { answered: None, ..smooth },
            // Delivered twice.
            _ => Self { lands_again: Some(lands + late), ..smooth },
        }
    }
}
