// What every library does in turn. A library is an adapter: how it discovers, asks for a token, refreshes, introspects and
// revokes with its own functions.
import assert from "node:assert/strict";
import { setting, step } from "./steps.mjs";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

const app = (id, method, secret) => ({ id, method, secret: secret ?? setting.secret });
const jwt = app("shop-jwt", "client_secret_basic");
const opaque = app("shop-opaque", "client_secret_post");
const signs = app("shop-signs", "private_key_jwt");
const browser = app("shop-public", "none");
const alice = { username: setting.username, password: setting.password };

// The library throws, and says with what: the code in the body, or at least the status.
async function refused(promise, status, error) {
  const thrown = await promise.then(() => undefined, (reason) => reason);
  assert.ok(thrown, `not refused, but ${error} was to be expected`);
  assert.equal(thrown.status, status, String(thrown));
  if (thrown.error !== undefined) assert.equal(thrown.error, error);
}

export async function tell(library) {
  const login = (who, device, more) => library.token(who, "password", { ...alice, tokenBindingId: device, ...more });

  await step("discovery (RFC 8414)", async () => {
    const metadata = await library.discover();
    assert.equal(metadata.issuer, setting.issuer);
    for (const endpoint of ["token", "revocation", "introspection"]) {
      assert.ok(metadata[`${endpoint}_endpoint`], endpoint);
    }
    for (const method of ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]) {
      assert.ok(metadata.token_endpoint_auth_methods_supported.includes(method), method);
    }
    for (const grant of ["password", "client_credentials", "refresh_token", EXCHANGE]) {
      assert.ok(metadata.grant_types_supported.includes(grant), grant);
    }
    assert.ok(!metadata.token_endpoint_auth_signing_alg_values_supported.includes("none"));
  });

  await step("client_credentials with client_secret_basic", async () => {
    const token = await library.clientCredentials(jwt, { scope: "orders.read" });
    assert.equal(token.token_type, "bearer");
    assert.ok(token.expires_in > 0);
    assert.equal(token.refresh_token, undefined);
    const facts = await library.introspect(token.access_token);
    assert.equal(facts.active, true);
    assert.equal(facts.sub, jwt.id);
    assert.equal(facts.binding_type, "none");
  });

  await step("client_credentials with client_secret_post", async () => {
    const token = await library.clientCredentials(opaque, {});
    const again = await library.clientCredentials(opaque, {});
    assert.equal(token.access_token, again.access_token);
  });

  await step("client_credentials with private_key_jwt", async () => {
    const token = await library.clientCredentials(signs, { scope: "orders.read" });
    assert.equal((await library.introspect(token.access_token)).client_id, signs.id);
    // Each request has an assertion of its own: one is good for one use.
    await library.clientCredentials(signs, { scope: "orders.read" });
  });

  await step("password of a public client", async () => {
    const token = await login(browser, "tab");
    assert.equal((await library.introspect(token.access_token)).username, setting.username);
  });

  await step("password on two devices, jwt", async () => {
    const phone = await login(jwt, "phone");
    const laptop = await login(jwt, "laptop");
    const facts = await library.introspect(phone.access_token);
    assert.equal(facts.active, true);
    assert.equal(facts.sub, `user:${setting.username}`);
    assert.equal(facts.scope, "orders.read");
    assert.equal(facts.binding_type, "client-request");
    assert.notEqual(facts.binding_ref, (await library.introspect(laptop.access_token)).binding_ref);
    const next = await login(jwt, "phone");
    assert.notEqual(next.access_token, phone.access_token);
    assert.deepEqual(await library.introspect(phone.access_token), { active: false });
    assert.equal((await library.introspect(next.access_token)).active, true);
    assert.equal((await library.introspect(laptop.access_token)).active, true);
  });

  await step("password on two devices, opaque", async () => {
    const phone = await login(opaque, "phone");
    const again = await login(opaque, "phone");
    const laptop = await login(opaque, "laptop");
    assert.equal(again.access_token, phone.access_token);
    assert.ok(again.expires_in <= phone.expires_in);
    assert.notEqual(laptop.access_token, phone.access_token);
    assert.equal((await library.introspect(phone.access_token)).active, true);
  });

  await step("refresh", async () => {
    const first = await login(jwt, "tablet", { scope: "orders.read orders.write" });
    await refused(library.refresh(jwt, first.refresh_token, { tokenBindingId: "other" }), 400, "invalid_grant");
    await refused(library.refresh(jwt, first.refresh_token, { scope: "orders.delete" }), 400, "invalid_scope");
    const second = await library.refresh(jwt, first.refresh_token, {});
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal((await library.introspect(first.access_token)).active, false);
    const facts = await library.introspect(second.access_token);
    assert.equal(facts.scope, "orders.read orders.write");
    assert.equal(facts.binding_type, "client-request");
    const narrowed = await library.refresh(jwt, second.refresh_token, { scope: "orders.read" });
    assert.equal((await library.introspect(narrowed.access_token)).scope, "orders.read");
  });

  await step("token exchange (RFC 8693)", async () => {
    const subject = await library.token(jwt, "password", alice);
    const parameters = { subject_token: subject.access_token, subject_token_type: ACCESS_TOKEN };
    const token = await library.token(opaque, EXCHANGE, { ...parameters, audience: "orders-api" });
    assert.equal(token.issued_token_type, ACCESS_TOKEN);
    const facts = await library.introspect(token.access_token);
    assert.equal(facts.sub, `user:${setting.username}`);
    assert.equal(facts.client_id, opaque.id);
    const actor = await library.clientCredentials(opaque, {});
    const acting = { actor_token: actor.access_token, actor_token_type: ACCESS_TOKEN };
    const delegated = await library.token(opaque, EXCHANGE, { ...parameters, ...acting });
    assert.equal((await library.introspect(delegated.access_token)).act.sub, opaque.id);
    await refused(library.token(opaque, EXCHANGE, { ...parameters, audience: "elsewhere" }), 400, "invalid_target");
  });

  await step("revocation (RFC 7009)", async () => {
    const phone = await login(jwt, "lost");
    const laptop = await login(jwt, "kept");
    await refused(library.revoke(opaque, phone.access_token), 400, "unauthorized_client");
    assert.equal((await library.introspect(phone.access_token)).active, true);
    await library.revoke(jwt, phone.access_token);
    await library.revoke(jwt, "unknown");
    assert.deepEqual(await library.introspect(phone.access_token), { active: false });
    assert.equal((await library.introspect(laptop.access_token)).active, true);
    await library.revoke(jwt, laptop.refresh_token);
    assert.equal((await library.introspect(laptop.access_token)).active, false);
    await refused(library.refresh(jwt, laptop.refresh_token, {}), 400, "invalid_grant");
  });

  await step("refusals", async () => {
    await refused(library.clientCredentials({ ...jwt, secret: "wrong" }, {}), 401, "invalid_client");
    await refused(library.clientCredentials({ ...opaque, secret: "wrong" }, {}), 401, "invalid_client");
    await refused(library.clientCredentials(jwt, { scope: "elsewhere" }), 400, "invalid_scope");
    await refused(library.clientCredentials(jwt, { resource: "urn:elsewhere" }), 400, "invalid_target");
    await refused(library.clientCredentials(browser, {}), 400, "unauthorized_client");
    await refused(library.token(jwt, "urn:example:grant", {}), 400, "unsupported_grant_type");
    await refused(library.token(jwt, "password", { ...alice, password: "wrong" }), 400, "invalid_grant");
    await library.clientCredentials(jwt, {});
  });

  await step("introspection as JWT (RFC 9701)", async () => {
    const token = await library.clientCredentials(opaque, {});
    const facts = await library.introspectAsJwt(token.access_token);
    assert.equal(facts.active, true);
    assert.equal(facts.client_id, opaque.id);
    assert.deepEqual(await library.introspectAsJwt("unknown"), { active: false });
  });
}
