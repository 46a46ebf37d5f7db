// npm oidc-provider with its in-memory adapter, with what both servers are asked for: client_credentials for an opaque and for a
// JWT access token (Ed25519), and introspection. Prints its address when it listens.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [secret] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("ed25519");
const formats = { "urn:opaque": "opaque", "urn:jwt": "jwt" };

const client = (client_id, more) => ({
  client_id,
  client_secret: secret,
  redirect_uris: [],
  response_types: [],
  grant_types: ["client_credentials"],
  token_endpoint_auth_method: "client_secret_basic",
  id_token_signed_response_alg: "EdDSA",
  ...more,
});

const provider = new Provider("http://localhost", {
  clients: [client("bench-opaque"), client("bench-jwt"), client("bench-api")],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "EdDSA", use: "sig", kid: "1" }] },
  scopes: ["orders.read"],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "orders.read",
        audience: "bench-api",
        accessTokenFormat: formats[resource],
        accessTokenTTL: 3600,
        jwt: { sign: { alg: "EdDSA" } },
      }),
    },
  },
});

const server = createServer(provider.callback());
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
