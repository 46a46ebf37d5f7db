//! What a binding does, as commands to paste into a shell. The tests run them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ready::Ready;
use super::samples::{self, PASSWORD, RESOURCE, USERNAME};

/// The commands. They need a POSIX shell, grpcurl and curl.
pub(super) fn text(ready: &Ready) -> String {
    let Ready { issuer, validator, .. } = ready;
    let issue = format!(
        "issue() {{ grpcurl -plaintext -d '{{\"client_id\":\"'$1'\",\"client_secret\":\"'$2'\",\"token_binding_id\":\"'$3'\",\
         \"password\":{{\"username\":\"{USERNAME}\",\"password\":\"{PASSWORD}\"}}}}' {issuer} \
         tokenbind.v1.TokenService/IssueToken | sed -n 's/.*\"accessToken\": *\"\\([^\"]*\\)\".*/\\1/p'; }}"
    );
    let caller = if ready.caller_auth {
        format!("-H 'authorization: Basic {}' ", basic(RESOURCE))
    } else {
        String::new()
    };
    let judge = format!(
        "judge() {{ grpcurl -plaintext {caller}-d '{{\"token\":\"'$1'\"}}' {validator} \
         tokenbind.v1.ValidationService/ValidateToken | grep -oE '(DECISION|REASON)_[A-Z_]+' | xargs; }}"
    );
    let lose = format!(
        "grpcurl -plaintext -H 'authorization: Basic {}' -d '{{\"subject\":\"user:{USERNAME}\",\
         \"token_binding_id\":\"phone-1\"}}' {issuer} tokenbind.v1.BindingService/RevokeBinding",
        basic("shop-jwt")
    );
    let [jwt, opaque, intruder, api] = ["shop-jwt", "shop-opaque", "intruder", RESOURCE].map(samples::secret);
    format!(
        "\
Paste this into a shell that has grpcurl and curl:

SHOP={jwt} OPAQUE={opaque} INTRUDER={intruder}
{issue}
{judge}

# 1. {USERNAME} logs in on two phones: each has a token, and both are good.
P1=$(issue shop-jwt $SHOP phone-1); judge $P1
P2=$(issue shop-jwt $SHOP phone-2); judge $P2

# 2. phone-1 asks again: its first token is dead at once, its new one and phone-2's are good.
NEW=$(issue shop-jwt $SHOP phone-1); judge $P1; judge $NEW; judge $P2

# 3. Opaque tokens are used again: the same device gets the same token.
O1=$(issue shop-opaque $OPAQUE phone-1); O2=$(issue shop-opaque $OPAQUE phone-1); \
[ $O1 = $O2 ] && echo the same token; judge $O1

# 4. phone-1 is lost: its token is dead, phone-2 goes on.
{lose}
judge $NEW; judge $P2

# 5. A good token of an application that {RESOURCE} does not accept: 403.
X=$(issue intruder $INTRUDER); judge $X

# 6. OAuth over HTTP is on the same ports: forms in, JSON out.
curl -s -u shop-jwt:$SHOP -d grant_type=password -d username={USERNAME} -d password={PASSWORD} -d tokenBindingId=phone-3 \
http://{issuer}/oauth2/token; echo
curl -s -u {RESOURCE}:{api} -d token=$P2 http://{validator}/oauth2/introspect; echo
curl -s http://{issuer}/.well-known/oauth-authorization-server; echo"
    )
}

fn basic(id: &str) -> String {
    STANDARD.encode(format!("{id}:{}", samples::secret(id)))
}
