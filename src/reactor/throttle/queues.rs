//! Who waits, and in which order they go on.

use std::collections::BTreeMap;

use crate::client_network::ClientNetwork;
use crate::reactor::table::Token;

/// In the order in which they go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// Their network has become known.
    First,
    /// Their hello was answered.
    UnderWay,
    /// They have a token.
    Next,
    Last,
}

/// Who waits.
#[derive(Default)]
pub(super) struct Queues {
    /// By their numbers, in the order of arrival.
    waiting: [BTreeMap<u64, Waiting>; 4],
    next: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) token: Token,
    pub(super) network: ClientNetwork,
}

impl Queues {
    pub(super) fn push(&mut self, queue: Queue, waiting: Waiting) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting[queue as usize].insert(number, waiting);
        number
    }

    /// The first of the first of these queues that is not empty.
    pub(super) fn pop_up_to(&mut self, last: Queue) -> Option<Waiting> {
        self.waiting[..=last as usize].iter_mut().find_map(BTreeMap::pop_first).map(|(_, waiting)| waiting)
    }

    pub(super) fn have(&self, number: u64) -> bool {
        self.waiting.iter().any(|queue| queue.contains_key(&number))
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.waiting.iter_mut().for_each(|queue| _ = queue.remove(&number));
    }

    pub(super) fn are_empty_up_to(&self, last: Queue) -> bool {
        self.waiting[..=last as usize].iter().all(BTreeMap::is_empty)
    }

    pub(super) fn of(&self, queue: Queue) -> &BTreeMap<u64, Waiting> {
        &self.waiting[queue as usize]
    }

    pub(super) fn length(&self) -> usize {
        self.waiting.iter().map(BTreeMap::len).sum()
    }

    /// Those from this network wait in the first queue from now on.
    pub(super) fn promote(&mut self, network: ClientNetwork) {
        let [first, others @ ..] = &mut self.waiting;
        for queue in others {
            queue.retain(|number, waiting| {
                let is_from_there = waiting.network == network;
                if is_from_there {
                    first.insert(*number, *waiting);
                }
                !is_from_there
            });
        }
    }
}
