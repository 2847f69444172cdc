//! The throttle by itself, with the time passed in.

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const GO_ON: Answer = Answer::GoOn { is_metered: false };
const METERED: Answer = Answer::GoOn { is_metered: true };

/// A throttle of two processors, whose machine is as busy as it is told.
struct Told {
    throttle: Arc<Throttle>,
    start: Instant,
    next_token: u64,
}

impl Told {
    fn busy() -> Self {
        let throttle = Arc::new(Throttle::new(2, || false));
        let told = Self { throttle, start: Instant::now(), next_token: 0 };
        told.is_busy(true);
        told
    }

    fn is_busy(&self, is_busy: bool) {
        self.throttle.told_busy.store(is_busy, Ordering::SeqCst);
    }

    /// A new connection asks, this many milliseconds after the start.
    fn ask(&mut self, network: u32, at: u32) -> (Answer, Entrance) {
        let mut entrance = Entrance::default();
        self.next_token += 1;
        (self.ask_with(&mut entrance, network, at), entrance)
    }

    /// The connection that asked last does.
    fn ask_with(&mut self, entrance: &mut Entrance, network: u32, at: u32) -> Answer {
        let token = Token::from_u64(self.next_token);
        self.throttle.ask(entrance, of(network), token, self.start + MS * at, || true)
    }

    /// Of so many connections, those that wait.
    fn flood(&mut self, connections: usize, network: u32, at: u32) -> Vec<Entrance> {
        let asked: Vec<_> = (0..connections).map(|_| self.ask(network, at)).collect();
        asked.into_iter().filter(|(answer, _)| *answer == Answer::Wait).map(|(_, entrance)| entrance).collect()
    }

    fn next(&self, at: u32) -> Option<u64> {
        match self.throttle.next_at(self.start + MS * at) {
            Named::Now(token) => Some(token.as_u64()),
            Named::In(_) | Named::Nobody => None,
        }
    }

    fn spend(&self, milliseconds: u32, at: u32) {
        self.throttle.spend(MS * milliseconds, self.start + MS * at);
    }

    /// For twenty milliseconds there is no more time.
    fn exhaust(&self, at: u32) {
        self.spend(5, at);
        self.spend(5, at);
    }

    fn remember(&self, network: u32, at: u32) {
        self.throttle.remember(of(network), self.start + MS * at);
    }

    fn report(&self, at: u32) -> Option<Report> {
        self.throttle.look(self.start + MS * at)
    }
}

fn of(network: u32) -> ClientNetwork {
    ClientNetwork::of(network.to_be_bytes().into())
}

#[test]
fn on_an_idle_machine_everybody_goes_on() {
    let mut told = Told::busy();
    told.is_busy(false);
    assert!((0..1000).all(|_| told.ask(1, 0).0 == GO_ON));
    assert_eq!(told.next(0), None);
}

#[test]
fn on_a_busy_machine_a_network_has_eight_handshakes_and_four_a_second() {
    let mut told = Told::busy();
    let mut passed_by = |at| (0..20).filter(|_| told.ask(1, at).0 == METERED).count();
    assert_eq!(passed_by(0), 8);
    assert_eq!([249, 250, 499, 500].map(&mut passed_by), [0, 1, 0, 1]);
    assert_eq!(passed_by(60_000), 8);
    assert_eq!(told.ask(2, 0).0, METERED, "another network has its own");
}

#[test]
fn a_token_is_for_all_parts_of_a_handshake_and_one_begun_while_idle_needs_its_own() {
    let mut told = Told::busy();
    let (_, mut with_token) = told.ask(1, 0);
    let _rest = (0..7).map(|_| told.ask(1, 0)).collect::<Vec<_>>();
    assert_eq!([(); 3].map(|()| told.ask_with(&mut with_token, 1, 1)), [METERED; 3]);
    told.is_busy(false);
    let (answer, mut begun_while_idle) = told.ask(1, 2);
    assert_eq!(answer, GO_ON);
    told.is_busy(true);
    assert_eq!(told.ask_with(&mut begun_while_idle, 1, 3), Answer::Wait);
}

#[test]
fn where_nothing_has_come_nothing_is_taken() {
    let told = Told::busy();
    for _ in 0..100 {
        let token = Token::from_u64(1);
        let answer = told.throttle.ask(&mut Entrance::default(), of(1), token, told.start, || false);
        assert_eq!(answer, GO_ON);
    }
}

#[test]
fn who_waits_goes_on_once_when_the_machine_is_idle_those_with_a_token_first() {
    let mut told = Told::busy();
    let mut waiting = told.flood(10, 1, 0);
    assert_eq!(waiting.len(), 2, "the ninth and the tenth");
    told.exhaust(0);
    waiting.extend(told.flood(1, 2, 0));
    assert_eq!(waiting.len(), 3, "it has a token, and no time is left for it");
    assert_eq!(told.next(0), None);
    assert!(waiting.iter().all(Entrance::is_held));
    told.is_busy(false);
    assert_eq!(told.ask(3, 0).0, Answer::Wait, "nobody is overtaken");
    assert_eq!([(); 5].map(|()| told.next(0)), [Some(11), Some(9), Some(10), None, None]);
    for mut named in waiting {
        assert_eq!(told.ask_with(&mut named, 1, 0), METERED);
        assert!(!named.is_held());
    }
    assert_eq!(told.ask(4, 0).0, GO_ON);
}

#[test]
fn who_leaves_gives_up_its_place() {
    let mut told = Told::busy();
    let waiting = told.flood(10, 1, 0);
    drop(waiting);
    told.is_busy(false);
    assert_eq!(told.next(0), None);
    assert_eq!(told.ask(2, 0).0, GO_ON);
}

#[test]
fn those_with_a_token_have_an_eighth_of_the_time_however_busy_the_machine_is() {
    let mut told = Told::busy();
    told.exhaust(0);
    let _waiting = (0..20_000).map(|network| told.ask(network, 0).1).collect::<Vec<_>>();
    let mut had = Duration::ZERO;
    for at in 0..10_000 {
        while told.next(at).is_some() {
            told.throttle.spend(MS * 3 / 10, told.start + MS * at);
            had += MS * 3 / 10;
        }
    }
    let share = 2 * 10 * SECOND / 8;
    assert!(had.abs_diff(share) < share / 50, "{had:?}");
}

#[test]
fn time_is_saved_up_and_overdrawn_only_for_moments() {
    let mut told = Told::busy();
    told.exhaust(0);
    let _waiting = (0..100).map(|network| told.ask(network, 0).1).collect::<Vec<_>>();
    assert_eq!(told.throttle.next_at(told.start + MS * 19), Named::In(MS));
    assert_eq!(told.next(20), Some(1));
    // Half a millisecond takes up the share of two.
    let mut count = 0;
    while told.next(60_000).is_some() {
        told.throttle.spend(MS / 2, told.start + SECOND * 60);
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn whoever_comes_from_where_a_client_was_authorised_lately_never_waits() {
    let mut told = Told::busy();
    told.remember(1, 0);
    told.remember(2, 300_000);
    assert!((0..100).all(|_| told.ask(1, 1).0 == GO_ON));
    let knows = |told: &mut Told, network, at| {
        told.throttle.state.lock().unwrap().known.contains(of(network), told.start + MS * at)
    };
    assert!([1, 2].into_iter().all(|network| knows(&mut told, network, 1_199_999)), "for ten minutes at least");
    told.remember(2, 1_199_999);
    assert_eq!([1, 2, 3].map(|network| knows(&mut told, network, 1_200_000)), [false, true, false]);
    assert!(!knows(&mut told, 2, 10_000_000));
}

#[test]
fn when_a_client_is_authorised_its_neighbours_go_on_however_busy_the_machine_is() {
    let mut told = Told::busy();
    let waiting = told.flood(10, 1, 0);
    let _others = told.flood(10, 2, 0);
    told.exhaust(0);
    assert_eq!(told.next(1), None);
    told.remember(1, 1);
    assert_eq!([(); 3].map(|()| told.next(1)), [Some(9), Some(10), None]);
    drop(waiting);
}

#[test]
fn it_is_a_flood_after_two_seconds_and_then_too_many_are_turned_away() {
    let mut told = Told::busy();
    let waiting = told.flood(2 * MOST_WAITING, 1, 0);
    assert_eq!((waiting.len(), told.report(0), told.report(1_999)), (2 * MOST_WAITING - 8, None, None));
    assert_eq!((told.report(2_000), told.report(2_001)), (Some(Report::Began), None));
    assert_eq!(told.ask(1, 2_001).0, METERED, "it has a token again");
    let _rest = told.flood(7, 1, 2_001);
    assert_eq!(told.ask(1, 2_001).0, Answer::TurnAway);
    told.exhaust(2_001);
    let with_token = |told: &Told| told.throttle.state.lock().unwrap().queues.of(Queue::Next).len();
    let mut strangers = Vec::new();
    while with_token(&told) < MOST_WAITING {
        strangers.push(told.ask(100 + strangers.len() as u32, 2_001));
    }
    // A few share a bucket with the first network.
    assert!(strangers.len() < MOST_WAITING + 50, "with a token, others have room");
    assert_eq!(told.ask(99, 2_001).0, Answer::TurnAway);
    assert!(told.throttle.is_flooded());
    drop((waiting, strangers));
    assert_eq!(told.report(12_000), None);
    let Some(Report::Ended { duration, turned_away }) = told.report(12_001) else { panic!("it has no end") };
    assert!(duration == MS * 2_001 && turned_away >= 2, "{turned_away}");
    assert!(!told.throttle.is_flooded() && told.report(12_002).is_none());
}

#[test]
fn in_a_flood_connections_wait_or_are_turned_away_when_they_are_accepted() {
    let mut told = Told::busy();
    let admit = |told: &Told, network, at| told.throttle.admit(of(network), Token::from_u64(0), told.start + MS * at);
    told.remember(3, 0);
    let _waiting = told.flood(2 * MOST_WAITING, 1, 0);
    told.report(0);
    assert!(!admit(&told, 1, 1_999).unwrap().is_held(), "it is none yet");
    told.report(2_000);
    let held: Vec<_> = (0..20).map_while(|_| admit(&told, 1, 2_000)).collect();
    assert!(held.len() == 8 && held.iter().all(Entrance::is_held), "there are eight tokens again");
    assert!(admit(&told, 2, 2_000).unwrap().is_held());
    assert!(!admit(&told, 3, 2_000).unwrap().is_held());
}

#[test]
fn a_burst_that_ends_before_is_none() {
    let mut told = Told::busy();
    let waiting = told.flood(10_000, 1, 0);
    assert_eq!(told.report(1_900), None);
    drop(waiting);
    assert_eq!(told.report(1_950), None);
    let _again = told.flood(10, 1, 1_951);
    assert_eq!(told.report(2_100), None);
}

#[test]
fn a_flood_ends_though_now_and_then_a_stranger_comes_who_finds_the_machine_idle() {
    let mut told = Told::busy();
    let waiting = told.flood(20, 1, 0);
    told.report(0);
    assert_eq!(told.report(2_000), Some(Report::Began));
    drop(waiting);
    told.is_busy(false);
    let mut reports = Vec::new();
    for at in (2_100..60_000).step_by(100) {
        // A health check without a certificate, every five seconds. It goes on at once.
        if at % 5_000 == 0 {
            let checks = told.throttle.admit(of(2), Token::from_u64(1000), told.start + MS * at).unwrap();
            assert!(!checks.is_held() || told.next(at) == Some(1000));
        }
        reports.extend(told.report(at));
    }
    assert!(matches!(reports[..], [Report::Ended { .. }]), "{reports:?}");
}

#[test]
fn slow_handshakes_have_no_more_than_their_part_of_the_time_either() {
    // As of a slow processor with an RSA key.
    const PART: u32 = 30;
    let throttle = Arc::new(Throttle::new(1, || true));
    let start = Instant::now();
    let mut entrances: Vec<_> = (0..2000).map(|_| Entrance::default()).collect();
    throttle.spend(MS * 5, start);
    for (entrance, network) in entrances.iter_mut().zip(0..) {
        let answer = throttle.ask(entrance, of(network), Token::from_u64(network.into()), start, || true);
        assert_eq!(answer, Answer::Wait);
    }
    let (mut had, mut at) = (0, 0);
    while at < 10_000 {
        match throttle.next_at(start + MS * at) {
            Named::Now(_) => {
                at += PART;
                had += PART;
                throttle.spend(MS * PART, start + MS * at);
            }
            _ => at += 1,
        }
    }
    assert!(had <= at * 14 / 100, "{had} of {at} ms");
}

#[test]
fn in_a_flood_who_has_been_answered_once_is_not_turned_away() {
    let mut told = Told::busy();
    let waiting = told.flood(20, 1, 0);
    told.report(0);
    assert_eq!(told.report(2_000), Some(Report::Began));
    let (answer, mut good) = told.ask(2, 2_000);
    assert_eq!(answer, METERED, "its hello is answered");
    told.exhaust(2_000);
    let _strangers: Vec<_> = (100..250).map(|network| told.ask(network, 2_001)).collect();
    good.is_under_way = true;
    told.next_token = 21;
    assert_eq!(told.ask_with(&mut good, 2, 2_002), Answer::Wait, "of its client's flight");
    assert_eq!(told.next(2_100), Some(21), "before those that begin");
    drop(waiting);
}
