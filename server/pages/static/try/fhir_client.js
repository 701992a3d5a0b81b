// Reads of the FHIR API with a bearer token: pages followed by their links, failures with their error code.
// https://hl7.org/fhir/R4/http.html#paging and https://hl7.org/fhir/R4/operationoutcome.html

const MOST_PAGES = 50;

/** An answer that is no success; `code` and `page` are those of the OperationOutcome's first issue. */
export class FHIRFailure extends Error {
  constructor(status, outcome) {
    const issue = outcome?.issue?.[0] ?? {};
    super(issue.diagnostics ?? `The server answered ${status}.`);
    this.status = status;
    this.code = issue.details?.coding?.[0]?.code ?? "";
    this.page = /https?:\S+$/.exec(issue.details?.text ?? "")?.[0] ?? "";
  }
}

/** Sends requests and records them: method, address, status, milliseconds, body. */
export function recorder(onRequest) {
  return async function ask(address, { form, token } = {}) {
    const began = performance.now();
    const headers = { Accept: token ? "application/fhir+json" : "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const options = form ? { method: "POST", body: new URLSearchParams(form), headers } : { headers };
    const response = await fetch(address, { ...options, cache: "no-store", credentials: "omit" });
    const text = await response.text();
    const request = {
      method: options.method ?? "GET",
      address: String(address),
      form: form ?? null,
      authorized: Boolean(token),
      status: response.status,
      milliseconds: Math.round(performance.now() - began),
      bytes: new Blob([text]).size,
    };
    let body = null;
    try {
      body = text ? JSON.parse(text) : null;
    } catch {
      request.status = `${response.status}, not JSON`;
    }
    request.body = token ? body : null;
    onRequest(request);
    return { response, body, request };
  };
}

export class FHIRClient {
  constructor(smart, ask) {
    this.smart = smart;
    this.ask = ask;
  }

  /** One GET; a token that the server no longer takes is refreshed once. */
  async get(address) {
    let answer = await this.ask(address, { token: await this.smart.accessToken() });
    if (answer.response.status === 401 && this.smart.session?.refreshToken) {
      await this.smart.refresh();
      answer = await this.ask(address, { token: await this.smart.accessToken() });
    }
    if (!answer.response.ok) {
      const failure = new FHIRFailure(answer.response.status, answer.body);
      failure.request = answer.request;
      throw failure;
    }
    return answer;
  }

  /** Every page of a search: { matches, included, total, requests }. */
  async search(query) {
    const found = { matches: [], included: [], total: 0, requests: [] };
    let next = `${this.smart.app.fhirBase}/${query}`;
    while (next && found.requests.length < MOST_PAGES) {
      const { body, request } = await this.get(next);
      found.requests.push(request);
      found.total = body.total ?? found.total;
      for (const entry of body.entry ?? []) {
        if (entry.search?.mode === "match") found.matches.push(entry.resource);
        if (entry.search?.mode === "include") found.included.push(entry.resource);
      }
      next = body.link?.find((link) => link.relation === "next")?.url;
    }
    return found;
  }
}

/** A request as a curl command. Without `token`, the shell variable TOKEN stands in its place. */
export function asCurl(request, token = "") {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl"];
  if (request.authorized) {
    parts.push("-H", token ? quoted(`Authorization: Bearer ${token}`) : '"Authorization: Bearer $TOKEN"');
    parts.push("-H", "'Accept: application/fhir+json'");
  }
  for (const [name, value] of Object.entries(request.form ?? {})) {
    const secret = ["code", "code_verifier", "refresh_token", "token"].includes(name);
    parts.push("-d", secret ? `"${name}=$${name.toUpperCase()}"` : quoted(`${name}=${value}`));
  }
  parts.push(quoted(request.address));
  return parts.join(" ");
}
