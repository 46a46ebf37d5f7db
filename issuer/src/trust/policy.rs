//! Which policy an exchange falls under.

use tokenbind_proto::v1::GrantType;

use super::declared::{ExchangePolicy, Party};

/// Whom a token that was proven speaks for, as policies name it. Of a chain of actors only the outermost is ever looked at (RFC
/// 8693, section 4.1): it is who shows its token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PartyRef<'a> {
    /// A token of ours, issued to this application.
    Issued(&'a str),
    /// A token of a trusted issuer.
    External { trusted_issuer: &'a str, subject: &'a str },
}

impl Party {
    fn fits(&self, party: PartyRef<'_>) -> bool {
        match (self, party) {
            (Self::Issued { client_ids }, PartyRef::Issued(client_id)) => client_ids.iter().any(|id| id == client_id),
            (
                Self::External {
                    trusted_issuer,
                    subjects,
                },
                PartyRef::External {
                    trusted_issuer: name,
                    subject,
                },
            ) => trusted_issuer == name && subjects.iter().any(|pattern| matches(pattern, subject)),
            _ => false,
        }
    }
}

impl ExchangePolicy {
    /// Whether it is about this exchange.
    pub(super) fn fits(
        &self,
        grant: GrantType,
        client_id: &str,
        subject: PartyRef<'_>,
        actor: Option<PartyRef<'_>>,
    ) -> bool {
        let actor_fits = match (&self.actor, actor) {
            (None, None) => true,
            (Some(party), Some(actor)) => party.fits(actor),
            _ => false,
        };
        actor_fits
            && self.grants.contains(&grant)
            && self.client_ids.iter().any(|id| id == client_id)
            && self.subject.fits(subject)
    }
}

/// Byte for byte; only a `*` at the end stands for anything.
fn matches(pattern: &str, subject: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => subject.starts_with(beginning),
        None => pattern == subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(subjects: &[&str]) -> ExchangePolicy {
        ExchangePolicy {
            name: "p".to_owned(),
            grants: vec![GrantType::TokenExchange],
            client_ids: vec!["cart".to_owned()],
            subject: Party::External {
                trusted_issuer: "cluster".to_owned(),
                subjects: subjects.iter().map(ToString::to_string).collect(),
            },
            actor: None,
            scopes: Vec::new(),
            audiences: vec!["orders".to_owned()],
        }
    }

    fn external(subject: &str) -> PartyRef<'_> {
        PartyRef::External {
            trusted_issuer: "cluster",
            subject,
        }
    }

    #[test]
    fn a_subject_is_compared_byte_for_byte_a13() {
        let fits = |pattern: &str, subject: &str| {
            policy(&[pattern]).fits(GrantType::TokenExchange, "cart", external(subject), None)
        };
        assert!(fits("system:a", "system:a") && fits("system:*", "system:a") && fits("*", ""));
        for (pattern, subject) in [
            ("system:.", "system:a"),
            ("system:a", "system:ab"),
            ("system:*", "System:a"),
            ("*:a", "system:a"),
            ("[a-z]*", "a"),
        ] {
            assert!(!fits(pattern, subject), "{pattern} {subject}");
        }
    }

    #[test]
    fn whatever_differs_is_not_the_exchange_of_the_policy() {
        let policy = policy(&["*"]);
        let exchange = GrantType::TokenExchange;
        assert!(policy.fits(exchange, "cart", external("a"), None));
        assert!(!policy.fits(GrantType::JwtBearer, "cart", external("a"), None));
        assert!(!policy.fits(exchange, "other", external("a"), None));
        assert!(!policy.fits(exchange, "cart", PartyRef::Issued("cart"), None));
        assert!(!policy.fits(exchange, "cart", external("a"), Some(external("a"))));
        let other = PartyRef::External {
            trusted_issuer: "other",
            subject: "a",
        };
        assert!(!policy.fits(exchange, "cart", other, None));
        let delegation = ExchangePolicy {
            actor: Some(Party::Issued {
                client_ids: vec!["cart".to_owned()],
            }),
            ..policy
        };
        assert!(delegation.fits(exchange, "cart", external("a"), Some(PartyRef::Issued("cart"))));
        assert!(!delegation.fits(exchange, "cart", external("a"), Some(PartyRef::Issued("other"))));
        assert!(!delegation.fits(exchange, "cart", external("a"), None));
    }
}
