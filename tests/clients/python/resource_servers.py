"""Resource servers that know the issuer's id and their audience, and nothing else: https://github.com/jpadilla/pyjwt and
https://authlib.org."""

import base64
import json

import jwt
import requests
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc8414 import get_well_known_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from joserfc.errors import JoseError

from steps import setting, step

AUDIENCE = "orders-api"
metadata = requests.get(get_well_known_url(setting.issuer, external=True)).json()


def issued(**parameters):
    """A token of the application itself."""
    body = {"grant_type": "client_credentials", **parameters}
    answer = requests.post(metadata["token_endpoint"], data=body, auth=("shop-jwt", setting.secret))
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def altered(token, **claims):
    header, payload, signature = token.split(".")
    return ".".join([header, encoded({**decoded(payload), **claims}), signature])


def forged(token):
    """Everything as it should be, but for the key."""
    header, payload, _ = token.split(".")
    kinds = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    header = decoded(header)
    key = kinds[header["alg"]]()
    return jwt.encode(decoded(payload), key, algorithm=header["alg"], headers=header)


def unsigned(token):
    return ".".join([encoded({"alg": "none", "typ": "at+jwt"}), token.split(".")[1], ""])


def tell(name, verify, errors):
    """The same tokens to each."""

    def refused(token):
        try:
            verify(token)
        except errors:
            return
        raise AssertionError("not refused")

    @step(f"{name}: a good token")
    def _():
        claims = verify(issued(scope="orders.read"))
        assert claims["client_id"] == claims["sub"] == "shop-jwt"
        assert claims["scope"] == "orders.read"

    @step(f"{name}: one for another audience")
    def _():
        refused(issued(audience="stock-api"))

    @step(f"{name}: altered and forged ones")
    def _():
        token = issued()
        refused(altered(token, scope="orders.delete"))
        refused(forged(token))
        refused(unsigned(token))
        verify(token)


keys = jwt.PyJWKClient(metadata["jwks_uri"])


def pyjwt(token):
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=[setting.signing_alg], issuer=setting.issuer, audience=AUDIENCE)


tell("PyJWT", pyjwt, jwt.PyJWTError)


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(metadata["jwks_uri"]).json()


validator = Validator(setting.issuer, AUDIENCE)


def authlib(token):
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, ["orders.read"], None)
    return claims


# Authlib takes the algorithms that joserfc recommends: EdDSA is not one of them.
if setting.signing_alg != "EdDSA":
    tell("Authlib", authlib, (InvalidTokenError, JoseError))
