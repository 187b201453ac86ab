//! [`Condition`]: when the matches of a window are complete. All of these only become truer as matches arrive.

/// What a correlation asks of the matches of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// At least so many distinct events.
    EventCount {
        /// At least 1.
        at_least: u64,
    },
    /// At least so many distinct values.
    ValueCount {
        /// The field, or several whose combinations are counted.
        fields: Vec<String>,
        /// At least 1.
        at_least: u64,
    },
    /// Matches of several rules, in any order.
    Temporal(Formula),
    /// A match of each part in their order, of distinct events.
    TemporalOrdered,
}

/// Which parts must have a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    /// The part with this index.
    Part(usize),
    /// At least so many of these.
    AtLeast(usize, Vec<Formula>),
}

impl Formula {
    /// Whether it holds, given whether a part has a match.
    pub fn holds(&self, has: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Formula::Part(part) => has(*part),
            Formula::AtLeast(most, formulas) => {
                formulas.iter().filter(|formula| formula.holds(has)).take(*most).count() == *most
            }
        }
    }
}
