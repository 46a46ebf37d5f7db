// Resource servers that know the issuer's id and their audience, and nothing else: https://github.com/panva/jose,
// https://github.com/panva/oauth4webapi, and an Envoy with `jwt_authn`.
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { insecure, setting, step } from "./steps.mjs";

const AUDIENCE = "orders-api";
const options = { [oauth.allowInsecureRequests]: insecure };
const issuer = new URL(setting.issuer);
const as = await oauth
  .discoveryRequest(issuer, { ...options, algorithm: "oauth2" })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));

async function issued(parameters) {
  const client = { client_id: "shop-jwt" };
  const authentication = oauth.ClientSecretBasic(setting.secret);
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, options);
  return (await oauth.processClientCredentialsResponse(as, client, response)).access_token;
}

const part = (text) => JSON.parse(Buffer.from(text, "base64url"));
const encoded = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");

function altered(token, claims) {
  const [header, payload, signature] = token.split(".");
  return [header, encoded({ ...part(payload), ...claims }), signature].join(".");
}

// Everything as it should be, but for the key.
async function forged(token, more) {
  const [header, payload] = token.split(".");
  const { privateKey, publicKey } = await generateKeyPair(setting.signing_alg, { crv: "Ed25519" });
  const jwk = await exportJWK(publicKey);
  const protectedHeader = { ...part(header), ...(more.withItsKey ? { jwk } : {}) };
  return new SignJWT(part(payload)).setProtectedHeader(protectedHeader).sign(privateKey);
}

async function tell(name, verify) {
  const refused = (token) => assert.rejects(verify(token), (error) => /^(ERR_J|OAUTH_)/.test(error.code));
  await step(`${name}: a good token`, async () => {
    const token = await issued({ scope: "orders.read" });
    const claims = await verify(token);
    assert.equal(part(token.split(".")[0]).alg, setting.signing_alg);
    assert.equal(claims.client_id, "shop-jwt");
    assert.equal(claims.sub, "shop-jwt");
    assert.equal(claims.scope, "orders.read");
  });
  await step(`${name}: one for another audience`, async () => refused(await issued({ audience: "stock-api" })));
  await step(`${name}: altered and forged ones`, async () => {
    const token = await issued({});
    await refused(altered(token, { scope: "orders.delete" }));
    await refused(await forged(token, {}));
    await refused(await forged(token, { withItsKey: true }));
    const [, payload] = token.split(".");
    await refused(`${encoded({ alg: "none", typ: "at+jwt" })}.${payload}.`);
    await verify(token);
  });
}

// Envoy judges before anything else is asked; what it lets pass is answered with what it found in the token.
async function throughEnvoy(token) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { status, headers: found } = await fetch(setting.envoy, { headers });
  if (status !== 200) throw Object.assign(new Error(`Envoy answers ${status}`), { status, code: "ERR_JWT" });
  return { client_id: found.get("x-client-id"), sub: found.get("x-subject"), scope: found.get("x-scope") };
}

await tell("Envoy", throughEnvoy);
await step("Envoy: no token", async () => assert.rejects(throughEnvoy(undefined), { status: 401 }));

const keys = createRemoteJWKSet(new URL(as.jwks_uri));
await tell("jose", async (token) => {
  const { payload } = await jwtVerify(token, keys, { issuer: setting.issuer, audience: AUDIENCE, typ: "at+jwt" });
  return payload;
});

await tell("oauth4webapi", async (token) => {
  const request = new Request("http://api.example/orders", { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(as, request, AUDIENCE, options);
});
