// An app with openid-client: it discovers the issuer, checks the id_token against the issuer's keys, refreshes and revokes.
import * as openid from "openid-client";
import { refusal, settings, tell, visit } from "./conversation.mjs";

const authentication = settings.clientSecret ? openid.ClientSecretBasic(settings.clientSecret) : openid.None();
const configuration = await openid.discovery(new URL(settings.issuer), settings.clientId, undefined, authentication, {
  // The server under test stays on this machine, without TLS; the id_token's signature is checked all the same.
  execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks],
});

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
const claims = tokens.claims();
const userinfo = configuration.serverMetadata().userinfo_endpoint
  ? await openid.fetchUserInfo(configuration, tokens.access_token, claims.sub)
  : null;

async function get(address, accessToken) {
  const response = await openid.fetchProtectedResource(configuration, accessToken, new URL(address), "GET");
  return response.json();
}

const patient = await get(`${settings.fhirBase}/Patient/${tokens.patient}`, tokens.access_token);
const user = await get(claims.fhirUser, tokens.access_token);
const pages = [];
for (let next = `${settings.fhirBase}/ExplanationOfBenefit?patient=${tokens.patient}`; next; ) {
  const page = await get(next, tokens.access_token);
  pages.push(page.entry.map((entry) => entry.resource.id));
  next = page.link.find((link) => link.relation === "next")?.url;
}

const introspected = await openid.tokenIntrospection(configuration, tokens.access_token);
const refreshed = await openid.refreshTokenGrant(configuration, tokens.refresh_token);
const again = await get(`${settings.fhirBase}/Patient/${refreshed.patient}`, refreshed.access_token);

await openid.tokenRevocation(configuration, refreshed.refresh_token);
const refused = await refusal(() => get(`${settings.fhirBase}/Patient/${tokens.patient}`, refreshed.access_token));
const notRefreshed = await refusal(() => openid.refreshTokenGrant(configuration, refreshed.refresh_token));
const afterwards = await openid.tokenIntrospection(configuration, refreshed.access_token);

tell({
  supportsPKCE: configuration.serverMetadata().supportsPKCE(),
  scope: tokens.scope,
  claims,
  userinfo,
  patient: patient.id,
  user: user.id,
  pages: pages.map((page) => page.length),
  claimIds: pages.flat(),
  introspected,
  isNewToken: refreshed.access_token !== tokens.access_token,
  again: again.id,
  refused: { status: refused.status, error: refused.cause[0].parameters.error },
  notRefreshed: { status: notRefreshed.status, error: notRefreshed.error },
  afterwards,
});
