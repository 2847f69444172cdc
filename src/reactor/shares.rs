//! How many workers one client may hold at once, and who waits until another request of the same client is done.
//!
//! Most requests find room, and then this costs two changes of a number. A request that finds none waits in the order of arrival,
//! parked, and holds no worker. When one is done, its permit goes to the first that waits, so nobody is overtaken; if that one has
//! left meanwhile, it goes to the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::table::Token;
use crate::sync::lock;

/// Has the connection with this token go on.
type Wake = dyn Fn(Token) + Send + Sync;

/// The shares of all clients.
pub(crate) struct Shares {
    most: u32,
    wake: Arc<Wake>,
    /// Of all clients that are not authorised.
    strangers: Arc<Share>,
    known: Mutex<Known>,
}

/// The shares of authorised clients, while they are connected.
#[derive(Default)]
struct Known {
    by_client: HashMap<String, Weak<Share>>,
    /// At this size those that nobody has any more are forgotten.
    crowded: usize,
}

/// The share of one client.
pub(crate) struct Share {
    most: u64,
    wake: Arc<Wake>,
    /// How many permits there are, and how many requests wait for one: that times [`ONE_WAITS`].
    state: AtomicU64,
    /// Changed together with the number of those that wait.
    queue: Mutex<Queue>,
}

const ONE_WAITS: u64 = 1 << 32;

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<u64, Token>,
    next: u64,
}

/// A request may hold a worker, until this is dropped.
pub(crate) struct Permit(Arc<Share>);

/// A request waits for its permit. It gives up its place when this is dropped.
pub(crate) struct Place {
    /// Taken when it has become a permit.
    share: Option<Arc<Share>>,
    number: u64,
}

impl Shares {
    /// No client may have more permits than `most`. `wake` is called from any thread.
    pub(crate) fn new(most: usize, wake: impl Fn(Token) + Send + Sync + 'static) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let wake: Arc<Wake> = Arc::new(wake);
        let strangers = Arc::new(Share::new(most, &wake));
        Self { most, wake, strangers, known: Mutex::default() }
    }

    /// That of all clients that are not authorised: they count as one.
    pub(crate) fn of_strangers(&self) -> Arc<Share> {
        Arc::clone(&self.strangers)
    }

    /// That of the authorised client with this name.
    pub(crate) fn of(&self, client: &str) -> Arc<Share> {
        let mut known = lock(&self.known);
        if let Some(share) = known.by_client.get(client).and_then(Weak::upgrade) {
            return share;
        }
        known.make_room();
        let share = Arc::new(Share::new(self.most, &self.wake));
        known.by_client.insert(client.to_owned(), Arc::downgrade(&share));
        share
    }
}

impl Known {
    /// At most half of those that are remembered are gone, or a few.
    fn make_room(&mut self) {
        const FEW: usize = 64;
        if self.by_client.len() >= self.crowded {
            self.by_client.retain(|_, share| share.strong_count() > 0);
            self.crowded = FEW.max(self.by_client.len() * 2);
        }
    }
}

impl Share {
    fn new(most: u32, wake: &Arc<Wake>) -> Self {
        Self { most: u64::from(most), wake: Arc::clone(wake), state: AtomicU64::new(0), queue: Mutex::default() }
    }

    /// A permit for a request of the connection with this token, or a place in the queue.
    pub(crate) fn ask(self: &Arc<Self>, token: Token) -> Result<Permit, Place> {
        // Less than that: nobody waits, and there is one.
        let taken = self.change(|state| (state < self.most).then(|| state + 1));
        if taken { Ok(Permit(Arc::clone(self))) } else { self.ask_or_wait(token) }
    }

    #[cold]
    fn ask_or_wait(self: &Arc<Self>, token: Token) -> Result<Permit, Place> {
        let mut queue = lock(&self.queue);
        // One may have been given back just now. Who gives one back later finds this one in the queue.
        let mut taken = false;
        self.change(|state| {
            taken = state < self.most;
            Some(state + if taken { 1 } else { ONE_WAITS })
        });
        if taken {
            return Ok(Permit(Arc::clone(self)));
        }
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, token);
        Err(Place { share: Some(Arc::clone(self)), number })
    }

    fn give_back(&self) {
        // Nobody waits.
        if !self.change(|state| (state < ONE_WAITS).then(|| state - 1)) {
            self.pass_on();
        }
    }

    /// The permit is that of the first that waits, if it still does.
    #[cold]
    fn pass_on(&self) {
        let mut queue = lock(&self.queue);
        let first = queue.waiting.pop_first();
        self.state.fetch_sub(if first.is_some() { ONE_WAITS } else { 1 }, Ordering::SeqCst);
        drop(queue);
        if let Some((_, token)) = first {
            (self.wake)(token);
        }
    }

    fn change(&self, to: impl FnMut(u64) -> Option<u64>) -> bool {
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, to).is_ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Place {
    /// Whether it has its permit. It is woken then.
    pub(crate) fn is_due(&self) -> bool {
        self.share.as_ref().is_some_and(|share| !lock(&share.queue).waiting.contains_key(&self.number))
    }

    /// The permit, if it is due.
    pub(crate) fn into_permit(mut self) -> Result<Permit, Self> {
        if self.is_due()
            && let Some(share) = self.share.take()
        {
            Ok(Permit(share))
        } else {
            Err(self)
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(share) = self.share.take() else { return };
        let mut queue = lock(&share.queue);
        if queue.waiting.remove(&self.number).is_some() {
            share.state.fetch_sub(ONE_WAITS, Ordering::SeqCst);
        } else {
            drop(queue);
            share.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// At most two permits each. The channel tells who is woken.
    fn two_each() -> (Shares, Receiver<u64>) {
        let (say, heard) = channel();
        (Shares::new(2, move |token| say.send(token.as_u64()).unwrap()), heard)
    }

    fn ask(share: &Arc<Share>, token: u64) -> Result<Permit, Place> {
        share.ask(Token::from_u64(token))
    }

    fn wait(share: &Arc<Share>, token: u64) -> Place {
        ask(share, token).err().expect("there is a permit")
    }

    fn state(share: &Share) -> (u64, u64) {
        let state = share.state.load(Ordering::SeqCst);
        (state % ONE_WAITS, state / ONE_WAITS)
    }

    #[test]
    fn who_finds_no_permit_gets_one_in_the_order_of_arrival() {
        let (shares, woken) = two_each();
        let share = shares.of("alice");
        let [first, second] = [1, 2].map(|token| ask(&share, token).ok().unwrap());
        let [third, fourth] = [3, 4].map(|token| wait(&share, token));
        assert_eq!(state(&share), (2, 2));
        drop(second);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [3]);
        assert!(third.is_due() && !fourth.is_due());
        let fifth = wait(&share, 5);
        let third = third.into_permit().ok().unwrap();
        let fourth = fourth.into_permit().err().unwrap();
        drop((first, third));
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [4, 5]);
        drop((fourth.into_permit().ok().unwrap(), fifth.into_permit().ok().unwrap()));
        assert_eq!(state(&share), (0, 0));
    }

    #[test]
    fn one_client_leaves_room_for_another_and_strangers_are_one() {
        let (shares, _woken) = two_each();
        let held: Vec<_> = ["alice", "alice", "bob", "bob"].map(|name| ask(&shares.of(name), 0).ok().unwrap()).into();
        assert!(ask(&shares.of("alice"), 0).is_err() && ask(&shares.of("bob"), 0).is_err());
        let strangers = [(); 2].map(|()| ask(&shares.of_strangers(), 0).ok().unwrap());
        assert!(ask(&shares.of_strangers(), 0).is_err());
        drop((held, strangers));
        assert!(ask(&shares.of_strangers(), 0).is_ok());
    }

    #[test]
    fn who_leaves_the_queue_is_forgotten_and_passes_on_what_it_got_too_late() {
        let (shares, woken) = two_each();
        let share = shares.of("alice");
        let [first, second] = [1, 2].map(|token| ask(&share, token).ok().unwrap());
        let [third, fourth, fifth] = [3, 4, 5].map(|token| wait(&share, token));
        drop(third);
        assert_eq!(state(&share), (2, 2));
        drop(first);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [4]);
        drop(fourth);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [5]);
        drop(fifth);
        assert_eq!(state(&share), (1, 0));
        drop(second);
        assert_eq!(state(&share), (0, 0));
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn clients_that_are_gone_are_not_remembered() {
        let (shares, _woken) = two_each();
        let alice = shares.of("alice");
        for number in 0..10_000 {
            shares.of(&number.to_string());
        }
        assert!(lock(&shares.known).by_client.len() <= 64);
        assert!(Arc::ptr_eq(&alice, &shares.of("alice")));
    }

    /// Threads that ask, work, and give back, or give up; in the end nothing is left, and never were there more than two.
    #[test]
    fn no_permit_is_lost_or_given_twice() {
        use std::sync::atomic::AtomicUsize;
        const THREADS: u64 = 8;
        let threads: Vec<_> = (0..THREADS).map(|_| channel::<()>()).collect();
        let (wakers, sleepers): (Vec<_>, Vec<_>) = threads.into_iter().unzip();
        let shares = Shares::new(2, move |token| wakers[token.as_u64() as usize].send(()).unwrap_or_default());
        let (share, at_work) = (shares.of("alice"), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (token, sleeper) in (0..THREADS).zip(sleepers) {
                let (share, at_work) = (&share, &at_work);
                scope.spawn(move || {
                    for round in 0..2000 {
                        let permit = match ask(share, token) {
                            Ok(permit) => permit,
                            Err(place) if round % 7 == token => {
                                drop(place);
                                continue;
                            }
                            Err(mut place) => loop {
                                match place.into_permit() {
                                    Ok(permit) => break permit,
                                    Err(back) => place = back,
                                }
                                sleeper.recv_timeout(std::time::Duration::from_secs(20)).expect("never woken");
                            },
                        };
                        assert!(at_work.fetch_add(1, Ordering::SeqCst) < 2);
                        std::thread::yield_now();
                        at_work.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(state(&share), (0, 0));
    }
}
