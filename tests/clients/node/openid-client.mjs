// https://github.com/panva/openid-client
import assert from "node:assert/strict";
import * as client from "openid-client";
import { importPKCS8 } from "jose";
import { insecure, setting } from "./steps.mjs";
import { tell } from "./story.mjs";

const key = await importPKCS8(setting.private_key_pem, "ES256");
const methods = {
  client_secret_basic: ({ secret }) => client.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => client.ClientSecretPost(secret),
  private_key_jwt: () => client.PrivateKeyJwt(key),
  none: () => client.None(),
};

async function discovered(app, metadata, server = setting.issuer) {
  const options = { algorithm: "oauth2", execute: insecure ? [client.allowInsecureRequests] : [] };
  return client.discovery(new URL(server), app.id, metadata, methods[app.method](app), options);
}

const resource = { id: setting.resource_id, method: "client_secret_basic", secret: setting.secret };

await tell({
  discover: async () => (await discovered(resource)).serverMetadata(),
  clientCredentials: async (app, parameters) => client.clientCredentialsGrant(await discovered(app), parameters),
  token: async (app, grant, parameters) => client.genericGrantRequest(await discovered(app), grant, parameters),
  refresh: async (app, token, parameters) => client.refreshTokenGrant(await discovered(app), token, parameters),
  revoke: async (app, token) => client.tokenRevocation(await discovered(app), token),
  introspect: async (token) => client.tokenIntrospection(await discovered(resource), token),
  introspectAsJwt: async (token) => {
    // The validator signs as itself, so it is whom the resource has to discover.
    const alg = { introspection_signed_response_alg: setting.introspection_alg };
    const config = await discovered(resource, alg, setting.validator);
    client.enableNonRepudiationChecks(config);
    let kind;
    config[client.customFetch] = async (url, options) => {
      const response = await fetch(url, options);
      if (url === config.serverMetadata().introspection_endpoint) kind = response.headers.get("content-type");
      return response;
    };
    const facts = await client.tokenIntrospection(config, token);
    assert.equal(kind, "application/token-introspection+jwt");
    return facts;
  },
});
