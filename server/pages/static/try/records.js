// FHIR resources as the plain rows that the panels show. Nothing here touches the page.
// https://hl7.org/fhir/us/carin-bb/STU2.1/ and https://hl7.org/fhir/us/davinci-pdex/STU2/

const PDEX = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/";
const BILLED = ["submitted"];
const PAID = ["paidtoprovider", "paidtopatient"];
const OWED = ["memberliability"];
const CLAIM_TYPES = {
  institutional: "Hospital",
  professional: "Doctor and other services",
  oral: "Dental",
  pharmacy: "Pharmacy",
  vision: "Vision",
};
// How the decision codes of a review read to a member, and whether they are good news, bad news or no news yet.
const DECISIONS = {
  A1: ["Approved", "good"],
  A2: ["Partly approved", "mixed"],
  A3: ["Denied", "bad"],
  A4: ["Waiting for a decision", "open"],
  A6: ["Approved with changes", "mixed"],
};
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

/** Cents as dollars. */
export function money(cents) {
  return dollars.format(cents / 100);
}

/** A FHIR date or dateTime as people write its day; the day is the one that was written, in whatever time zone. */
export function day(date) {
  if (!date) return "";
  const [year, month, number] = date.slice(0, 10).split("-");
  if (!month) return year;
  return number ? `${MONTHS[month - 1]} ${Number(number)}, ${year}` : `${MONTHS[month - 1]} ${year}`;
}

/** The words of a CodeableConcept. */
export function words(concept) {
  const coding = concept?.coding?.[0];
  return concept?.text ?? coding?.display ?? coding?.code ?? "";
}

export function personName(patient) {
  const names = patient?.name ?? [];
  const name = names.find((one) => one.use === "usual") ?? names.find((one) => one.use === "official") ?? names[0];
  return name ? (name.text ?? [...(name.given ?? []), name.family].filter(Boolean).join(" ")) : "";
}

function unique(values) {
  return [...new Set(values.filter(Boolean))];
}

function codesOf(concept) {
  return (concept?.coding ?? []).map((coding) => coding.code);
}

function totalOf(eob, categories) {
  const amounts = (eob.total ?? []).filter((total) => codesOf(total.category).some((code) => categories.includes(code)));
  return amounts.reduce((sum, total) => sum + Math.round((total.amount?.value ?? 0) * 100), 0);
}

export function coverage(resource) {
  const named = (code) => (resource.class ?? []).find((one) => codesOf(one.type).includes(code));
  const plan = named("plan");
  return {
    plan: plan?.name ?? plan?.value ?? words(resource.type) ?? "Health plan",
    payer: unique((resource.payor ?? []).map((payor) => payor.display)).join(", "),
    kind: words(resource.type),
    memberNumber: resource.subscriberId ?? resource.identifier?.[0]?.value ?? "",
    group: named("group")?.name ?? "",
    from: resource.period?.start ?? "",
    until: resource.period?.end ?? "",
    status: resource.status,
  };
}

/** One claim; amounts are cents. A cancelled claim was replaced, and does not count. */
export function claim(eob) {
  const services = unique((eob.item ?? []).map((item) => item.productOrService?.text));
  const type = codesOf(eob.type)[0];
  const payment = codesOf(eob.payment?.type)[0] ?? "";
  return {
    id: eob.id,
    date: eob.billablePeriod?.start ?? eob.item?.[0]?.servicedDate ?? eob.created ?? "",
    kind: CLAIM_TYPES[type] ?? words(eob.type),
    services,
    provider: eob.provider?.display ?? "",
    counts: eob.status === "active",
    note: eob.status === "cancelled" ? "Replaced by a newer claim" : payment === "denied" ? "Not covered" : "",
    billed: totalOf(eob, BILLED),
    paid: totalOf(eob, PAID),
    owed: totalOf(eob, OWED),
  };
}

/** Sums over time: months, or quarters or years when there are many. `[{ label, billed, paid, owed }]`, gaps included. */
export function overTime(claims) {
  const counted = claims.filter((one) => one.counts && /^\d{4}-\d{2}/.test(one.date));
  if (!counted.length) return [];
  const months = counted.map((one) => Number(one.date.slice(0, 4)) * 12 + Number(one.date.slice(5, 7)) - 1);
  const [first, last] = [Math.min(...months), Math.max(...months)];
  const width = last - first < 15 ? 1 : last - first < 48 ? 3 : 12;
  const bucket = (month) => Math.floor(month / width);
  const buckets = [];
  for (let number = bucket(first); number <= bucket(last); number += 1) {
    const year = Math.floor((number * width) / 12);
    const part = (number * width) % 12;
    const short = width === 1 ? MONTHS[part] : width === 3 ? `Q${part / 3 + 1}` : String(year);
    buckets.push({ short, year, label: width === 12 ? String(year) : `${short} ${year}`, billed: 0, paid: 0, owed: 0 });
  }
  counted.forEach((one, index) => {
    const sums = buckets[bucket(months[index]) - bucket(first)];
    for (const name of ["billed", "paid", "owed"]) sums[name] += one[name];
  });
  return buckets;
}

function extensions(element, url) {
  return (element?.extension ?? []).filter((extension) => extension.url === url);
}

/** One prior authorization: what was asked, the decision, why, and until when it holds. */
export function priorAuthorization(eob) {
  const adjudications = [...(eob.adjudication ?? []), ...(eob.item ?? []).flatMap((item) => item.adjudication ?? [])];
  const reviews = adjudications.flatMap((one) => extensions(one, `${PDEX}extension-reviewAction`));
  const codes = unique(
    reviews.flatMap((review) =>
      extensions(review, `${PDEX}extension-reviewActionCode`).flatMap((one) => codesOf(one.valueCodeableConcept)),
    ),
  );
  const decided = adjudications.flatMap((one) => extensions(one, `${PDEX}base-ext-when-adjudicated`));
  const waiting = eob.outcome === "queued" ? ["Waiting for a decision", "open"] : ["Decided", "mixed"];
  const [status, mood] = DECISIONS[codes[0]] ?? waiting;
  const reasons = reviews.flatMap((review) => extensions(review, "reasonCode").map((one) => words(one.valueCodeableConcept)));
  const units = (item, code) => (item.adjudication ?? []).find((one) => codesOf(one.category).includes(code))?.value;
  return {
    id: eob.id,
    services: (eob.item ?? []).map((item) => ({
      name: words(item.productOrService),
      asked: item.quantity?.value,
      allowed: units(item, "allowedunits"),
      used: units(item, "consumedunits"),
    })),
    provider: eob.provider?.display ?? "",
    status,
    mood,
    reasons: unique(reasons),
    explanation: eob.disposition ?? (eob.processNote ?? []).map((note) => note.text).join(" "),
    asked: eob.created ?? "",
    decided: mood === "open" ? "" : (decided[0]?.valueDateTime ?? ""),
    from: eob.preAuthRefPeriod?.[0]?.start ?? "",
    until: eob.preAuthRefPeriod?.[0]?.end ?? "",
    number: eob.preAuthRef?.[0] ?? "",
  };
}

function medicationName(resource, included) {
  if (resource.medicationCodeableConcept) return words(resource.medicationCodeableConcept);
  const reference = resource.medicationReference;
  const medication = included.find((one) => `${one.resourceType}/${one.id}` === reference?.reference);
  return reference?.display ?? words(medication?.code) ?? "Medication";
}

/** One prescription with its last fill. */
export function medication(request, included, dispenses) {
  const own = dispenses
    .filter((one) => (one.authorizingPrescription ?? []).some((by) => by.reference === `MedicationRequest/${request.id}`))
    .filter((one) => one.status === "completed" && one.whenHandedOver)
    .sort((a, b) => b.whenHandedOver.localeCompare(a.whenHandedOver));
  return {
    name: medicationName(request, included),
    directions: request.dosageInstruction?.[0]?.text ?? "",
    status: request.status,
    prescribed: request.authoredOn ?? "",
    by: request.requester?.display ?? "",
    filled: own[0]?.whenHandedOver ?? "",
    at: own[0]?.performer?.[0]?.actor?.display ?? "",
  };
}

function value(observation) {
  const quantity = observation.valueQuantity;
  if (quantity) return `${quantity.comparator ?? ""}${quantity.value} ${quantity.unit ?? ""}`.trim();
  if (observation.valueCodeableConcept) return words(observation.valueCodeableConcept);
  if (observation.valueBoolean !== undefined) return observation.valueBoolean ? "Yes" : "No";
  return observation.valueString ?? observation.valueInteger ?? observation.valueDateTime ?? "not reported";
}

/** One laboratory result. */
export function laboratoryResult(observation) {
  const range = observation.referenceRange?.[0];
  const limits = range ? [range.low?.value, range.high?.value] : [];
  const period = observation.effectivePeriod;
  return {
    test: words(observation.code),
    result: (observation.component ?? []).map((part) => `${words(part.code)} ${value(part)}`).join(", ") || String(value(observation)),
    normal: range?.text ?? (limits.every((one) => one !== undefined) && limits.length ? limits.join(" to ") : ""),
    meaning: words(observation.interpretation?.[0]),
    date: observation.effectiveDateTime ?? observation.effectiveInstant ?? period?.end ?? period?.start ?? "",
  };
}
