//! [`Ledger`]: which position of a shard may be committed while what some batches lead to is still under way. Pure.

use std::collections::VecDeque;

use dial_ingest::Position;

/// Names what one batch leads to.
pub(crate) type Ticket = u64;

/// The batches of one shard whose single findings are recorded, in order, and whether what they lead to is durable too.
#[derive(Debug)]
pub(crate) struct Ledger {
    waiting: VecDeque<Entry>,
    durable: Position,
    issued: Ticket,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    count: usize,
    settled: bool,
    /// The end of the last batch before the next entry: of this one, or of one that led to nothing.
    until: Position,
}

impl Ledger {
    /// Nothing is waiting, and everything up to `start` is durable.
    pub(crate) fn new(start: Position) -> Ledger {
        Ledger { waiting: VecDeque::new(), durable: start, issued: 0 }
    }

    /// A batch that ends at `position` is done but for so many links and matches. Positions never move back. `None` where
    /// there are none.
    pub(crate) fn enter(&mut self, position: Position, count: usize) -> Option<Ticket> {
        if count > 0 {
            self.issued += 1;
            self.waiting.push_back(Entry { ticket: self.issued, count, settled: false, until: position });
            return Some(self.issued);
        }
        match self.waiting.back_mut() {
            Some(last) => last.until = position,
            None => self.durable = position,
        }
        None
    }

    /// All of this ticket is durable.
    pub(crate) fn settle(&mut self, ticket: Ticket) {
        if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.ticket == ticket) {
            entry.settled = true;
        }
        while let Some(entry) = self.waiting.pop_front_if(|entry| entry.settled) {
            self.durable = entry.until;
        }
    }

    /// The last position with everything up to it durable: what may be committed.
    pub(crate) fn durable(&self) -> &Position {
        &self.durable
    }

    /// How many links and matches are not durable yet.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.iter().filter(|entry| !entry.settled).map(|entry| entry.count).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(n: usize) -> Position {
        Position::new((1_000 + n).to_string().parse().unwrap(), 0)
    }

    /// How many links each batch has, and in which order the batches' links become durable, how many of them after each batch.
    fn batches() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, Vec<usize>)> {
        let links = prop_oneof![Just(0usize), 1..5usize];
        proptest::collection::vec(links, 1..20).prop_flat_map(|batches| {
            let order: Vec<usize> = (0..batches.len()).collect();
            let steps = proptest::collection::vec(0..3usize, batches.len());
            (Just(batches), Just(order).prop_shuffle(), steps)
        })
    }

    proptest! {
        #[test]
        fn no_position_is_passed_before_its_links_are_durable((batches, order, steps) in batches()) {
            let mut ledger = Ledger::new(at(0));
            let mut tickets = vec![None; batches.len()];
            let mut settled = vec![false; batches.len()];
            // The naive one looks at every batch each time.
            let check = |ledger: &Ledger, entered: usize, settled: &[bool]| {
                let safe = (0..entered).take_while(|n| batches[*n] == 0 || settled[*n]).count();
                let open = (0..entered).filter(|n| !settled[*n]).map(|n| batches[n]).sum::<usize>();
                prop_assert_eq!(ledger.durable(), &at(safe));
                prop_assert_eq!(ledger.pending(), open);
                Ok(())
            };
            let settle = |ledger: &mut Ledger, tickets: &[Option<Ticket>], settled: &mut [bool], most: usize| {
                let next = order.iter().filter(|n| !settled[**n] && tickets[**n].is_some());
                for n in next.take(most).copied().collect::<Vec<_>>() {
                    ledger.settle(tickets[n].unwrap());
                    settled[n] = true;
                }
            };
            for (n, links) in batches.iter().enumerate() {
                tickets[n] = ledger.enter(at(n + 1), *links);
                check(&ledger, n + 1, &settled)?;
                settle(&mut ledger, &tickets, &mut settled, steps[n]);
                check(&ledger, n + 1, &settled)?;
            }
            settle(&mut ledger, &tickets, &mut settled, usize::MAX);
            prop_assert_eq!(ledger.durable(), &at(batches.len()));
            prop_assert_eq!(ledger.pending(), 0);
        }
    }

    #[test]
    fn a_batch_that_comes_again_moves_nothing_back() {
        let mut ledger = Ledger::new(at(0));
        let first = ledger.enter(at(1), 2).unwrap();
        let again = ledger.enter(at(1), 2).unwrap();
        ledger.settle(again);
        ledger.settle(99);
        assert_eq!((ledger.durable(), ledger.pending()), (&at(0), 2));
        ledger.settle(first);
        assert_eq!((ledger.durable(), ledger.pending()), (&at(1), 0));
    }
}
