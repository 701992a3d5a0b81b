// The sample app: connect, show what the member allowed, refresh, sign out. A SMART client with nothing but the public API.

import { FHIRClient, FHIRFailure, recorder } from "./fhir_client.js";
import { facts, node } from "./markup.js";
import { PANELS, requestsBehind } from "./panels.js";
import { personName } from "./records.js";
import { AuthorizationFailure, SmartClient, canUsePKCE, permits } from "./smart_client.js";

const page = document.getElementById("try");
const [welcome, record, problem, live] = ["welcome", "record", "problem", "status"].map((id) => document.getElementById(id));
const app = { fhirBase: page.dataset.fhirBase, clientId: page.dataset.clientId, redirectUri: page.dataset.redirectUri };
const home = app.redirectUri.replace(/\/callback$/, "");
const handshake = []; // requests of discovery and tokens
const ask = recorder((request) => request.authorized || handshake.push(request));
const smart = new SmartClient(app, ask);
const fhir = new FHIRClient(smart, ask);

const ALWAYS = ["openid", "fhirUser", "launch/patient", "patient/Patient.rs"];
const WISHES = [
  ["Coverage", ["Coverage"]],
  ["Claims and prior authorizations", ["ExplanationOfBenefit"]],
  ["Medications", ["MedicationRequest", "MedicationDispense", "Medication"]],
  ["Lab results", ["Observation"]],
];
const LASTING = "offline_access";
const FRIENDLY = {
  access_denied: ["You did not allow it", "Nothing was shared. You can connect whenever you like."],
  invalid_grant: ["The connection has ended", "The permission ran out or was stopped. Connect again to go on."],
};

function announce(text) {
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 50);
}

function showProblem(title, text, { code = "", help = "" } = {}) {
  problem.replaceChildren(
    node(
      "div",
      { class: "failure" },
      node("p", {}, node("strong", {}, title)),
      node("p", {}, text),
      (code || help) && node("p", { class: "small" }, code && node("code", {}, code), " ", help && node("a", { href: help }, "What this means")),
    ),
  );
}

function explain(error) {
  if (error instanceof FHIRFailure) return [`The server answered ${error.status}`, error.message, { code: error.code, help: error.page }];
  if (error instanceof AuthorizationFailure) {
    const [title, text] = FRIENDLY[error.code] ?? ["Connecting did not work", error.message];
    return [title, text, { code: error.code }];
  }
  if (error instanceof TypeError) return ["The server cannot be reached", "Check the connection and try again."];
  return ["Something went wrong in the sample app", String(error.message ?? error)];
}

// -- signed out --

async function showWelcome() {
  record.hidden = true;
  record.replaceChildren();
  welcome.hidden = false;
  const connect = document.getElementById("connect");
  if (!canUsePKCE()) {
    showProblem(
      "This page needs a secure address",
      "Browsers hide the cryptography that PKCE needs from pages that came over plain http. Open it over https, or on this machine at http://127.0.0.1 or http://localhost.",
    );
    return;
  }
  const { scopes_supported: supported } = await smart.discover();
  const boxes = offer(supported);
  const scope = () => boxes.filter(([box]) => box.checked).reduce((all, [, scopes]) => [...all, ...scopes], ALWAYS);
  const say = () => document.getElementById("scope").replaceChildren(...scope().flatMap((word) => [node("code", {}, word), " "]));
  for (const [box] of boxes) box.addEventListener("change", say);
  say();
  connect.disabled = false;
  connect.onclick = async () => {
    connect.disabled = true;
    announce("Going to the sign-in page.");
    try {
      await smart.authorize(scope().join(" "));
    } catch (error) {
      connect.disabled = false;
      showProblem(...explain(error));
    }
  };
}

/** A box for everything that is served; each with the scopes behind it. */
function offer(supported) {
  const wishes = document.getElementById("wishes");
  wishes.querySelectorAll("label").forEach((label) => label.remove());
  const rows = WISHES.map(([words, types]) => [words, types.map((type) => `patient/${type}.rs`).filter((scope) => supported.includes(scope))]);
  return [...rows, ["Stay connected when I am away", supported.includes(LASTING) ? [LASTING] : []]]
    .filter(([, scopes]) => scopes.length)
    .map(([words, scopes]) => {
      const box = node("input", { type: "checkbox", checked: true });
      wishes.append(node("label", { class: "check" }, box, node("span", {}, words)));
      return [box, scopes];
    });
}

// -- signed in --

async function showRecord() {
  welcome.hidden = true;
  record.hidden = false;
  const session = smart.session;
  const title = node("h1", { tabindex: "-1" }, "Connected");
  const bar = node("section", { class: "card session", "aria-labelledby": "session-title" });
  const panels = PANELS.map((panel) => [panel, node("section", { class: `card panel-${panel.id}`, "aria-labelledby": `${panel.id}-title`, "aria-busy": "true" })]);
  title.id = "session-title";
  record.replaceChildren(bar, node("div", { class: "panels" }, panels.map(([, section]) => section)));
  showSession(bar, title, session);
  announce("Connected. Reading the records.");
  try {
    const { body } = await fhir.get(`${app.fhirBase}/Patient/${session.patient}`);
    title.textContent = personName(body) || "Connected";
  } catch (error) {
    if (ended(error)) return;
  }
  const done = await Promise.all(panels.map(([panel, section]) => fill(panel, section)));
  if (smart.session) announce(`${done.filter(Boolean).length} of ${panels.length} panels are ready.`);
}

function showSession(bar, title, session) {
  const refresh = node("button", { type: "button", class: "plain small-button" }, "Refresh the token");
  const signOut = node("button", { type: "button", class: "plain small-button" }, "Sign out");
  refresh.addEventListener("click", async () => {
    try {
      await smart.refresh();
      showSession(bar, title, smart.session);
      announce("The app has a new access token.");
      bar.querySelector("button").focus();
    } catch (error) {
      if (!ended(error)) showProblem(...explain(error));
    }
  });
  signOut.addEventListener("click", leave);
  bar.replaceChildren(
    node(
      "div",
      { class: "app-head" },
      node("div", {}, node("p", { class: "small over" }, "Connected: the app sees what the member allowed about"), title),
      node("div", { class: "buttons" }, session.refreshToken && refresh, signOut),
    ),
    facts([
      ["Member", session.patient],
      ["Access token", `until ${new Date(session.expiresAt).toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit" })}${session.refreshToken ? ", then refreshed" : ""}`],
    ]),
    node("details", {}, node("summary", {}, "What was granted"), node("p", { class: "codes" }, session.scope.split(" ").flatMap((word) => [node("code", {}, word), " "]))),
    requestsBehind({ id: "handshake" }, handshake, () => "", announce),
  );
}

/** Load one panel and show it; answers whether that worked. */
async function fill(panel, section) {
  const heading = node("h2", { id: `${panel.id}-title` }, panel.title);
  section.replaceChildren(heading, node("p", { class: "small" }, "Loading …"));
  const scope = smart.session?.scope ?? "";
  const searches = panel.searches.filter(([type]) => permits(scope, type));
  if (!permits(scope, panel.searches[0][0])) {
    section.replaceChildren(heading, node("p", { class: "small" }, "Not shared: the app did not ask for it, or it is not served here."));
    section.removeAttribute("aria-busy");
    return true;
  }
  let worked = false;
  const requests = [];
  try {
    const found = await Promise.all(searches.map(([, query]) => fhir.search(query)));
    requests.push(...found.flatMap((one) => one.requests));
    const count = found[0].total;
    section.replaceChildren(
      node("div", { class: "panel-head" }, heading, node("span", { class: "small" }, `${count} found`)),
      count ? panel.show(found) : node("p", { class: "small" }, "There is nothing on record."),
    );
    worked = true;
  } catch (error) {
    if (ended(error)) return false;
    if (error.request) requests.push(error.request);
    const [title, text, { code = "", help = "" } = {}] = explain(error);
    const again = node("button", { type: "button", class: "plain small-button", click: () => fill(panel, section) }, "Try again");
    section.replaceChildren(
      heading,
      node("div", { class: "failure" }, node("p", {}, `${title}. ${text}`), code && node("p", { class: "small" }, node("code", {}, code), " ", help && node("a", { href: help }, "What this means"))),
      again,
    );
  }
  section.append(requestsBehind(panel, requests, () => smart.session?.accessToken ?? "", announce));
  section.removeAttribute("aria-busy");
  return worked;
}

/** When a failure means that the permission is over: forget the tokens, and say so. */
function ended(error) {
  const over = error.status === 401 || (error instanceof AuthorizationFailure && error.code === "invalid_grant");
  if (over && smart.session) {
    smart.forget();
    const help = error instanceof FHIRFailure ? { code: error.code, help: error.page } : { code: error.code };
    const [title, text] = FRIENDLY.invalid_grant;
    showProblem(title, text, help);
    showWelcome().catch((failure) => showProblem(...explain(failure)));
  }
  return over || !smart.session;
}

async function leave() {
  problem.replaceChildren();
  try {
    await smart.revoke();
    announce("Signed out. The permission was revoked.");
  } catch (error) {
    showProblem("The permission could not be revoked", "The app forgot its tokens, but the server did not confirm. Stop it on the page with your connected apps.", explain(error)[2]);
  }
  handshake.length = 0;
  await showWelcome();
  document.getElementById("try-title").focus();
}

// -- arriving --

async function arrive() {
  if (location.origin !== new URL(home).origin) {
    location.replace(home); // the redirect comes back there, and so must find what is kept there
    return;
  }
  const answer = new URLSearchParams(location.search);
  if (answer.has("code") || answer.has("error")) {
    history.replaceState(null, "", home);
    try {
      await smart.complete(answer);
    } catch (error) {
      showProblem(...explain(error));
    }
  }
  await (smart.session ? showRecord() : showWelcome());
}

arrive().catch((error) => showProblem(...explain(error)));
