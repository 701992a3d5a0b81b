// A browser app with SMART JS. Its page shows the member's name; what else it can do, its test asks of `window.app`.
const heading = document.getElementById("member");

function refusalOf(error) {
  return { status: error.status ?? error.statusCode ?? null, message: error.message };
}

try {
  const client = await FHIR.oauth2.ready();
  const patient = await client.patient.read();
  const name = patient.name[0];

  window.app = {
    async read() {
      const bundles = await client.request(`ExplanationOfBenefit?patient=${client.patient.id}`, { pageLimit: 0 });
      const resolved = await client.request("ExplanationOfBenefit?type=pharmacy&_count=3", {
        resolveReferences: ["provider", "insurance.0.coverage"],
        graph: false,
        flat: true,
      });
      const coverage = await client.patient.request("Coverage", { flat: true });
      const user = await client.user.read();
      return {
        patient: patient.id,
        user: `${client.user.resourceType}/${user.id}`,
        scope: client.state.tokenResponse.scope,
        pages: bundles.map((bundle) => bundle.entry.length),
        claims: bundles.flatMap((bundle) => bundle.entry.map((entry) => entry.resource.id)),
        references: Object.keys(resolved.references).sort(),
        coverage: coverage.map((one) => one.id),
      };
    },

    async refresh() {
      const before = client.state.tokenResponse.access_token;
      await client.refresh();
      const again = await client.request(`Patient/${client.patient.id}`);
      return { isNewToken: client.state.tokenResponse.access_token !== before, again: again.id };
    },

    // What SMART JS leaves to the app: RFC 7009, at the address that the server's own document tells.
    async disconnect() {
      const { serverUrl, clientId, tokenResponse } = client.state;
      const told = await (await fetch(`${serverUrl}/.well-known/smart-configuration`)).json();
      const body = new URLSearchParams({ token: tokenResponse.refresh_token, client_id: clientId });
      return (await fetch(told.revocation_endpoint, { method: "POST", body })).status;
    },

    async readRefused() {
      return client.request(`Patient/${client.patient.id}`).then(() => null, refusalOf);
    },

    async refreshRefused() {
      return client.refresh().then(() => null, refusalOf);
    },
  };
  heading.textContent = [...name.given, name.family].join(" ");
} catch (error) {
  heading.textContent = error.message;
}
