// A SMART App Launch client for the browser: discovery, PKCE, code exchange, refresh, revocation.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html

const PENDING = "try.pending";
const SESSION = "try.session";
const EARLY = 30_000; // a token that ends within this many milliseconds is refreshed first

/** The authorization server, or the member, said no. `code` is the OAuth error code, or "" for one of this app. */
export class AuthorizationFailure extends Error {
  constructor(code, description) {
    super(description || code);
    this.code = code;
  }
}

/** Whether this browser can do PKCE here: cryptography is hidden from pages that are not secure. */
export function canUsePKCE() {
  return window.isSecureContext && Boolean(window.crypto?.subtle);
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function unguessable() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function claimsOf(idToken) {
  const part = idToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (character) => character.charCodeAt(0))));
}

function kept(name) {
  return JSON.parse(sessionStorage.getItem(name) ?? "null");
}

export class SmartClient {
  #refreshing = null;
  #configuration = null;

  /** `app`: { fhirBase, clientId, redirectUri }. `ask`: sends and records requests. */
  constructor(app, ask) {
    this.app = app;
    this.ask = ask;
  }

  /** What was granted, or null: { accessToken, refreshToken, expiresAt, scope, patient, fhirUser }. */
  get session() {
    return kept(SESSION);
  }

  /** Forget the tokens, here only. */
  forget() {
    sessionStorage.removeItem(SESSION);
    sessionStorage.removeItem(PENDING);
  }

  /** The discovery document of the FHIR base. */
  async discover() {
    if (!this.#configuration) {
      const { response, body } = await this.ask(`${this.app.fhirBase}/.well-known/smart-configuration`);
      if (!response.ok) throw new AuthorizationFailure("", `The discovery document answered ${response.status}.`);
      this.#configuration = body;
    }
    return this.#configuration;
  }

  /** Leave this page for the authorization endpoint. */
  async authorize(scope) {
    const configuration = await this.discover();
    const pending = { state: unguessable(), verifier: unguessable(), nonce: unguessable() };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const address = new URL(configuration.authorization_endpoint);
    address.search = new URLSearchParams({
      response_type: "code",
      client_id: this.app.clientId,
      redirect_uri: this.app.redirectUri,
      scope,
      state: pending.state,
      nonce: pending.nonce,
      aud: this.app.fhirBase,
      code_challenge: await challengeOf(pending.verifier),
      code_challenge_method: "S256",
    });
    location.assign(address);
  }

  /** Take the answer that the redirect brought: exchange the code for tokens. */
  async complete(answer) {
    const pending = kept(PENDING);
    sessionStorage.removeItem(PENDING);
    if (!pending || answer.get("state") !== pending.state) {
      throw new AuthorizationFailure("", "This answer does not belong to a request of this browser tab. Please connect again.");
    }
    const configuration = await this.discover();
    if (answer.get("iss") !== configuration.issuer) {
      throw new AuthorizationFailure("", "The answer comes from another authorization server than the one asked.");
    }
    if (answer.has("error")) throw new AuthorizationFailure(answer.get("error"), answer.get("error_description"));
    const tokens = await this.#token(configuration, {
      grant_type: "authorization_code",
      code: answer.get("code"),
      redirect_uri: this.app.redirectUri,
      code_verifier: pending.verifier,
      client_id: this.app.clientId,
    });
    const claims = tokens.id_token ? this.#checked(claimsOf(tokens.id_token), configuration, pending.nonce) : {};
    this.#keep(tokens, { fhirUser: claims.fhirUser ?? "" });
  }

  #checked(claims, configuration, nonce) {
    // The id_token came straight from the token endpoint, so its signature need not be checked (OpenID Connect 3.1.3.7).
    const audience = [claims.aud].flat();
    if (claims.iss !== configuration.issuer || claims.nonce !== nonce || !audience.includes(this.app.clientId)) {
      throw new AuthorizationFailure("", "The id_token was made for somebody else.");
    }
    return claims;
  }

  /** New tokens for the refresh token; requests that need them at the same time share one refresh. */
  refresh() {
    this.#refreshing ??= this.#refreshOnce().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refreshOnce() {
    const before = this.session;
    if (!before?.refreshToken) throw new AuthorizationFailure("", "There is no refresh token: connect again.");
    const parameters = { grant_type: "refresh_token", refresh_token: before.refreshToken, client_id: this.app.clientId };
    this.#keep(await this.#token(await this.discover(), parameters), before);
  }

  /** An access token that has not run out. */
  async accessToken() {
    const session = this.session;
    if (!session) throw new AuthorizationFailure("", "The app is not connected.");
    if (session.refreshToken && session.expiresAt - EARLY < Date.now()) await this.refresh();
    return this.session.accessToken;
  }

  /** Sign out: revoke what was granted, then forget it. */
  async revoke() {
    const session = this.session;
    this.forget();
    if (!session) return;
    const { revocation_endpoint: address } = await this.discover();
    const token = session.refreshToken || session.accessToken;
    const { response } = await this.ask(address, { form: { token, client_id: this.app.clientId } });
    if (!response.ok) throw new AuthorizationFailure("", `The revocation endpoint answered ${response.status}.`);
  }

  async #token(configuration, form) {
    const { response, body } = await this.ask(configuration.token_endpoint, { form });
    if (!response.ok) throw new AuthorizationFailure(body?.error ?? "", body?.error_description ?? `The token endpoint answered ${response.status}.`);
    return body;
  }

  #keep(tokens, before) {
    const session = {
      accessToken: tokens.access_token,
      refreshToken: tokens.refresh_token ?? before.refreshToken ?? "",
      expiresAt: Date.now() + tokens.expires_in * 1000,
      scope: tokens.scope,
      patient: tokens.patient,
      fhirUser: before.fhirUser,
    };
    sessionStorage.setItem(SESSION, JSON.stringify(session));
  }
}

/** Whether a granted scope string lets an app search a resource type. */
export function permits(scope, type) {
  return scope.split(" ").some((word) => {
    const match = /^(?:patient|user)\/(\*|[A-Za-z]+)\.(?:read|\*|c?r?u?d?s)$/.exec(word);
    return match !== null && (match[1] === "*" || match[1] === type);
  });
}
