// The panels of the sample app: each names its searches, and shows what they found and the requests behind it.

import { asCurl } from "./fhir_client.js";
import { SERIES, drawChart } from "./chart.js";
import { facts, listInPart, node, table } from "./markup.js";
import * as records from "./records.js";

const SHOWN = 6;

function newestFirst(rows) {
  return [...rows].sort((a, b) => (b.date ?? "").localeCompare(a.date ?? ""));
}

function tag(text, mood = "") {
  return node("span", { class: `tag ${mood}` }, text);
}

function coverages(found) {
  const rows = found[0].matches.map(records.coverage).sort((a, b) => b.from.localeCompare(a.from));
  return node(
    "ul",
    { class: "rows" },
    rows.map((row) =>
      node(
        "li",
        {},
        node("h3", {}, row.plan, " ", row.until ? tag("ended", "open") : tag(row.status, row.status === "active" ? "good" : "open")),
        facts([
          ["Plan of", row.payer],
          ["Kind", row.kind],
          ["Group", row.group === row.plan ? "" : row.group],
          ["Member number", row.memberNumber],
          ["From", records.day(row.from)],
          ["Until", records.day(row.until)],
        ]),
      ),
    ),
  );
}

function claims(found) {
  const rows = newestFirst(found[0].matches.map(records.claim));
  const sums = records.overTime(rows);
  const total = (name) => sums.reduce((sum, one) => sum + one[name], 0);
  const parts = [];
  if (sums.length) {
    const span = sums.length > 1 ? `From ${sums[0].label} to ${sums.at(-1).label}` : `In ${sums[0].label}`;
    const summary = `${span}: ${SERIES.map(([name, label]) => `${label.toLowerCase()} ${records.money(total(name))}`).join(", ")}.`;
    const area = node("div", { class: "chart-area" });
    parts.push(
      node("ul", { class: "legend" }, SERIES.map(([name, label]) =>
        node("li", {}, node("span", { class: `swatch ${name}`, "aria-hidden": "true" }), `${label} `, node("strong", {}, records.money(total(name)))),
      )),
      area,
      node("details", {}, node("summary", {}, "The chart as a table"),
        table("Billed, paid and owed over time", ["When", ...SERIES.map(([, label]) => label)],
          sums.map((one) => [one.label, ...SERIES.map(([name]) => records.money(one[name]))]))),
    );
    requestAnimationFrame(() => drawChart(area, sums, `Bar chart. ${summary} The table below has the numbers.`));
  }
  const items = rows.map((row) =>
    node(
      "li",
      { class: row.counts ? null : "muted" },
      node("h3", {}, row.services.slice(0, 2).join(", ") || row.kind, row.note ? [" ", tag(row.note, row.counts ? "bad" : "open")] : ""),
      node("p", { class: "small" }, [records.day(row.date), row.kind, row.provider].filter(Boolean).join(" · ")),
      node("dl", { class: "amounts" }, SERIES.map(([name, label]) => node("div", {}, node("dt", {}, label), node("dd", {}, records.money(row[name]))))),
    ),
  );
  if (rows.some((row) => !row.counts)) {
    parts.push(node("p", { class: "small" }, "Replaced claims are listed, but not counted in the chart."));
  }
  return node("div", {}, parts, listInPart(items, SHOWN, "claims"));
}

function priorAuthorizations(found) {
  const rows = found[0].matches.map(records.priorAuthorization).sort((a, b) => b.asked.localeCompare(a.asked));
  const amounts = (service) =>
    [
      service.asked && `asked for ${service.asked}`,
      service.allowed !== undefined && `${service.allowed} allowed`,
      service.used !== undefined && `${service.used} used`,
    ].filter(Boolean).join(", ");
  const items = rows.map((row) =>
    node(
      "li",
      {},
      node("h3", {}, row.services.map((one) => one.name).join(", ") || "Prior authorization", " ", tag(row.status, row.mood)),
      row.explanation && node("p", {}, row.explanation),
      facts([
        ["Reason", row.reasons.join("; ")],
        ["Asked for", records.day(row.asked)],
        ["Decided", records.day(row.decided)],
        ["Holds", row.until ? `${records.day(row.from)} to ${records.day(row.until)}` : ""],
        ["How much", row.services.map(amounts).filter(Boolean).join("; ")],
        ["From", row.provider],
        ["Number", row.number],
      ]),
    ),
  );
  return node("div", {}, listInPart(items, SHOWN, "prior authorizations"));
}

function medications(found) {
  const [requests, dispenses] = found;
  const rows = requests.matches.map((one) => records.medication(one, requests.included, dispenses?.matches ?? []));
  rows.sort((a, b) => Number(b.status === "active") - Number(a.status === "active") || b.prescribed.localeCompare(a.prescribed));
  const items = rows.map((row) =>
    node(
      "li",
      {},
      node("h3", {}, row.name, " ", tag(row.status, row.status === "active" ? "good" : "open")),
      row.directions && node("p", {}, row.directions),
      facts([
        ["Prescribed", [records.day(row.prescribed), row.by].filter(Boolean).join(" by ")],
        ["Last filled", [records.day(row.filled), row.at].filter(Boolean).join(" at ")],
      ]),
    ),
  );
  return node("div", {}, listInPart(items, SHOWN, "medications"));
}

function laboratory(found) {
  const rows = newestFirst(found[0].matches.map(records.laboratoryResult));
  const unusual = (row) => row.meaning && row.meaning !== "Normal";
  return table("Table of lab results", ["Test", "Result", "Usual range", "Date"], rows.map((row) => [
    row.test,
    node("span", {}, row.result, unusual(row) ? [" ", tag(row.meaning, "mixed")] : ""),
    row.normal || "–",
    node("span", { class: "nowrap" }, records.day(row.date)),
  ]), { stacks: true });
}

/** Each panel: its title, the searches it makes (the first must be permitted), and how it shows what they found. */
export const PANELS = [
  { id: "coverage", title: "Coverage", searches: [["Coverage", "Coverage?_count=20"]], show: coverages },
  { id: "claims", title: "Claims", searches: [["ExplanationOfBenefit", "ExplanationOfBenefit?use=claim&_count=10"]], show: claims },
  { id: "authorizations", title: "Prior authorizations", searches: [["ExplanationOfBenefit", "ExplanationOfBenefit?use=preauthorization&_count=10"]], show: priorAuthorizations },
  {
    id: "medications",
    title: "Medications",
    searches: [
      ["MedicationRequest", "MedicationRequest?_include=MedicationRequest:medication&_count=20"],
      ["MedicationDispense", "MedicationDispense?_count=50"],
    ],
    show: medications,
  },
  { id: "labs", title: "Lab results", searches: [["Observation", "Observation?category=laboratory&_count=50"]], show: laboratory },
];

/** The requests behind a panel: their addresses, what came back, and each as a curl command. */
export function requestsBehind(panel, requests, accessToken, announce) {
  const withToken = node("input", { type: "checkbox", id: `token-${panel.id}` });
  const entries = requests.map((request) => {
    const copy = node("button", { type: "button", class: "plain small-button" }, "Copy as curl");
    copy.addEventListener("click", async () => {
      const command = asCurl(request, withToken.checked ? accessToken() : "");
      try {
        await navigator.clipboard.writeText(command);
        announce("Copied.");
        copy.textContent = "Copied";
        setTimeout(() => (copy.textContent = "Copy as curl"), 2000);
      } catch {
        shown.textContent = command;
        shown.hidden = false;
        announce("The browser did not allow copying. The command is shown instead.");
      }
    });
    const shown = node("pre", { tabindex: "0", hidden: true, "aria-label": "curl command" });
    return node(
      "li",
      {},
      node("code", { class: "address" }, `${request.method} ${request.address}`),
      node("div", { class: "request-line" }, node("span", { class: "small" }, `${request.status} · ${request.milliseconds} ms · ${(request.bytes / 1024).toFixed(1)} KB`), copy),
      shown,
      request.body && answerOf(request),
    );
  });
  const label = requests.length === 1 ? "The request behind this" : `The ${requests.length} requests behind this`;
  return node(
    "details",
    { class: "requests" },
    node("summary", {}, label),
    requests.some((request) => request.authorized) &&
      node("label", { class: "check" }, withToken, node("span", {}, "Copy the real access token too (otherwise $TOKEN stands for it)")),
    node("ol", {}, entries),
  );
}

function answerOf(request) {
  const text = node("pre", { tabindex: "0", class: "answer", "aria-label": "The answer as JSON" });
  const details = node("details", {}, node("summary", {}, "The answer"), text);
  details.addEventListener("toggle", () => {
    if (details.open && !text.textContent) text.textContent = JSON.stringify(request.body, null, 2);
  });
  return details;
}
