"""https://authlib.org: a client in every way that we have, as resource server by introspection."""

import time

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc.jwk import ECKey, KeySet
from joserfc import jwt

from steps import setting, step

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ALICE = {"username": setting.username, "password": setting.password}



def discovered(server):
    """What a server says of itself."""
    return requests.get(get_well_known_url(server, external=True)).json()


metadata = discovered(setting.issuer)
key = ECKey.import_key(setting.private_key_pem)


def client(client_id, method="client_secret_basic", secret=setting.secret):
    """A session of an application."""
    return OAuth2Session(
        client_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        token_endpoint=metadata["token_endpoint"],
    )


def signing(client_id):
    """One that signs what it says of itself: for the issuer, and good for a minute (Authlib's own would be an hour)."""
    session = client(client_id, "private_key_jwt", key)
    claims = {"aud": setting.issuer, "exp": int(time.time()) + 60}
    session.register_client_auth_method(PrivateKeyJWT(alg="ES256", claims=claims))
    return session


def token(session, grant="client_credentials", **parameters):
    """From the token endpoint."""
    return session.fetch_token(grant_type=grant, **parameters)


def login(session, device, **parameters):
    """A token for the user on a device."""
    return token(session, "password", tokenBindingId=device, **ALICE, **parameters)


def introspect(issued, **headers):
    """What the validator says to the resource."""
    resource = client(setting.resource_id)
    url = metadata["introspection_endpoint"]
    answer = resource.introspect_token(url, token=issued, **({"headers": headers} if headers else {}))
    assert answer.status_code == 200, answer.text
    return answer


def facts(issued):
    """The same, as JSON."""
    return introspect(issued["access_token"]).json()


def revoke(session, issued, status=200):
    """At the revocation endpoint."""
    answer = session.revoke_token(metadata["revocation_endpoint"], token=issued)
    assert answer.status_code == status, answer.text


def refused(error, ask, *arguments, **parameters):
    """Authlib raises what the endpoint says."""
    try:
        ask(*arguments, **parameters)
    except AuthlibBaseError as raised:
        assert raised.error == error, raised
    else:
        raise AssertionError(f"not refused, but {error} was to be expected")


@step("discovery (RFC 8414)")
def _():
    document = AuthorizationServerMetadata(metadata)
    # All that Authlib checks, but for what only a server with an authorization endpoint has.
    for name in document.REGISTRY_KEYS:
        if name != "response_types_supported":
            getattr(document, f"validate_{name}")()
    assert metadata["issuer"] == setting.issuer
    assert "none" not in metadata["token_endpoint_auth_signing_alg_values_supported"]


@step("client_credentials with client_secret_basic")
def _():
    issued = token(client("shop-jwt"), scope="orders.read")
    assert issued["token_type"] == "Bearer" and issued["expires_in"] > 0
    assert facts(issued)["sub"] == "shop-jwt"


@step("client_credentials with client_secret_post")
def _():
    shop = client("shop-opaque", "client_secret_post")
    assert token(shop)["access_token"] == token(shop)["access_token"]


@step("client_credentials with private_key_jwt")
def _():
    for _ in range(2):
        issued = token(signing("shop-signs"))
        assert facts(issued)["client_id"] == "shop-signs"


@step("password of a public client")
def _():
    issued = login(client("shop-public", "none", None), "tab")
    assert facts(issued)["username"] == setting.username


@step("password on two devices, jwt")
def _():
    shop = client("shop-jwt")
    phone, laptop = login(shop, "phone"), login(shop, "laptop")
    assert facts(phone)["binding_type"] == "client-request"
    assert facts(phone)["binding_ref"] != facts(laptop)["binding_ref"]
    following = login(shop, "phone")
    assert facts(phone) == {"active": False}
    assert facts(following)["active"] and facts(laptop)["active"]


@step("password on two devices, opaque")
def _():
    shop = client("shop-opaque", "client_secret_post")
    phone, again, laptop = login(shop, "phone"), login(shop, "phone"), login(shop, "laptop")
    assert phone["access_token"] == again["access_token"] != laptop["access_token"]
    assert facts(phone)["active"] and facts(laptop)["active"]


@step("refresh")
def _():
    shop = client("shop-jwt")
    first = dict(login(shop, "tablet", scope="orders.read orders.write"))
    old = first["refresh_token"]
    refused("invalid_grant", shop.refresh_token, refresh_token=old, tokenBindingId="other")
    refused("invalid_scope", shop.refresh_token, refresh_token=old, scope="orders.delete")
    second = dict(shop.refresh_token(refresh_token=old))
    assert second["refresh_token"] != old
    assert facts(first) == {"active": False}
    assert facts(second)["scope"] == "orders.read orders.write"


@step("token exchange (RFC 8693)")
def _():
    subject = token(client("shop-jwt"), "password", **ALICE)["access_token"]
    shop = client("shop-opaque")
    parameters = {"subject_token": subject, "subject_token_type": ACCESS_TOKEN}
    issued = token(shop, EXCHANGE, **parameters)
    assert issued["issued_token_type"] == ACCESS_TOKEN
    assert facts(issued)["sub"] == f"user:{setting.username}"
    refused("invalid_target", token, shop, EXCHANGE, audience="elsewhere", **parameters)


@step("revocation (RFC 7009)")
def _():
    shop = client("shop-jwt")
    phone, laptop = dict(login(shop, "lost")), dict(login(shop, "kept"))
    revoke(client("shop-opaque"), phone["access_token"], status=400)
    assert facts(phone)["active"]
    revoke(shop, phone["access_token"])
    revoke(shop, "unknown")
    assert facts(phone) == {"active": False}
    assert facts(laptop)["active"]
    revoke(shop, laptop["refresh_token"])
    assert facts(laptop) == {"active": False}


@step("refusals")
def _():
    shop = client("shop-jwt")
    refused("invalid_client", token, client("shop-jwt", secret="wrong"))
    refused("invalid_scope", token, shop, scope="elsewhere")
    refused("invalid_target", token, shop, resource="urn:elsewhere")
    refused("unsupported_grant_type", token, shop, "urn:example:grant")
    refused("invalid_grant", token, shop, "password", username=setting.username, password="wrong")
    assert facts(token(shop))["active"]


@step("introspection as JWT (RFC 9701)")
def _():
    kind = "application/token-introspection+jwt"
    answer = introspect(token(client("shop-opaque"))["access_token"], Accept=kind)
    assert answer.headers["content-type"] == kind
    # The validator signs as itself, so it is whom the resource has to discover.
    keys = KeySet.import_key_set(requests.get(discovered(setting.validator)["jwks_uri"]).json())
    said = jwt.decode(answer.text, keys, algorithms=[setting.introspection_alg])
    assert said.header["typ"] == "token-introspection+jwt"
    assert (said.claims["iss"], said.claims["aud"]) == (setting.validator, setting.resource_id)
    assert said.claims["token_introspection"]["client_id"] == "shop-opaque"
