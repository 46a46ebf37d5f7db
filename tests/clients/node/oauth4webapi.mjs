// https://github.com/panva/oauth4webapi
import * as oauth from "oauth4webapi";
import { importPKCS8 } from "jose";
import { insecure, setting } from "./steps.mjs";
import { tell } from "./story.mjs";

const key = await importPKCS8(setting.private_key_pem, "ES256");
const methods = {
  client_secret_basic: ({ secret }) => oauth.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => oauth.ClientSecretPost(secret),
  private_key_jwt: () => oauth.PrivateKeyJwt(key),
  none: () => oauth.None(),
};
const options = { [oauth.allowInsecureRequests]: insecure };

async function discovered(server) {
  const url = new URL(server);
  const response = await oauth.discoveryRequest(url, { ...options, algorithm: "oauth2" });
  return oauth.processDiscoveryResponse(url, response);
}

const as = await discovered(setting.issuer);

const of = (app) => [as, { client_id: app.id }, methods[app.method](app)];
const resource = { id: setting.resource_id, method: "client_secret_basic", secret: setting.secret };

await tell({
  discover: async () => as,
  clientCredentials: async (app, parameters) => {
    const response = await oauth.clientCredentialsGrantRequest(...of(app), parameters, options);
    return oauth.processClientCredentialsResponse(as, { client_id: app.id }, response);
  },
  token: async (app, grant, parameters) => {
    const response = await oauth.genericTokenEndpointRequest(...of(app), grant, parameters, options);
    return oauth.processGenericTokenEndpointResponse(as, { client_id: app.id }, response);
  },
  refresh: async (app, token, parameters) => {
    const more = { ...options, additionalParameters: parameters };
    const response = await oauth.refreshTokenGrantRequest(...of(app), token, more);
    return oauth.processRefreshTokenResponse(as, { client_id: app.id }, response);
  },
  revoke: async (app, token) => {
    const response = await oauth.revocationRequest(...of(app), token, options);
    return oauth.processRevocationResponse(response);
  },
  introspect: async (token) => {
    const response = await oauth.introspectionRequest(...of(resource), token, options);
    return oauth.processIntrospectionResponse(as, { client_id: resource.id }, response);
  },
  introspectAsJwt: async (token) => {
    // The validator signs as itself, so it is whom the resource has to discover.
    const validator = await discovered(setting.validator);
    const [, , authentication] = of(resource);
    const client = { client_id: resource.id, introspection_signed_response_alg: setting.introspection_alg };
    const more = { ...options, requestJwtResponse: true };
    const response = await oauth.introspectionRequest(validator, client, authentication, token, more);
    const facts = await oauth.processIntrospectionResponse(validator, client, response);
    await oauth.validateApplicationLevelSignature(validator, response, options);
    return facts;
  },
});
