// An app with fhir-kit-client, which leaves the OAuth exchange to its user: here fetch and node:crypto.
import { createHash, randomBytes } from "node:crypto";
import { CapabilityTool, Client } from "fhir-kit-client";
import { refusal, settings, tell, visit } from "./conversation.mjs";

const client = new Client({ baseUrl: settings.fhirBase });
const { authorizeUrl, tokenUrl } = await client.smartAuthMetadata();
const { revocation_endpoint: revocationUrl } = await client.request(".well-known/smart-configuration");
const capabilities = new CapabilityTool(await client.capabilityStatement());

const verifier = randomBytes(32).toString("base64url");
const state = randomBytes(16).toString("base64url");
authorizeUrl.search = new URLSearchParams({
  response_type: "code",
  client_id: settings.clientId,
  redirect_uri: settings.redirectUri,
  scope: settings.scope,
  state,
  aud: client.baseUrl,
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
});
const callback = await visit(authorizeUrl);
if (callback.searchParams.get("state") !== state) throw new Error("not the answer to this app's question");

async function post(url, form) {
  const body = new URLSearchParams({ client_id: settings.clientId, ...form });
  const response = await fetch(url, { method: "POST", body });
  const text = await response.text();
  return { status: response.status, ...(text ? JSON.parse(text) : {}) };
}

const token = await post(tokenUrl, {
  grant_type: "authorization_code",
  code: callback.searchParams.get("code"),
  redirect_uri: settings.redirectUri,
  code_verifier: verifier,
});
client.bearerToken = token.access_token;

const patient = await client.read({ resourceType: "Patient", id: token.patient });

const pages = [];
const query = { resourceType: "ExplanationOfBenefit", searchParams: { patient: token.patient, _count: 30 } };
for (let page = await client.search(query); page; page = await client.nextPage({ bundle: page })) pages.push(page);
const claims = pages.flatMap((page) => page.entry.map((entry) => entry.resource));

const pharmacy = await client.search({
  resourceType: "ExplanationOfBenefit",
  searchParams: { type: "pharmacy", _include: ["ExplanationOfBenefit:provider", "ExplanationOfBenefit:coverage"], _count: 100 },
  options: { postSearch: true },
});
const dispensed = pharmacy.entry.find((entry) => entry.search.mode === "match").resource;
const inBundle = await client.resolve({ reference: dispensed.provider.reference, context: pharmacy });
const fetched = await client.resolve({ reference: dispensed.insurer.reference });
const earlier = await client.vread({
  resourceType: "ExplanationOfBenefit",
  id: claims[0].id,
  version: claims[0].meta.versionId,
});

const refreshed = await post(tokenUrl, { grant_type: "refresh_token", refresh_token: token.refresh_token });
client.bearerToken = refreshed.access_token;
const again = await client.read({ resourceType: "Patient", id: token.patient });

const revoked = await post(revocationUrl, { token: refreshed.refresh_token });
const refused = await refusal(() => client.read({ resourceType: "Patient", id: token.patient }));
const notRefreshed = await post(tokenUrl, { grant_type: "refresh_token", refresh_token: refreshed.refresh_token });

tell({
  searchable: capabilities.resourceSearch("ExplanationOfBenefit", "service-date"),
  patient: patient.id,
  totals: pages.map((page) => page.total),
  pages: pages.map((page) => page.entry.length),
  claims: claims.map((claim) => claim.id),
  pharmacy: pharmacy.entry.filter((entry) => entry.search.mode === "match").map((entry) => entry.resource.id),
  resolved: [inBundle, fetched].map((resource) => `${resource.resourceType}/${resource.id}`),
  sameVersion: JSON.stringify(earlier) === JSON.stringify(claims[0]),
  isNewToken: refreshed.access_token !== token.access_token,
  again: again.id,
  revoked: revoked.status,
  refused: { status: refused.response.status, type: refused.response.data.resourceType },
  notRefreshed,
});
