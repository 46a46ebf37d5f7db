"""Takes the fuzzer deeper than chance would: most of what it makes up gets real credentials, tokens and names, in ways that
depend on what it made up, so that a case stays the same when it is run again. At the end it prints what was answered."""

import atexit
import base64
import hashlib
import json
import random
import time
from collections import Counter, deque

import jwt
import requests
import schemathesis

from steps import setting

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANTS = [
    "password",
    "client_credentials",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
]
SCOPES = ["orders.read", "orders.write", "orders.read orders.write", "orders.write orders.read", "orders.elsewhere"]
AUDIENCES = ["orders-api", "stock-api", "elsewhere"]
DEVICES = ["phone", "laptop", " ", "\u00e9", "{}:", "NONE"]
APPLICATIONS = ["shop-jwt", "shop-opaque", "shop-signs", "shop-public", "nobody"]

# Tokens of answers, the newest last.
tokens = {"access": deque(["tbo_x"], maxlen=32), "refresh": deque(["tbr_x"], maxlen=32)}
answers = Counter()


def chance_of(case):
    """Random, but the same for the same case."""
    text = json.dumps([case.operation.label, case.body], sort_keys=True, default=repr)
    return random.Random(hashlib.sha256(text.encode()).digest())


def assertion(client_id):
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": setting.issuer, "iat": now, "exp": now + 60}
    claims["jti"] = f"fuzz-{random.getrandbits(64)}"
    return jwt.encode(claims, setting.private_key_pem, algorithm="ES256")


def authenticate(body, headers, chance):
    """As one of the applications, the way it should; seldom as another. Wrong secrets would end in waiting (429)."""
    for name in ["client_id", "client_secret", "client_assertion", "client_assertion_type"]:
        body.pop(name, None)
    headers.pop("Authorization", None)
    client_id = chance.choices(APPLICATIONS, [8, 8, 3, 3, 0.2])[0]
    if client_id == "shop-signs":
        body |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(client_id)}
    elif client_id == "shop-public":
        body["client_id"] = client_id
    elif chance.random() < 0.5:
        body |= {"client_id": client_id, "client_secret": setting.secret}
    else:
        headers["Authorization"] = basic(client_id, setting.secret)
    if chance.random() < 0.05:
        # In two ways at once.
        body["client_assertion"] = "x"


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def token_request(body, chance):
    often = lambda: chance.random() < 0.8  # noqa: E731
    if chance.random() < 0.9:
        body["grant_type"] = grant = chance.choice(GRANTS)
        if grant == "password":
            # Never a wrong password of a user that there is: that, too, would end in waiting.
            body |= {"username": setting.username, "password": setting.password}
        elif grant == "refresh_token" and often():
            body["refresh_token"] = chance.choice(tokens["refresh"])
        elif grant.endswith("token-exchange") and often():
            body |= {"subject_token": chance.choice(tokens["access"]), "subject_token_type": ACCESS_TOKEN}
            for name in ["actor_token", "actor_token_type", "requested_token_type"]:
                if often():
                    body.pop(name, None)
    for name, values in [("scope", SCOPES), ("audience", AUDIENCES), ("tokenBindingId", DEVICES)]:
        if often():
            body.pop(name, None)
            if chance.random() < 0.6:
                body[name] = chance.choice(values)
    if often():
        body.pop("resource", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    chance = chance_of(case)
    if not isinstance(case.body, dict) or chance.random() < 0.1:
        return
    body, headers = dict(case.body), case.headers
    if case.operation.path == "/oauth2/introspect":
        headers["Authorization"] = basic(setting.resource_id, setting.secret)
        if chance.random() < 0.3:
            headers["Accept"] = "application/token-introspection+jwt"
    else:
        authenticate(body, headers, chance)
    if case.operation.path == "/oauth2/token":
        token_request(body, chance)
    elif chance.random() < 0.8:
        kind = "refresh" if chance.random() < 0.2 else "access"
        body["token"] = chance.choice(tokens[kind])
    case.body = body


@schemathesis.hook
def after_call(context, case, response):
    error = ""
    if response.headers.get("content-type", [""])[0] == "application/json":
        answer = response.json()
        error = answer.get("error", "")
        for kind in tokens:
            if f"{kind}_token" in answer:
                tokens[kind].append(answer[f"{kind}_token"])
    answers[f"{case.operation.label} {response.status_code} {error}".strip()] += 1


def issue(client_id, **parameters):
    """Tokens to begin with."""
    body = {"grant_type": "password", "username": setting.username, "password": setting.password, **parameters}
    answer = requests.post(f"{setting.issuer}/oauth2/token", data=body, auth=(client_id, setting.secret))
    assert answer.status_code == 200, answer.text
    tokens["access"].append(answer.json()["access_token"])
    tokens["refresh"].append(answer.json()["refresh_token"])


for application in ["shop-jwt", "shop-opaque"]:
    for device in ["phone", "laptop"]:
        issue(application, tokenBindingId=device)

@atexit.register
def tell():
    for answer, count in sorted(answers.items()):
        print("answered", count, answer)
