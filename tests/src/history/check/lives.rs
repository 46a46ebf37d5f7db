//! When each token was issued, when it ended for certain, and from when on it may have ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::history::event::{Answer, Call, Event, History, Micros, RefreshNumber, Slot, TokenNumber};

/// Both services and the store count a token's seconds from instants of their own within one call, in whole seconds.
const SECOND: Micros = 1_000_000;
/// For so long after it failed a revocation may still be carried out: a store that was frozen goes on sooner. A store refuses to
/// issue what comes later than whoever sent it waits.
const LATE_REVOCATION: Micros = 10 * SECOND;
const LATE_ISSUE: Micros = 2 * SECOND;
/// Of each kind; more say nothing more.
const MOST_DEATHS: usize = 8;
/// A further login beyond these takes the place of the one used longest ago.
const MOST_LOGINS: usize = 16;

/// Which login. Refresh tokens of one follow each other.
pub(super) type Family = usize;

/// A token's end that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    /// When the caller knew.
    pub(super) at: Micros,
    /// The call.
    pub(super) event: usize,
    /// Whether a newer token took the slot: then it was written without waiting for a replica.
    pub(super) superseded: bool,
}

/// What is known of an access token.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) slot: Option<Slot>,
    /// The call that answered it first.
    pub(super) issue: usize,
    families: BTreeSet<Family>,
    pub(super) deaths: Vec<Death>,
    /// From here on it may be dead.
    pub(super) doubted_from: Micros,
    /// Not before here, and for certain here, by its own end.
    pub(super) expires: (Micros, Micros),
}

/// What is known of a refresh token.
#[derive(Debug)]
pub(super) struct RefreshLife {
    pub(super) family: Family,
    /// The call that answered it first.
    pub(super) issue: usize,
    /// The calls that presented it, by when they began.
    pub(super) uses: Vec<usize>,
}

/// What is known of a login.
#[derive(Debug)]
pub(super) struct Login {
    slot: Slot,
    begun: Micros,
    /// From here on it may have ended.
    pub(super) doubted_from: Micros,
}

/// All tokens of a history.
pub(super) struct Lives {
    pub(super) tokens: HashMap<TokenNumber, Life>,
    pub(super) refresh_tokens: BTreeMap<RefreshNumber, RefreshLife>,
    pub(super) logins: Vec<Login>,
}

/// Until when a call may have had its effect.
fn effective_until(history: &History, event: &Event) -> Micros {
    if !matches!(event.answer, Answer::Failed { .. }) {
        return event.end;
    }
    let issues = matches!(event.call, Call::Issue { .. } | Call::Refresh { .. });
    let mut until = event.end + if issues { LATE_ISSUE } else { LATE_REVOCATION };
    for stall in &history.stalls {
        if stall.end >= event.start && stall.start <= until {
            until += stall.end - stall.start;
        }
    }
    until
}

/// Until when a revocation may end what is issued: an issuer need not have heard of it yet.
fn heard_until(history: &History, event: &Event) -> Micros {
    let behind = match event.call {
        Call::RevokeApplication { .. } => history.promises.issuers_behind,
        _ => 0,
    };
    effective_until(history, event) + behind
}

impl Life {
    fn dies(&mut self, death: Death) {
        let same = self.deaths.iter().filter(|known| known.superseded == death.superseded);
        if same.count() < MOST_DEATHS {
            self.deaths.push(death);
        }
    }
}

impl Lives {
    pub(super) fn of(history: &History) -> Self {
        let mut lives = Self {
            tokens: HashMap::new(),
            refresh_tokens: BTreeMap::new(),
            logins: Vec::new(),
        };
        let mut order: Vec<usize> = (0..history.events.len()).collect();
        order.sort_by_key(|number| history.events[*number].start);
        lives.births(history);
        for number in &order {
            lives.note_use(&history.events[*number], *number);
        }
        let by_slot = Places::of(&lives, history);
        for number in order {
            lives.note_ends(history, &by_slot, number);
        }
        lives
    }

    pub(super) fn login_of(&self, refresh: RefreshNumber) -> Option<&Login> {
        self.logins.get(self.refresh_tokens.get(&refresh)?.family)
    }

    /// In the order of the answers, so that a refresh token is known before its successor.
    fn births(&mut self, history: &History) {
        for (number, event) in history.events.iter().enumerate() {
            let Answer::Issued {
                token,
                refresh,
                expires_in,
            } = event.answer
            else {
                continue;
            };
            let (slot, presented) = match event.call {
                Call::Issue { slot } => (Some(slot), None),
                Call::Refresh { slot, refresh } => (Some(slot), Some(refresh)),
                _ => (None, None),
            };
            let lifetime = Micros::from(expires_in) * SECOND;
            let life = self.tokens.entry(token).or_insert_with(|| Life {
                slot,
                issue: number,
                families: BTreeSet::new(),
                deaths: Vec::new(),
                doubted_from: Micros::MAX,
                expires: (
                    (event.start + lifetime).saturating_sub(2 * SECOND),
                    event.end + lifetime + SECOND,
                ),
            });
            let family = match (presented, refresh, slot) {
                (Some(presented), ..) => self.refresh_tokens.get(&presented).map(|known| known.family),
                (None, Some(_), Some(slot)) => {
                    self.logins.push(Login {
                        slot,
                        begun: event.start,
                        doubted_from: Micros::MAX,
                    });
                    Some(self.logins.len() - 1)
                }
                _ => None,
            };
            life.families.extend(family);
            if let Some((refresh, family)) = refresh.zip(family) {
                self.refresh_tokens.entry(refresh).or_insert_with(|| RefreshLife {
                    family,
                    issue: number,
                    uses: Vec::new(),
                });
            }
        }
    }

    fn note_use(&mut self, event: &Event, number: usize) {
        if let Call::Refresh { refresh, .. } = event.call
            && let Some(life) = self.refresh_tokens.get_mut(&refresh)
        {
            life.uses.push(number);
        }
    }

    /// What a call may have ended, and what it has.
    fn note_ends(&mut self, history: &History, places: &Places, number: usize) {
        let event = &history.events[number];
        match event.call {
            Call::Issue { slot } | Call::Refresh { slot, .. } => {
                self.supersede(history, places.in_slot(slot), number);
                if let Call::Refresh { refresh, .. } = event.call {
                    self.reuse(history, places, refresh, number);
                }
                if matches!(event.call, Call::Issue { .. }) {
                    self.crowd(slot, event.start);
                }
            }
            Call::RevokeToken { token } => self.revoke(history, &[token], number),
            Call::RevokeLogin { refresh } => {
                if let Some(family) = self.refresh_tokens.get(&refresh).map(|known| known.family) {
                    self.end_login(family, event.start);
                    self.revoke(history, places.of_family(family), number);
                }
            }
            Call::RevokeBinding { slot } => {
                self.end_logins(history, event, |at| *at == slot);
                self.revoke(history, places.in_slot(slot), number);
            }
            Call::RevokeSubject { application, subject } => {
                let of_subject = |slot: &Slot| slot.application == application && slot.subject == subject;
                self.end_logins(history, event, of_subject);
                self.revoke(history, &places.matching(of_subject), number);
            }
            Call::RevokeApplication { application } => {
                let of_application = |slot: &Slot| slot.application == application;
                self.end_logins(history, event, of_application);
                self.revoke(history, &places.matching(of_application), number);
            }
            Call::Assert { .. } | Call::Validate { .. } | Call::Watch { .. } => {}
        }
    }

    /// A slot has one live token: whatever was there before another one was asked for is dead when that one is answered.
    fn supersede(&mut self, history: &History, there: &[TokenNumber], number: usize) {
        let event = &history.events[number];
        let issued = match event.answer {
            Answer::Issued { token, .. } => Some(token),
            Answer::Refused { .. } => return,
            _ => None,
        };
        // The first answer alone says when a token took the slot; an opaque one that is answered again had it before.
        let took = issued.is_some_and(|newer| self.tokens.get(&newer).is_some_and(|newer| newer.issue == number));
        let until = effective_until(history, event);
        for token in there.iter().filter(|token| Some(**token) != issued) {
            let Some(life) = self.tokens.get_mut(token) else {
                continue;
            };
            let issue = &history.events[life.issue];
            if issue.start <= until {
                life.doubted_from = life.doubted_from.min(event.start);
            }
            if took && issue.end <= event.start {
                life.dies(Death {
                    at: event.end,
                    event: number,
                    superseded: true,
                });
            }
        }
    }

    /// A second use can end the login.
    fn reuse(&mut self, history: &History, places: &Places, refresh: RefreshNumber, number: usize) {
        let Some(life) = self.refresh_tokens.get(&refresh) else {
            return;
        };
        if life.uses.first() == Some(&number) {
            return;
        }
        let (family, start) = (life.family, history.events[number].start);
        self.end_login(family, start);
        for token in places.of_family(family) {
            self.doubt(history, *token, number);
        }
    }

    /// Too many logins push out the oldest.
    fn crowd(&mut self, slot: Slot, now: Micros) {
        let mut there: Vec<&mut Login> = self.logins.iter_mut().filter(|login| login.slot == slot).collect();
        there.retain(|login| login.begun <= now);
        if there.len() >= MOST_LOGINS {
            for login in there {
                login.doubted_from = login.doubted_from.min(now);
            }
        }
    }

    fn end_login(&mut self, family: Family, from: Micros) {
        if let Some(login) = self.logins.get_mut(family) {
            login.doubted_from = login.doubted_from.min(from);
        }
    }

    fn end_logins(&mut self, history: &History, event: &Event, is_meant: impl Fn(&Slot) -> bool) {
        let until = heard_until(history, event);
        let meant = |login: &&mut Login| is_meant(&login.slot) && login.begun <= until;
        for login in self.logins.iter_mut().filter(meant) {
            login.doubted_from = login.doubted_from.min(event.start);
        }
    }

    fn doubt(&mut self, history: &History, token: TokenNumber, number: usize) {
        let event = &history.events[number];
        if let Some(life) = self.tokens.get_mut(&token)
            && history.events[life.issue].start <= effective_until(history, event)
        {
            life.doubted_from = life.doubted_from.min(event.start);
        }
    }

    /// Whatever was issued before the call began is dead when it is acknowledged. Also without that it may be, and a call that
    /// failed may be carried out later.
    fn revoke(&mut self, history: &History, tokens: &[TokenNumber], number: usize) {
        let event = &history.events[number];
        let until = heard_until(history, event);
        for token in tokens {
            let Some(life) = self.tokens.get_mut(token) else {
                continue;
            };
            let issue = &history.events[life.issue];
            if issue.start <= until {
                life.doubted_from = life.doubted_from.min(event.start);
            }
            if event.answer == Answer::Revoked && issue.end <= event.start {
                life.dies(Death {
                    at: event.end,
                    event: number,
                    superseded: false,
                });
            }
        }
    }
}

/// Where tokens are.
struct Places {
    by_slot: BTreeMap<Slot, Vec<TokenNumber>>,
    by_family: HashMap<Family, Vec<TokenNumber>>,
}

impl Places {
    fn of(lives: &Lives, history: &History) -> Self {
        let (mut by_slot, mut by_family) = (BTreeMap::new(), HashMap::new());
        let mut tokens: Vec<_> = lives.tokens.iter().collect();
        tokens.sort_by_key(|(_, life)| history.events[life.issue].end);
        for (token, life) in tokens {
            if let Some(slot) = life.slot {
                by_slot.entry(slot).or_insert_with(Vec::new).push(*token);
            }
            for family in &life.families {
                by_family.entry(*family).or_insert_with(Vec::new).push(*token);
            }
        }
        Self { by_slot, by_family }
    }

    fn in_slot(&self, slot: Slot) -> &[TokenNumber] {
        self.by_slot.get(&slot).map_or(&[], Vec::as_slice)
    }

    fn of_family(&self, family: Family) -> &[TokenNumber] {
        self.by_family.get(&family).map_or(&[], Vec::as_slice)
    }

    fn matching(&self, matches: impl Fn(&Slot) -> bool) -> Vec<TokenNumber> {
        let slots = self.by_slot.iter().filter(|(slot, _)| matches(slot));
        slots.flat_map(|(_, tokens)| tokens.iter().copied()).collect()
    }
}
