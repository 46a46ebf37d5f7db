//! Where a call came from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The address that a call came from, as far as it tells callers apart: the TCP peer. A proxy in between is the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer(Option<IpAddr>);

impl Peer {
    /// The peer of a connection; `None` where there is none.
    pub fn of(address: Option<SocketAddr>) -> Self {
        Self(address.map(|address| match address.ip().to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            // Whoever has one address of a /64 has all of them.
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }))
    }

    /// The address, or nothing.
    pub(super) fn address(self) -> Option<IpAddr> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_address_is_one_caller_whatever_its_form() {
        assert_eq!(peer("[::ffff:192.0.2.1]:1"), peer("192.0.2.1:2"));
        assert_ne!(peer("192.0.2.1:1"), peer("192.0.2.2:1"));
        assert_eq!(peer("[2001:db8::1]:1"), peer("[2001:db8::ffff:1]:1"));
        assert_ne!(peer("[2001:db8::1]:1"), peer("[2001:db8:0:1::1]:1"));
        assert_eq!(Peer::of(None), Peer::default());
    }
}
