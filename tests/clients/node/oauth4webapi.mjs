// https://www.npmjs.com/package/oauth4webapi
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
const issuer = new URL(setting.issuer);
const as = await oauth
  .discoveryRequest(issuer, { ...options, algorithm: "oauth2" })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));

const of = (app) => [as, { client_id: app.id }, methods[app.method](app)];
const resource = { id: setting.resource_id, method: "client_secret_basic", secret: setting.secret };

async function introspect(client, token, more) {
  const [, , authentication] = of(resource);
  const response = await oauth.introspectionRequest(as, client, authentication, token, { ...options, ...more });
  return { response, facts: await oauth.processIntrospectionResponse(as, client, response) };
}

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
  introspect: async (token) => (await introspect({ client_id: resource.id }, token)).facts,
  introspectAsJwt: async (token) => {
    const client = { client_id: resource.id, introspection_signed_response_alg: setting.introspection_alg };
    const { response, facts } = await introspect(client, token, { requestJwtResponse: true });
    // Against the keys in the metadata of the issuer: who signed it is who issues the tokens.
    await oauth.validateApplicationLevelSignature(as, response, options);
    return facts;
  },
});
