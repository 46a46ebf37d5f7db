//! Whom the issuer trusts at this moment: the catalog may change while it runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::declared::TrustDeclaration;
use super::registry::{Trust, TrustError};

/// Trust that can be replaced as a whole. A call goes by what it began with.
pub struct CurrentTrust(ArcSwap<Trust>);

impl From<Trust> for CurrentTrust {
    fn from(trust: Trust) -> Self {
        Self(ArcSwap::from_pointee(trust))
    }
}

impl CurrentTrust {
    /// What is trusted now.
    pub fn now(&self) -> Arc<Trust> {
        self.0.load_full()
    }

    /// Trusts what is declared, from now on.
    pub(crate) fn replace(&self, declaration: TrustDeclaration) -> Result<(), TrustError> {
        let next = self.0.load().succeeded_by(declaration)?;
        self.0.store(Arc::new(next));
        Ok(())
    }
}

impl fmt::Debug for CurrentTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.load().fmt(f)
    }
}
