"""THE ROWS: every check of the doctor, in the order in which it is made; docs/doctor.md's tables are computed from here.

https://hl7.org/fhir/smart-app-launch/STU2.2/ and https://www.cms.gov/priorities/key-initiatives/burden-reduction/interoperability
"""

from server.doctor import (
    answer_checks,
    authorization_checks,
    browser_checks,
    capability_checks,
    discovery_checks,
    error_checks,
    member_checks,
    settings_checks,
    storage_checks,
    transport_checks,
)
from server.doctor.findings import Check
from server.doctor.machine import Machine
from server.doctor.site import Site

_SMART = "https://hl7.org/fhir/smart-app-launch/STU2.2"
_FHIR = "https://hl7.org/fhir/R4"
_RFC = "https://www.rfc-editor.org/rfc"
_CARIN = "https://hl7.org/fhir/us/carin-bb/STU2.1/CapabilityStatement-c4bb.html"
_OPENID = "https://openid.net/specs"
_CORS = f"{_SMART}/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support"

DISCOVERY, CAPABILITIES, AUTHORIZATION, ERRORS, BROWSERS, TRANSPORT, MEMBER, ANSWERS = (
    *("Discovery", "Capabilities", "Authorization", "Errors", "Web apps", "Transport"),
    *("The member's records", "Answers"),
)

SITE_CHECKS: tuple[Check[Site], ...] = tuple(
    Check(name, area, (examine.__doc__ or "").strip(), citation, examine)
    for name, area, examine, citation in (
        ("smart-configuration", DISCOVERY, discovery_checks.smart_configuration, f"{_SMART}/conformance.html"),
        ("smart-capabilities", DISCOVERY, discovery_checks.capabilities, f"{_SMART}/conformance.html#capability-sets"),
        ("oauth-metadata", DISCOVERY, discovery_checks.authorization_server_metadata, f"{_RFC}/rfc8414#section-3"),
        (
            "openid-configuration",
            DISCOVERY,
            discovery_checks.openid_configuration,
            f"{_OPENID}/openid-connect-discovery-1_0.html#ProviderConfig",
        ),
        ("endpoints", DISCOVERY, discovery_checks.endpoints, f"{_SMART}/conformance.html#metadata"),
        ("key-set", DISCOVERY, discovery_checks.key_set, f"{_RFC}/rfc7517#section-5"),
        (
            "id-token-algorithms",
            DISCOVERY,
            discovery_checks.id_token_algorithms,
            f"{_OPENID}/openid-connect-discovery-1_0.html#ProviderMetadata",
        ),
        (
            "capability-statement",
            CAPABILITIES,
            capability_checks.capability_statement,
            f"{_FHIR}/http.html#capabilities",
        ),
        (
            "fhir-version",
            CAPABILITIES,
            capability_checks.fhir_version,
            "https://www.ecfr.gov/current/title-45/section-170.215",
        ),
        ("security-endpoints", CAPABILITIES, capability_checks.security, f"{_SMART}/conformance.html"),
        ("required-searches", CAPABILITIES, capability_checks.required_searches, _CARIN),
        ("content-types", CAPABILITIES, capability_checks.content_types, f"{_FHIR}/http.html#mime-type"),
        ("accepted-types", CAPABILITIES, capability_checks.accepted_types, f"{_FHIR}/http.html#mime-type"),
        ("pkce-announced", AUTHORIZATION, discovery_checks.pkce_announced, f"{_RFC}/rfc7636#section-4.2"),
        ("unknown-client", AUTHORIZATION, authorization_checks.unknown_client, f"{_RFC}/rfc6749#section-4.1.2.1"),
        (
            "good-request",
            AUTHORIZATION,
            authorization_checks.good_request,
            f"{_SMART}/app-launch.html#step-4-authorization",
        ),
        (
            "unregistered-redirect",
            AUTHORIZATION,
            authorization_checks.unregistered_redirect,
            f"{_RFC}/rfc9700#section-4.1",
        ),
        ("pkce-required", AUTHORIZATION, authorization_checks.pkce_required, f"{_RFC}/rfc9700#section-2.1.1"),
        ("pkce-plain", AUTHORIZATION, authorization_checks.pkce_plain, f"{_RFC}/rfc9700#section-2.1.1"),
        ("no-token", ERRORS, error_checks.without_token, f"{_RFC}/rfc6750#section-3"),
        ("wrong-token", ERRORS, error_checks.with_wrong_token, f"{_RFC}/rfc6750#section-3.1"),
        ("unknown-type", ERRORS, error_checks.unknown_type, f"{_FHIR}/http.html#Status-Codes"),
        ("token-errors", ERRORS, error_checks.token_endpoint, f"{_RFC}/rfc6749#section-5.2"),
        ("token-no-store", ERRORS, error_checks.no_store, f"{_RFC}/rfc6749#section-5.1"),
        ("cors-discovery", BROWSERS, browser_checks.discovery, _CORS),
        ("cors-token", BROWSERS, browser_checks.token_endpoint, _CORS),
        ("cors-fhir", BROWSERS, browser_checks.fhir, _CORS),
        (
            "cors-exposed",
            BROWSERS,
            browser_checks.exposed_headers,
            "https://fetch.spec.whatwg.org/#http-access-control-expose-headers",
        ),
        ("member-record", MEMBER, member_checks.record, f"{_SMART}/scopes-and-launch-context.html"),
        ("coverage", MEMBER, member_checks.coverage, _CARIN),
        ("claims", MEMBER, member_checks.claims, _CARIN),
        ("last-updated", MEMBER, member_checks.last_updated, _CARIN),
        ("service-date", MEMBER, member_checks.service_date, _CARIN),
        ("type", MEMBER, member_checks.type_of_claim, _CARIN),
        ("identifier", MEMBER, member_checks.identifier, _CARIN),
        ("include", MEMBER, member_checks.include, _CARIN),
        ("announced-searches", MEMBER, member_checks.announced_searches, f"{_FHIR}/capabilitystatement.html"),
        ("post-search", MEMBER, member_checks.post_search, f"{_FHIR}/http.html#search"),
        ("other-members", MEMBER, member_checks.others, f"{_FHIR}/security.html#http"),
        ("everything", MEMBER, member_checks.everything, f"{_FHIR}/patient-operation-everything.html"),
        ("references", MEMBER, member_checks.references, f"{_FHIR}/references.html"),
        ("paging", ANSWERS, answer_checks.paging, f"{_FHIR}/http.html#paging"),
        ("conditional-read", ANSWERS, answer_checks.conditional, f"{_FHIR}/http.html#cread"),
        ("compression", ANSWERS, answer_checks.compression, f"{_RFC}/rfc9110#section-12.5.3"),
        ("caching", ANSWERS, answer_checks.caching, f"{_RFC}/rfc9111#section-5.2.2"),
        ("https", TRANSPORT, transport_checks.https, f"{_RFC}/rfc9700#section-2.6"),
        ("certificate", TRANSPORT, transport_checks.certificate, f"{_RFC}/rfc5280#section-4.1.2.5"),
        ("tls-version", TRANSPORT, transport_checks.tls_version, f"{_RFC}/rfc9325#section-3.1.1"),
        ("hsts", TRANSPORT, transport_checks.strict_transport, f"{_RFC}/rfc6797#section-6.1"),
        ("response-time", TRANSPORT, transport_checks.response_time, f"{_RFC}/rfc9110#section-15.6.5"),
        ("no-insides", ERRORS, error_checks.insides, "https://cwe.mitre.org/data/definitions/209.html"),
    )
)
"""Of a server, from outside. The last two look at all answers of those before them."""

SETTINGS, FILES, STORAGE, MACHINE = "Settings", "Files and others", "Database and ledger", "Machine"

MACHINE_CHECKS: tuple[Check[Machine], ...] = tuple(
    Check(name, area, (examine.__doc__ or "").strip(), citation, examine)
    for name, area, examine, citation in (
        ("settings", SETTINGS, settings_checks.settings, "https://12factor.net/config"),
        ("environment", SETTINGS, settings_checks.environment, "https://www.ecfr.gov/current/title-42/section-422.119"),
        ("base-url", SETTINGS, settings_checks.base_url, f"{_RFC}/rfc9700#section-2.6"),
        ("secret-key", SETTINGS, settings_checks.secret_key, "https://www.ecfr.gov/current/title-45/section-164.312"),
        (
            "previous-secret-key",
            SETTINGS,
            settings_checks.previous_secret_key,
            f"{_OPENID}/openid-connect-core-1_0.html#RotateSigKeys",
        ),
        ("cookies", SETTINGS, settings_checks.cookies, f"{_RFC}/rfc6265#section-4.1.2.5"),
        ("trusted-proxies", SETTINGS, settings_checks.proxies, f"{_RFC}/rfc7239#section-8.1"),
        ("metrics-token", SETTINGS, settings_checks.metrics, "https://prometheus.io/docs/practices/instrumentation/"),
        ("support-contact", SETTINGS, settings_checks.contact, "https://www.ecfr.gov/current/title-42/section-422.119"),
        ("brands", FILES, settings_checks.brand, f"{_SMART}/brands.html"),
        (
            "reporting-units",
            FILES,
            settings_checks.reporting_units,
            "https://www.ecfr.gov/current/title-42/section-422.119",
        ),
        ("software-statements", FILES, settings_checks.software_statements, f"{_RFC}/rfc7591#section-2.3"),
        ("sensitivity-policies", FILES, settings_checks.sensitivity, f"{_FHIR}/security-labels.html"),
        (
            "prior-authorization-items",
            FILES,
            settings_checks.prior_authorization_items,
            "https://www.ecfr.gov/current/title-42/section-422.122",
        ),
        ("identity-provider", FILES, settings_checks.identity_provider, f"{_OPENID}/openid-connect-discovery-1_0.html"),
        ("database", STORAGE, storage_checks.database, "https://12factor.net/backing-services"),
        ("migrations", STORAGE, storage_checks.migrations, "https://alembic.sqlalchemy.org/en/latest/tutorial.html"),
        ("replicas", STORAGE, storage_checks.replicas, "https://www.postgresql.org/docs/current/hot-standby.html"),
        ("signing-keys", STORAGE, storage_checks.signing_keys, f"{_OPENID}/openid-connect-core-1_0.html#RotateSigKeys"),
        ("sandbox-leftovers", STORAGE, storage_checks.sandbox_leftovers, f"{_RFC}/rfc9700"),
        (
            "ledger-anchors",
            STORAGE,
            storage_checks.ledger_anchors,
            "https://www.ecfr.gov/current/title-45/section-164.312",
        ),
        (
            "ledger-roll-ups",
            STORAGE,
            storage_checks.ledger_roll_ups,
            "https://www.ecfr.gov/current/title-42/section-422.119",
        ),
        (
            "ledger-partitions",
            STORAGE,
            storage_checks.ledger_partitions_ahead,
            "https://www.postgresql.org/docs/current/ddl-partitioning.html",
        ),
        ("disk", MACHINE, storage_checks.disk, "https://www.sqlite.org/rescode.html#full"),
        ("libraries", MACHINE, storage_checks.libraries, "https://www.uvicorn.org/settings/#implementation"),
        (
            "open-files",
            MACHINE,
            storage_checks.open_files,
            "https://www.man7.org/linux/man-pages/man2/getrlimit.2.html",
        ),
    )
)
"""Of this machine."""
