// A certified OpenID provider (https://openid.net/certification/) for the tests: `node provider.js SETTINGS`.
//
// SETTINGS is JSON; certified_provider.py says what stands in it. The issuer comes on stdout once it listens. Into the
// file `record` goes a line of JSON for each request, with every secret in it: tests look for them elsewhere. While there is a
// file `down`, it answers with 503. It ends with its stdin.
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Provider } from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
const day = 86_400;
const tags = "https://aws.amazon.com/tags"; // AWS: session tags from a claim of the ID token
const loopback = /^http:\/\/(127\.0\.0\.1|localhost)([:/]|$)/; // these a native client may have, at any port
console.info = console.error; // notices are no issuer

/** By way of PEM: Node 20 can lock itself out where a key is exported while what has made it is collected. */
function signingKey() {
  const pem = { privateKeyEncoding: { type: "pkcs8", format: "pem" }, publicKeyEncoding: { type: "spki", format: "pem" } };
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048, ...pem });
  return { ...createPrivateKey(privateKey).export({ format: "jwk" }), use: "sig", alg: "RS256" };
}

function configuration() {
  const entra = settings.tenant !== null;
  const web = settings.client_secret !== null; // a hub: with a secret, and its refresh tokens rotate all the same
  return {
    clients: [
      {
        client_id: settings.client_id,
        application_type: settings.redirect_uris.every((uri) => loopback.test(uri)) ? "native" : "web",
        ...(web
          ? { token_endpoint_auth_method: "client_secret_post", client_secret: settings.client_secret }
          : { token_endpoint_auth_method: "none" }), // public: PKCE is required
        grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        response_types: ["code"],
        redirect_uris: settings.redirect_uris,
      },
    ],
    jwks: { keys: [signingKey()] },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    scopes: ["openid", "offline_access", "profile", "email"],
    claims: {
      openid: ["sub", ...(entra ? ["tid", "oid", "preferred_username"] : []), ...(web ? [tags, "hd", "idp"] : [])],
      email: ["email"],
      profile: ["name"],
    },
    conformIdTokenClaims: !entra, // Entra's ID tokens hold them, others give them at the userinfo endpoint
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: id,
        email: `${id}@example.org`,
        tid: settings.tenant,
        oid: "00000000-0000-0000-66f3-3332eca7ea81",
        preferred_username: `${id}@example.org`,
        [tags]: { principal_tags: { person: [id] } },
        hd: "example.org", // Google: the organisation
        idp: "https://idp.example.org/shibboleth", // CILogon: where the person signed in
      }),
    }),
    ...(web ? { rotateRefreshToken: true } : {}),
    features: {
      devInteractions: { enabled: true }, // any name and any password
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    ttl: {
      AccessToken: settings.access_token_seconds,
      IdToken: settings.id_token_seconds,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: day,
      Interaction: 3600,
      RefreshToken: day,
      Session: day,
    },
  };
}

/** What was asked and answered; written before the answer goes out. */
async function report(context, next) {
  await next();
  const { oidc, response, status } = context;
  appendFileSync(
    settings.record,
    `${JSON.stringify({
      route: oidc?.route ?? null,
      parameters: { ...oidc?.params, ...oidc?.body },
      status,
      location: response.get("location") || null,
      answer: response.is("json") ? context.body : null,
    })}\n`,
  );
}

const server = createServer({ key: readFileSync(settings.key), cert: readFileSync(settings.certificate) });
server.listen(settings.port, "127.0.0.1", () => {
  const issuer = `https://${settings.host}:${server.address().port}${settings.path}`;
  const provider = new Provider(issuer, configuration());
  provider.use(report);
  const handle = provider.callback();
  server.on("request", (request, answer) => {
    if (existsSync(settings.down)) {
      answer.writeHead(503).end();
      return;
    }
    if (!request.url.startsWith(`${settings.path}/`)) {
      answer.writeHead(404).end();
      return;
    }
    if (settings.tenant !== null && request.url.startsWith(`${settings.path}/auth?`)) {
      request.url += "&prompt=consent"; // OpenID Connect wants it for offline_access, Entra does not
    }
    request.originalUrl = request.url; // what comes before the rest is where the provider is mounted
    request.url = request.url.slice(settings.path.length);
    handle(request, answer);
  });
  process.stdout.write(`${issuer}\n`);
});
process.stdin.on("end", () => process.exit(0)).resume();
