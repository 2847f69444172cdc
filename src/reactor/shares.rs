//! How many workers one client may hold in handlers at once, and how many all of them; and who waits until another request is done.
//!
//! A request takes its turn with two tickets: one of its client's share, and then one of the share of all. There are more workers
//! than tickets, so that some are always left for handshakes, heads, refusals, and what waits for its socket.
//!
//! Most requests find both, and then this costs four changes of a number. A request that finds none waits in the order of arrival,
//! parked, and holds no worker. When one is done, its ticket goes to the first that waits, so nobody is overtaken; if that one has
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
    all: Arc<Share>,
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

/// The share of one client, or that of all.
pub(crate) struct Share {
    most: u64,
    wake: Arc<Wake>,
    /// The share of all, unless this is it.
    all: Option<Arc<Share>>,
    /// How many tickets are out, and how many requests wait for one: that times [`ONE_WAITS`].
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
pub(crate) struct Permit {
    _of_client: Ticket,
    _of_all: Option<Ticket>,
}

/// A request waits for its permit. It gives up its place when this is dropped.
pub(crate) struct Place {
    /// Then it waits for one of all.
    of_client: Option<Ticket>,
    spot: Spot,
}

/// One of those that a share has; given back when it is dropped.
struct Ticket(Arc<Share>);

/// A place in the queue of one share.
struct Spot {
    /// Taken when it has become a ticket.
    share: Option<Arc<Share>>,
    number: u64,
}

impl Shares {
    /// No client may have more permits than `most`, and all together no more than `in_all`. `wake` is called from any thread.
    pub(crate) fn new(most: usize, in_all: usize, wake: impl Fn(Token) + Send + Sync + 'static) -> Self {
        let [most, in_all] = [most, in_all].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let wake: Arc<Wake> = Arc::new(wake);
        let all = Arc::new(Share::new(in_all, &wake, None));
        let strangers = Arc::new(Share::new(most, &wake, Some(Arc::clone(&all))));
        Self { most, wake, all, strangers, known: Mutex::default() }
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
        let share = Arc::new(Share::new(self.most, &self.wake, Some(Arc::clone(&self.all))));
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
    fn new(most: u32, wake: &Arc<Wake>, all: Option<Arc<Self>>) -> Self {
        let (state, queue) = (AtomicU64::new(0), Mutex::default());
        Self { most: u64::from(most), wake: Arc::clone(wake), all, state, queue }
    }

    /// A permit for a request of the connection with this token, or a place in a queue.
    pub(crate) fn ask(self: &Arc<Self>, token: Token) -> Result<Permit, Place> {
        match self.take(token) {
            Ok(ticket) => ticket.into_permit(token),
            Err(spot) => Err(Place { of_client: None, spot }),
        }
    }

    fn take(self: &Arc<Self>, token: Token) -> Result<Ticket, Spot> {
        // Less than that: nobody waits, and there is one.
        let taken = self.change(|state| (state < self.most).then(|| state + 1));
        if taken { Ok(Ticket(Arc::clone(self))) } else { self.take_or_wait(token) }
    }

    #[cold]
    fn take_or_wait(self: &Arc<Self>, token: Token) -> Result<Ticket, Spot> {
        let mut queue = lock(&self.queue);
        // One may have been given back just now. Who gives one back later finds this one in the queue.
        let mut taken = false;
        self.change(|state| {
            taken = state < self.most;
            Some(state + if taken { 1 } else { ONE_WAITS })
        });
        if taken {
            return Ok(Ticket(Arc::clone(self)));
        }
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, token);
        Err(Spot { share: Some(Arc::clone(self)), number })
    }

    fn give_back(&self) {
        // Nobody waits.
        if !self.change(|state| (state < ONE_WAITS).then(|| state - 1)) {
            self.pass_on();
        }
    }

    /// The ticket is that of the first that waits, if it still does.
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

impl Ticket {
    /// With one of all, if there is one.
    fn into_permit(self, token: Token) -> Result<Permit, Place> {
        match self.0.all.as_ref().map(|all| all.take(token)).transpose() {
            Ok(of_all) => Ok(Permit { _of_client: self, _of_all: of_all }),
            Err(spot) => Err(Place { of_client: Some(self), spot }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Place {
    /// Whether it can go on, to its permit or to the next queue. It is woken then.
    pub(crate) fn is_due(&self) -> bool {
        self.spot.is_due()
    }

    /// The permit, if it is due.
    pub(crate) fn into_permit(self, token: Token) -> Result<Permit, Self> {
        let Self { of_client, spot } = self;
        match (spot.into_ticket(), of_client) {
            (Ok(of_all), Some(of_client)) => Ok(Permit { _of_client: of_client, _of_all: Some(of_all) }),
            (Ok(of_client), None) => of_client.into_permit(token),
            (Err(spot), of_client) => Err(Self { of_client, spot }),
        }
    }
}

impl Spot {
    fn is_due(&self) -> bool {
        self.share.as_ref().is_some_and(|share| !lock(&share.queue).waiting.contains_key(&self.number))
    }

    fn into_ticket(mut self) -> Result<Ticket, Self> {
        if self.is_due()
            && let Some(share) = self.share.take()
        {
            Ok(Ticket(share))
        } else {
            Err(self)
        }
    }
}

impl Drop for Spot {
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
        (Shares::new(2, 100, move |token| say.send(token.as_u64()).unwrap()), heard)
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
        let third = third.into_permit(Token::from_u64(3)).ok().unwrap();
        let fourth = fourth.into_permit(Token::from_u64(4)).err().unwrap();
        drop((first, third));
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [4, 5]);
        drop((
            fourth.into_permit(Token::from_u64(4)).ok().unwrap(),
            fifth.into_permit(Token::from_u64(5)).ok().unwrap(),
        ));
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
    fn all_clients_together_have_no_more_than_their_share() {
        let (say, woken) = channel();
        let shares = Shares::new(2, 3, move |token| say.send(token.as_u64()).unwrap());
        let (alice, bob, strangers) = (shares.of("alice"), shares.of("bob"), shares.of_strangers());
        let held = [&alice, &alice, &bob].map(|share| ask(share, 0).ok().unwrap());
        let [of_bob, of_strangers] = [(&bob, 1), (&strangers, 2)].map(|(share, token)| wait(share, token));
        let of_alice = wait(&alice, 3);
        assert_eq!([&alice, &bob, &strangers, &shares.all].map(|share| state(share)), [(2, 1), (2, 0), (1, 0), (3, 2)]);
        let [first, second, third] = held;
        // That of all goes to bob, and that of alice to her next request, which then waits for one of all.
        drop(first);
        let mut seen: Vec<_> = woken.try_iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 3]);
        let of_bob = of_bob.into_permit(Token::from_u64(1)).ok().unwrap();
        let of_alice = of_alice.into_permit(Token::from_u64(3)).err().unwrap();
        drop(third);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [2]);
        drop(of_strangers);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [3], "who left passes it on");
        drop((of_alice.into_permit(Token::from_u64(3)).ok().unwrap(), of_bob, second));
        assert_eq!([&alice, &bob, &strangers, &shares.all].map(|share| state(share)), [(0, 0); 4]);
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
        let shares = Shares::new(2, 2, move |token| wakers[token.as_u64() as usize].send(()).unwrap_or_default());
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
                                match place.into_permit(Token::from_u64(token)) {
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
