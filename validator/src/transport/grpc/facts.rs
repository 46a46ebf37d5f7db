//! What an answer says of a token, written straight from what is known of it: a message with a text for each field would cost
//! more than all of the judging.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BufMut;
use prost::Message as _;
use tokenbind_index::{BindingRef, EXTERNAL_PREFIX, Locator, Subject, USER_PREFIX};
use tokenbind_proto::answering::WriteFacts;
use tokenbind_proto::v1;

use super::response::timestamp;
use crate::facts::{Grant, KnownToken};

/// The numbers of the fields of `TokenFacts`.
mod field {
    pub(super) const SUBJECT: u32 = 2;
    pub(super) const USERNAME: u32 = 3;
    pub(super) const BINDING: u32 = 7;
    pub(super) const ISSUED_AT: u32 = 8;
    pub(super) const EXPIRES_AT: u32 = 9;
    pub(super) const TOKEN_ID: u32 = 10;
    pub(super) const AUTHORIZED_USER_TYPE: u32 = 11;
    pub(super) const CLAIMS: u32 = 12;
    pub(super) const ACT: u32 = 13;
}

/// The numbers of the fields of `Binding`.
const BINDING_TYPE: u32 = 1;
const BINDING_REF: u32 = 2;

/// A varint with the number of a field and how its value is written (protobuf, "Message Structure").
const fn key(number: u32, wire_type: u32) -> u64 {
    ((number << 3) | wire_type) as u64
}

const VARINT: u32 = 0;
const LENGTH: u32 = 2;

impl WriteFacts for KnownToken {
    fn written_len(&self) -> usize {
        let mut length = Length(0);
        write(self, &mut length);
        length.0
    }

    fn write(&self, mut buffer: &mut dyn BufMut) {
        write(self, &mut buffer);
    }
}

fn write(token: &KnownToken, out: &mut impl Out) {
    out.bytes(token.grant.written(written));
    let (prefix, name) = match &token.subject {
        Subject::User(name) => (USER_PREFIX, name),
        Subject::Application(client_id) => ("", client_id),
        Subject::External(name) => (EXTERNAL_PREFIX, name),
    };
    out.varint(key(field::SUBJECT, LENGTH));
    out.varint((prefix.len() + name.len()) as u64);
    out.bytes(prefix.as_bytes());
    out.bytes(name.as_bytes());
    out.text(field::USERNAME, token.subject.username().unwrap_or_default());
    write_binding(token, out);
    out.message(field::ISSUED_AT, &timestamp(token.issued_at_us));
    out.message(field::EXPIRES_AT, &timestamp(token.expires_at_us));
    out.base64(field::TOKEN_ID, &token.locator.to_bytes());
    out.text(field::AUTHORIZED_USER_TYPE, token.subject.authorized_user_type());
    if let Some(claims) = &token.claims {
        out.message(field::CLAIMS, claims.as_ref());
    }
    if let Some(act) = &token.act {
        out.message(field::ACT, act.as_ref());
    }
}

fn write_binding(token: &KnownToken, out: &mut impl Out) {
    let binding_type = i32::from(token.binding.binding_type());
    let binding_type = u64::try_from(binding_type).unwrap_or_default();
    let mut length = Length(0);
    write_binding_fields(binding_type, token.binding.reference(), &mut length);
    out.varint(key(field::BINDING, LENGTH));
    out.varint(length.0 as u64);
    write_binding_fields(binding_type, token.binding.reference(), out);
}

fn write_binding_fields(binding_type: u64, reference: Option<&BindingRef>, out: &mut impl Out) {
    out.varint(key(BINDING_TYPE, VARINT));
    out.varint(binding_type);
    if let Some(reference) = reference {
        out.base64(BINDING_REF, &reference.0);
    }
}

/// The fields that many tokens have in common.
fn written(grant: &Grant) -> Box<[u8]> {
    let facts = v1::TokenFacts {
        client_id: grant.client_id.clone(),
        scopes: grant.scopes.clone(),
        audiences: grant.audiences.clone(),
        token_format: grant.format.into(),
        ..v1::TokenFacts::default()
    };
    facts.encode_to_vec().into()
}

/// The longest bytes that are written as base64url.
const MAX_BASE64: usize = Locator::BYTES;

/// Where fields go, so that their length is made up of the very same parts as they are.
trait Out {
    fn bytes(&mut self, bytes: &[u8]);
    fn varint(&mut self, value: u64);
    fn base64(&mut self, number: u32, bytes: &[u8]);
    fn message(&mut self, number: u32, message: &impl prost::Message);

    /// An empty text is not written.
    fn text(&mut self, number: u32, text: &str) {
        if !text.is_empty() {
            self.varint(key(number, LENGTH));
            self.varint(text.len() as u64);
            self.bytes(text.as_bytes());
        }
    }
}

struct Length(usize);

impl Out for Length {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn varint(&mut self, value: u64) {
        self.0 += prost::encoding::encoded_len_varint(value);
    }

    fn base64(&mut self, number: u32, bytes: &[u8]) {
        let length = base64_len(bytes);
        self.varint(key(number, LENGTH));
        self.varint(length as u64);
        self.0 += length;
    }

    fn message(&mut self, number: u32, message: &impl prost::Message) {
        let length = message.encoded_len();
        self.varint(key(number, LENGTH));
        self.varint(length as u64);
        self.0 += length;
    }
}

impl Out for &mut dyn BufMut {
    fn bytes(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }

    fn varint(&mut self, value: u64) {
        prost::encoding::encode_varint(value, self);
    }

    fn base64(&mut self, number: u32, bytes: &[u8]) {
        let mut text = [0; base64_len(&[0; MAX_BASE64])];
        // It fits: nothing longer than the longest is written so.
        let length = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or_default();
        self.varint(key(number, LENGTH));
        self.varint(length as u64);
        self.put_slice(text.get(..length).unwrap_or_default());
    }

    fn message(&mut self, number: u32, message: &impl prost::Message) {
        prost::encoding::message::encode(number, message, self);
    }
}

/// Base64 without padding (RFC 4648, section 5).
const fn base64_len(bytes: &[u8]) -> usize {
    (bytes.len() * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost_types::{Struct, Value, value::Kind};
    use tokenbind_proto::answering::{Facts, ValidateTokenResponse};
    use tokenbind_proto::v1::{BindingType, TokenFormat};

    use super::*;
    use crate::facts::{TokenBinding, TokenFacts};

    /// Field by field, as a message with a text for each of them would have it.
    fn message(token: &TokenFacts) -> v1::TokenFacts {
        let grant = &token.grant;
        v1::TokenFacts {
            client_id: grant.client_id.clone(),
            subject: token.subject.claim(),
            username: token.subject.username().unwrap_or_default().to_owned(),
            scopes: grant.scopes.clone(),
            audiences: grant.audiences.clone(),
            token_format: grant.format.into(),
            binding: Some(v1::Binding {
                r#type: token.binding.binding_type().into(),
                r#ref: token.binding.reference().map(BindingRef::encode).unwrap_or_default(),
            }),
            issued_at: Some(timestamp(token.issued_at_us)),
            expires_at: Some(timestamp(token.expires_at_us)),
            token_id: token.locator.encode(),
            authorized_user_type: token.subject.authorized_user_type().to_owned(),
            claims: token.claims.as_deref().cloned(),
            act: token.act.as_deref().cloned(),
        }
    }

    fn bindings() -> impl Strategy<Value = TokenBinding> {
        let reference = any::<[u8; 32]>().prop_map(BindingRef);
        prop_oneof![
            Just(TokenBinding::None),
            Just(TokenBinding::Unprovable(BindingType::Dpop)),
            reference.clone().prop_map(TokenBinding::ClientRequest),
            (reference, any::<[u8; 32]>())
                .prop_map(|(reference, sha256)| TokenBinding::Certificate { reference, sha256 }),
        ]
    }

    fn tokens() -> impl Strategy<Value = TokenFacts> {
        let text = || "\\PC{0,300}";
        let grant = (text(), vec(text(), 0..4), vec(text(), 0..4), any::<bool>());
        let times = (0_u64..=253_402_300_799_000_000, 0_u64..=253_402_300_799_000_000);
        let rest = (bindings(), any::<[u8; 16]>(), proptest::option::of(text()));
        (grant, text(), 0..3, times, rest).prop_map(|(grant, name, kind, times, rest)| {
            let (client_id, scopes, audiences, jwt) = grant;
            let (binding, slot, claim) = rest;
            let mut locator = [0; Locator::BYTES];
            locator[16..32].copy_from_slice(&slot);
            TokenFacts {
                grant: Arc::new(Grant {
                    format: if jwt { TokenFormat::Jwt } else { TokenFormat::Opaque },
                    client_id,
                    scopes,
                    audiences,
                    issuer: None,
                    written: OnceLock::new(),
                }),
                act: (kind == 2).then(|| {
                    let before = v1::Actor {
                        subject: name.clone(),
                        ..v1::Actor::default()
                    };
                    Box::new(v1::Actor {
                        subject: name.clone(),
                        issuer: name.clone(),
                        actor: Some(Box::new(before)),
                    })
                }),
                subject: match kind {
                    0 => Subject::User(name),
                    1 => Subject::Application(name),
                    _ => Subject::External(name),
                },
                binding,
                locator: Locator::from_bytes(&locator).unwrap(),
                issued_at_us: times.0,
                not_before_us: 0,
                expires_at_us: times.1,
                record_ends_at_us: 0,
                revision: 1,
                generation: 1,
                claims: claim.map(|text| {
                    let kind = Some(Kind::StringValue(text.clone()));
                    Box::new(Struct {
                        fields: [(text, Value { kind })].into(),
                    })
                }),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_message(token in tokens()) {
            let expected = message(&token);
            let facts = Facts::new(Arc::new(KnownToken::from(token)));
            let answer = ValidateTokenResponse { token: Some(facts), http_status: 200, ..Default::default() };
            let written = answer.encode_to_vec();
            prop_assert_eq!(written.len(), answer.encoded_len());
            let read = v1::ValidateTokenResponse::decode(written.as_slice()).unwrap();
            prop_assert_eq!(read.token, Some(expected));
            prop_assert_eq!(read.http_status, 200);
        }
    }
}
