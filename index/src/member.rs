//! An entry of a subject's list: which slot or family, and what it is filed under.

use crate::binding::{ApplicationTag, BindingTag};
use crate::family::FamilyPosition;
use crate::locator::Slot;
use crate::store::{Issue, Selection};

/// Slot, application tag and binding tag, in this order; the scripts of the Redis store cut it up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) slot: Slot,
    pub(crate) application: ApplicationTag,
    pub(crate) binding: BindingTag,
}

impl Member {
    pub(crate) const BYTES: usize = 29;

    pub(crate) fn of(issue: &Issue) -> Self {
        Self {
            slot: issue.slot,
            application: ApplicationTag::of(&issue.record.client_id),
            binding: issue.binding,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.slot.0);
        bytes[16..21].copy_from_slice(&self.application.0);
        bytes[21..].copy_from_slice(&self.binding.0);
        bytes
    }

    pub(crate) fn slot_in(bytes: &[u8]) -> Option<Slot> {
        (bytes.len() == Self::BYTES)
            .then(|| bytes.first_chunk().copied().map(Slot))
            .flatten()
    }
}

/// An entry of a subject's list. The scripts of the Redis store tell the two apart by their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Listed {
    Token(Member),
    Family(FamilyPosition),
}

impl Listed {
    pub(crate) fn tags(&self) -> (ApplicationTag, BindingTag) {
        match self {
            Self::Token(member) => (member.application, member.binding),
            Self::Family(position) => (position.application, position.binding),
        }
    }

    pub(crate) fn is_selected(&self, selection: &Selection) -> bool {
        let (application, binding) = self.tags();
        selection.application.is_none_or(|selected| selected == application)
            && selection.binding.is_none_or(|selected| selected == binding)
    }
}
