//! Records to put in a store.

use std::collections::BTreeSet;

use tokenbind_index::{
    Begin, BindingId, BindingLimit, BindingTag, BindingValue, FamilyLocator, Grace, Home, Issue, IssuePolicy, Locator,
    Namespace, Nonce, OverLimit, Refresh, Rotate, Selection, Slot, SlotDefinition, Subject,
};
use tokenbind_proto::index::v1::{RefreshFamilyRecord, TokenRecord};
use tokenbind_proto::v1::{BindingType, TokenFormat};

/// A token to issue; small numbers name its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) subject: u8,
    pub(crate) application: u8,
    pub(crate) scope: u8,
    /// 0 is unbound.
    pub(crate) device: u8,
    pub(crate) format: TokenFormat,
    pub(crate) generation: u32,
    pub(crate) lifetime_ms: u32,
    /// Tells tokens of one slot apart.
    pub(crate) serial: u32,
    /// 0 is no limit.
    pub(crate) limit: u32,
    pub(crate) over: OverLimit,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            subject: 1,
            application: 1,
            scope: 1,
            device: 0,
            format: TokenFormat::Jwt,
            generation: 1,
            lifetime_ms: 60_000,
            serial: 1,
            limit: 0,
            over: OverLimit::Reject,
        }
    }
}

pub(crate) fn home(subject: u8) -> Home {
    self::subject(subject).home()
}

fn subject(subject: u8) -> Subject {
    Subject::User(format!("user-{subject}"))
}

pub(crate) fn client_id(application: u8) -> String {
    format!("application-{application}")
}

pub(crate) fn device(device: u8) -> Option<BindingValue> {
    let id = if device > 0 {
        format!("device-{device}")
    } else {
        String::new()
    };
    BindingId::parse(&id)
        .expect("short enough")
        .map(BindingValue::ClientRequest)
}

pub(crate) fn tag(subject: u8, device: u8) -> BindingTag {
    self::device(device).map_or(BindingTag::UNBOUND, |value| value.tag(&home(subject)))
}

pub(crate) fn of_device(subject: u8, device: u8) -> Selection {
    Selection {
        application: None,
        binding: Some(tag(subject, device)),
    }
}

impl Sample {
    pub(crate) fn slot(&self) -> Slot {
        let reference =
            device(self.device).map(|value| value.reference(&Namespace::default(), &client_id(self.application)));
        SlotDefinition {
            client_id: &client_id(self.application),
            subject: &subject(self.subject),
            scopes: &BTreeSet::from([format!("scope-{}", self.scope)]),
            audiences: &BTreeSet::new(),
            format: self.format,
            actor: None,
            binding: reference,
        }
        .slot()
    }

    pub(crate) fn locator(&self) -> Locator {
        Locator {
            home: home(self.subject),
            slot: self.slot(),
            nonce: Nonce([0; 16]),
        }
    }

    pub(crate) fn record(&self) -> TokenRecord {
        let mut digest = [7; 32];
        digest[..4].copy_from_slice(&self.serial.to_be_bytes());
        let bound = self.device > 0;
        TokenRecord {
            generation: self.generation,
            digest: digest.to_vec(),
            lifetime_ms: self.lifetime_ms,
            format: self.format.into(),
            binding_type: if bound {
                BindingType::ClientRequest
            } else {
                BindingType::None
            }
            .into(),
            client_id: client_id(self.application),
            subject: subject(self.subject).claim(),
            scopes: vec![format!("scope-{}", self.scope)],
            ..TokenRecord::default()
        }
    }

    pub(crate) fn policy(&self) -> IssuePolicy {
        match self.format {
            TokenFormat::Opaque => IssuePolicy::Keep { except: None },
            _ => IssuePolicy::Replace,
        }
    }

    fn family(&self) -> RefreshFamilyRecord {
        RefreshFamilyRecord {
            client_id: client_id(self.application),
            subject: subject(self.subject).claim(),
            scopes: vec![format!("scope-{}", self.scope)],
            opaque_key_id: "key".to_owned(),
            ..RefreshFamilyRecord::default()
        }
    }

    /// A family that lives for ten minutes, and five without use.
    pub(crate) fn begin(&self, nonce: u8) -> Begin {
        Begin {
            nonce: Nonce([nonce; 16]),
            record: self.family(),
            lifetime_ms: 600_000,
            idle_ms: 300_000,
        }
    }

    pub(crate) fn refresh(&self, family: FamilyLocator, presented: u32, grace: Grace) -> Refresh {
        Refresh {
            family,
            presented,
            rotate: Some(Rotate {
                record: self.family(),
                idle_ms: 300_000,
                grace,
            }),
        }
    }

    pub(crate) fn issue(&self) -> Issue {
        Issue {
            home: home(self.subject),
            slot: self.slot(),
            record: self.record(),
            binding: tag(self.subject, self.device),
            policy: self.policy(),
            limit: (self.limit > 0).then_some(BindingLimit {
                max: self.limit,
                over: self.over,
            }),
        }
    }
}
