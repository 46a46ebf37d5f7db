//! One client with two devices.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokenbind_tests::history::Slot;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::calls::{Caller, Held};
use crate::rig::{APPLICATIONS, CLIENTS, REPLICAS, USERS};

/// So that the machine has time for the services as well.
const PACE: Duration = Duration::from_millis(25);
const DEVICES: usize = 2;
/// Dead tokens that are shown again, and how many of them count as those that died a moment ago.
const REMEMBERED: usize = 48;
const LAST: usize = 12;
/// How often they are shown, and how many of these calls wait for their answers at a time: a validator that is cut off takes
/// long for what it does not know, and that must not keep anybody from asking what it does.
const EXAMINED: Duration = Duration::from_millis(50);
const MOST_EXAMINED: usize = 24;
const MOST_WATCHES: usize = 3;
/// The device whose tokens nobody ends: what becomes of them, faults do.
const QUIET_DEVICE: usize = 500;
/// How many steps it takes until an application revokes everything, on average.
const RARELY: u32 = 900;

type Dead = Rc<RefCell<VecDeque<Held>>>;

pub(super) struct Actor {
    caller: Caller,
    number: usize,
    rng: StdRng,
    assertions: Arc<AtomicUsize>,
    stopped: watch::Receiver<bool>,
    /// The newest token of each slot, if it has not ended.
    held: BTreeMap<Slot, Held>,
    /// Those that are left alone.
    quiet: BTreeMap<Slot, Held>,
    /// Tokens that were ended, or may have been.
    dead: Dead,
    /// Refresh tokens that were used.
    used: VecDeque<Held>,
    watches: Rc<Cell<usize>>,
}

impl Actor {
    pub(super) fn new(
        caller: Caller,
        number: usize,
        seed: u64,
        assertions: Arc<AtomicUsize>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            caller,
            number,
            rng: StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(number as u64)),
            assertions,
            stopped,
            held: BTreeMap::new(),
            quiet: BTreeMap::new(),
            dead: Rc::default(),
            used: VecDeque::new(),
            watches: Rc::default(),
        }
    }

    pub(super) async fn work(mut self) {
        for validator in 0..self.caller.directory.validators.len() {
            let (caller, dead, stopped) = (self.caller.clone(), Rc::clone(&self.dead), self.stopped.clone());
            let rng = StdRng::seed_from_u64(self.rng.random());
            tokio::task::spawn_local(examine(caller, dead, validator, rng, stopped));
        }
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*self.stopped.borrow() {
            pace.tick().await;
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let (slot, issuer) = (self.slot(), self.replica());
        match self.rng.random_range(0..100) {
            0..24 => self.show_live().await,
            24..30 => self.end_and_ask().await,
            30..46 => self.show_quiet().await,
            46..60 => self.obtain(slot).await,
            60..72 => self.go_on(slot).await,
            72..77 => {
                if let Some(held) = self.held.remove(&slot) {
                    self.caller.revoke_token(&held, issuer).await;
                    self.bury(held);
                }
            }
            77..84 => self.race(slot).await,
            84..87 => {
                if let Some(held) = self.held.get(&slot).cloned() {
                    self.caller.revoke_login(&held, issuer).await;
                    self.bury(held);
                }
            }
            87..90 => {
                self.caller.revoke_binding(slot, issuer).await;
                self.bury_all(|at| *at == slot);
            }
            90..92 => {
                // What is an application's own is everybody's.
                let subject = self.number;
                self.caller.revoke_subject(slot.application, subject, issuer).await;
                self.bury_all(|at| at.application == slot.application && at.subject == subject);
            }
            92..95 => self.refresh_twice(slot).await,
            95 => self.use_again().await,
            96..98 => self.watch(),
            98 => self.assert_twice().await,
            _ if self.rng.random_ratio(100, RARELY) => {
                self.caller.revoke_application(slot.application, issuer).await;
                self.bury_all(|at| at.application == slot.application);
            }
            _ => {}
        }
    }

    /// One of its own: of its user, or a device of its own of the application itself.
    fn slot(&mut self) -> Slot {
        let application = self.rng.random_range(0..APPLICATIONS.len());
        let of_user = self.rng.random_bool(0.4);
        Slot {
            application,
            subject: if of_user { self.number } else { USERS + application },
            device: self.number * DEVICES + self.rng.random_range(0..DEVICES),
        }
    }

    fn replica(&mut self) -> usize {
        self.rng.random_range(0..REPLICAS)
    }

    fn validator(&mut self) -> usize {
        self.rng.random_range(0..self.caller.directory.validators.len())
    }

    async fn show_live(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let which = self.rng.random_range(0..self.held.len());
        let Some(held) = self.held.values().nth(which).cloned() else {
            return;
        };
        let (validator, as_of_now) = (self.validator(), self.rng.random_bool(0.15));
        match self.caller.validate(&held.access, validator, as_of_now).await {
            Some(true) => {
                let held = self.held.get_mut(&held.slot).filter(|now| now.access == held.access);
                if let Some(held) = held {
                    held.allowed_by |= 1 << validator;
                }
            }
            // Somebody else ended it, or a fault did.
            Some(false) => self.bury(held),
            None => {}
        }
    }

    /// A token that only faults can end; sometimes it is refreshed.
    async fn show_quiet(&mut self) {
        let application = self.rng.random_range(0..APPLICATIONS.len());
        let subjects = [CLIENTS + self.number, USERS + application];
        let slot = Slot {
            application,
            subject: subjects[self.rng.random_range(0..subjects.len())],
            device: QUIET_DEVICE + self.number,
        };
        let (issuer, validator, as_of_now) = (self.replica(), self.validator(), self.rng.random_bool(0.15));
        let next = match self.quiet.get(&slot) {
            None => self.caller.issue(slot, issuer).await,
            Some(held) if held.refresh.is_some() && self.rng.random_bool(0.1) => {
                self.caller.refresh(held, issuer).await
            }
            Some(held) => {
                let good = self.caller.validate(&held.access, validator, as_of_now).await;
                (good != Some(false)).then(|| held.clone())
            }
        };
        match next {
            Some(next) => self.quiet.insert(slot, next),
            None => self.quiet.remove(&slot),
        };
    }

    async fn obtain(&mut self, slot: Slot) {
        let issuer = self.replica();
        let token = self.caller.issue(slot, issuer).await;
        self.hold(slot, token);
    }

    /// Refreshes, or logs in where there is nothing to refresh.
    async fn go_on(&mut self, slot: Slot) {
        let issuer = self.replica();
        let Some(held) = self.held.get(&slot).filter(|held| held.refresh.is_some()).cloned() else {
            return self.obtain(slot).await;
        };
        let next = self.caller.refresh(&held, issuer).await;
        self.use_up(held);
        self.hold(slot, next);
    }

    /// It is used for the first time while it is revoked.
    async fn race(&mut self, slot: Slot) {
        let own = Slot {
            subject: USERS + slot.application,
            ..slot
        };
        let issuer = self.replica();
        let token = self.caller.issue(own, issuer).await;
        self.hold(own, token);
        let Some(held) = self.held.remove(&own) else {
            return;
        };
        let caller = &self.caller;
        let first_uses = futures::future::join_all((0..REPLICAS).map(|by| caller.validate(&held.access, by, false)));
        tokio::join!(first_uses, caller.revoke_token(&held, issuer));
        self.bury(held);
    }

    /// One that validators keep ends, and they are asked at once: as of now, and then for what they keep, which is no answer any
    /// more, whether they were told of the end or not.
    async fn end_and_ask(&mut self) {
        let kept: Vec<_> = self.held.values().filter(|held| held.allowed_by > 0).cloned().collect();
        if kept.is_empty() {
            return;
        }
        let (held, issuer) = (kept[self.rng.random_range(0..kept.len())].clone(), self.replica());
        self.held.remove(&held.slot);
        self.caller.revoke_token(&held, issuer).await;
        let keepers = (0..self.caller.directory.validators.len()).filter(|by| held.allowed_by >> by & 1 == 1);
        futures::future::join_all(keepers.map(|by| self.caller.ask_again(&held.access, by))).await;
        self.bury(held);
    }

    async fn refresh_twice(&mut self, slot: Slot) {
        let of_user = Slot {
            subject: self.number,
            ..slot
        };
        let Some(held) = self.held.remove(&of_user) else {
            return self.obtain(of_user).await;
        };
        let (one, other) = tokio::join!(self.caller.refresh(&held, 0), self.caller.refresh(&held, 1));
        self.use_up(held);
        for token in [one, other] {
            self.hold(of_user, token);
        }
    }

    /// A refresh token that was used, once more: the login ends.
    async fn use_again(&mut self) {
        let issuer = self.replica();
        if let Some(held) = self.used.pop_front() {
            let token = self.caller.refresh(&held, issuer).await;
            self.hold(held.slot, token);
        }
    }

    async fn assert_twice(&mut self) {
        let number = self.assertions.fetch_add(1, Ordering::SeqCst);
        let assertion = self.caller.directory.assertion(number);
        let (caller, text) = (&self.caller, &assertion);
        tokio::join!(caller.assert(number, text, 0), caller.assert(number, text, 1));
    }

    fn watch(&mut self) {
        let watches = Rc::clone(&self.watches);
        let validator = self.validator();
        let Some(held) = self.held.values().next() else {
            return;
        };
        if watches.get() >= MOST_WATCHES {
            return;
        }
        watches.set(watches.get() + 1);
        let (caller, token, mut stopped) = (self.caller.clone(), held.access.clone(), self.stopped.clone());
        tokio::task::spawn_local(async move {
            let stopped = async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            caller.watch(&token, validator, stopped).await;
            watches.set(watches.get() - 1);
        });
    }

    fn hold(&mut self, slot: Slot, token: Option<Held>) {
        let Some(token) = token else { return };
        let known = self.held.remove(&slot);
        let allowed_by = known.as_ref().map_or(0, |known| known.allowed_by);
        let is_other = |known: &Held| known.access != token.access;
        if let Some(known) = known.filter(is_other) {
            self.dead.borrow_mut().push_back(known);
            self.held.insert(slot, token);
        } else {
            self.held.insert(slot, Held { allowed_by, ..token });
        }
        self.forget();
    }

    fn use_up(&mut self, held: Held) {
        self.used.push_back(held);
        self.forget();
    }

    fn bury(&mut self, held: Held) {
        self.held.remove(&held.slot);
        self.dead.borrow_mut().push_back(held);
        self.forget();
    }

    fn bury_all(&mut self, ended: impl Fn(&Slot) -> bool) {
        let slots: Vec<_> = self.held.keys().filter(|slot| ended(slot)).copied().collect();
        for slot in slots {
            if let Some(held) = self.held.remove(&slot) {
                self.bury(held);
            }
        }
    }

    fn forget(&mut self) {
        let mut dead = self.dead.borrow_mut();
        while dead.len() > REMEMBERED {
            dead.pop_front();
        }
        while self.used.len() > REMEMBERED {
            self.used.pop_front();
        }
    }
}

/// Which dead token is shown next: mostly one that the validator has allowed, or one that died a moment ago.
fn next_of(dead: &VecDeque<Held>, validator: usize, rng: &mut StdRng) -> Option<String> {
    let last = if rng.random_bool(0.8) { LAST } else { REMEMBERED };
    let known = dead.iter().rev().filter(|held| held.allowed_by >> validator & 1 == 1);
    let known: Vec<_> = known.take(last).collect();
    let shown: Vec<_> = if known.is_empty() || rng.random_bool(0.4) {
        dead.iter().skip(dead.len().saturating_sub(last)).collect()
    } else {
        known
    };
    (!shown.is_empty()).then(|| shown[rng.random_range(0..shown.len())].access.clone())
}

/// Shows dead tokens to a validator.
async fn examine(caller: Caller, dead: Dead, validator: usize, mut rng: StdRng, stopped: watch::Receiver<bool>) {
    let mut pace = interval(EXAMINED);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = Rc::new(Cell::new(0));
    while !*stopped.borrow() {
        pace.tick().await;
        let token = next_of(&dead.borrow(), validator, &mut rng);
        if let Some(token) = token
            && open.get() < MOST_EXAMINED
        {
            open.set(open.get() + 1);
            let (caller, open, as_of_now) = (caller.clone(), Rc::clone(&open), rng.random_bool(0.15));
            tokio::task::spawn_local(async move {
                if as_of_now {
                    caller.ask_again(&token, validator).await;
                } else {
                    caller.validate(&token, validator, false).await;
                }
                open.set(open.get() - 1);
            });
        }
    }
}
