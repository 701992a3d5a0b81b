// An app with openid-client that nobody registered: it discovers the issuer and registers itself, then does what apps do.
import * as openid from "openid-client";
import { refusal, settings, tell, visit } from "./conversation.mjs";

const configuration = await openid.dynamicClientRegistration(
  new URL(settings.issuer),
  {
    client_name: "An app that registers itself",
    redirect_uris: [settings.redirectUri],
    token_endpoint_auth_method: settings.clientId,
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  },
  undefined,
  // The server under test stays on this machine, without TLS.
  { execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks] },
);
const client = configuration.clientMetadata();

const pkceCodeVerifier = openid.randomPKCECodeVerifier();
const expectedState = openid.randomState();
const expectedNonce = openid.randomNonce();
const callback = await visit(
  openid.buildAuthorizationUrl(configuration, {
    redirect_uri: settings.redirectUri,
    scope: settings.scope,
    aud: settings.fhirBase,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  }),
);
const tokens = await openid.authorizationCodeGrant(configuration, callback, {
  pkceCodeVerifier,
  expectedState,
  expectedNonce,
  idTokenExpected: true,
});

async function read(accessToken) {
  const address = new URL(`${settings.fhirBase}/Patient/${tokens.patient}`);
  const response = await openid.fetchProtectedResource(configuration, accessToken, address, "GET");
  return response.json();
}

const patient = await read(tokens.access_token);
const refreshed = await openid.refreshTokenGrant(configuration, tokens.refresh_token);
const again = await read(refreshed.access_token);
await openid.tokenRevocation(configuration, refreshed.refresh_token);
const refused = await refusal(() => read(refreshed.access_token));
const notRefreshed = await refusal(() => openid.refreshTokenGrant(configuration, refreshed.refresh_token));

tell({
  client,
  audience: tokens.claims().aud,
  patient: patient.id,
  again: again.id,
  isNewToken: refreshed.access_token !== tokens.access_token,
  refused: refused.status,
  notRefreshed: { status: notRefreshed.status, error: notRefreshed.error },
});
