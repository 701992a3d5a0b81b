"""Every error this API answers with, as rows: what it is called for ever, what it means, and how to mend it.

https://hl7.org/fhir/R4/valueset-issue-type.html - an OperationOutcome.issue names its row in details.coding, below ``/docs/errors``.
"""

from dataclasses import dataclass

PATH = "/docs/errors"
"""Below BASE_URL: the code system of the codes, and in front of ``/<code>`` the page that explains one."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One kind of error. ``issue_type`` is a code of the issue-type value set; ``meaning`` and ``remedy`` are for developers."""

    code: str
    status: int
    issue_type: str
    title: str
    meaning: str
    remedy: str
    severity: str = "error"

    @property
    def page(self) -> str:
        """The path of the page that explains it; it never changes."""
        return f"{PATH}/{self.code}"


TOKEN_MISSING = ErrorCode(
    "token-missing",
    401,
    "login",
    "No access token was sent",
    "Everything below the FHIR base except the CapabilityStatement and the discovery document needs an access token. The request"
    " carried no Authorization header, or one of another scheme than Bearer.",
    "Send 'Authorization: Bearer' with the access token. The discovery document .well-known/smart-configuration says where to"
    " get one.",
)
TOKEN_UNKNOWN = ErrorCode(
    "token-unknown",
    401,
    "unknown",
    "The access token is not known",
    "No token like this was issued here. It may be cut off, have characters around it, belong to another server, or be a refresh"
    " token, a code or an id_token.",
    "Send the access_token of the token response exactly as it was received, to the server that issued it.",
)
TOKEN_EXPIRED = ErrorCode(
    "token-expired",
    401,
    "expired",
    "The access token expired",
    "An access token lasts as long as expires_in of the token response said, and never longer than the member's permission.",
    "Use the refresh token to get a new access token. Without one, or when refreshing answers invalid_grant, ask the member again.",
)
TOKEN_REVOKED = ErrorCode(
    "token-revoked",
    401,
    "unknown",
    "The access token was revoked",
    "The member stopped sharing, the app revoked the token, or a code or refresh token of the same permission was used twice.",
    "Refreshing will not help. Delete the tokens and offer the member to connect again.",
)
APP_SUSPENDED = ErrorCode(
    "app-suspended",
    401,
    "unknown",
    "The app is suspended",
    "The payer suspended the app's registration. None of its tokens gives access until the payer lifts the suspension.",
    "The diagnostics name the published criterion and where to appeal; so does the app's registration address. Tokens that have not"
    " expired work again when the suspension is lifted.",
)
MEMBER_DISENROLLED = ErrorCode(
    "member-disenrolled",
    401,
    "suppressed",
    "The member's coverage has ended",
    "The member is not enrolled in a plan of this payer any more. Apps have access while a member is enrolled; what the member"
    " allowed is kept.",
    "Keep your tokens and try again later, seldom: if coverage begins again, so does access. The member can ask the payer for their"
    " history.",
)
LINE_OF_BUSINESS_NOT_SERVED = ErrorCode(
    "line-of-business-not-served",
    401,
    "suppressed",
    "The member's plan is not served by this API",
    "The member is enrolled, but in a line of business for which the payer does not offer this API.",
    "Tell the member that the payer does not offer this for their plan. Nothing is wrong with your app.",
)
SCOPE_MISSING = ErrorCode(
    "scope-missing",
    403,
    "forbidden",
    "The token's scopes do not allow this",
    "The token is good, but the member did not allow this interaction on this resource type, or the app did not ask for it.",
    "Compare scope of the token response with what you need: r to read, s to search. Ask the member again with the wider scope.",
)
RESOURCE_NOT_FOUND = ErrorCode(
    "resource-not-found",
    404,
    "not-found",
    "There is no such resource",
    "The member whose token this is has no resource of that type and id. The answer is the same whether the id is unknown or"
    " belongs to somebody else.",
    "Take ids from search results or references. Ids are case-sensitive.",
)
RESOURCE_DELETED = ErrorCode(
    "resource-deleted",
    410,
    "deleted",
    "The resource was deleted",
    "The payer withdrew the resource, or found that it belongs to another member.",
    "Remove your copy. Nothing replaces it under this id.",
)
TYPE_NOT_SERVED = ErrorCode(
    "type-not-served",
    404,
    "not-supported",
    "This resource type is not served",
    "The first part of the path is not the name of a resource type that this server has.",
    "The CapabilityStatement at metadata lists the types. Names are case-sensitive.",
)
PATH_UNKNOWN = ErrorCode(
    "path-unknown",
    404,
    "not-supported",
    "There is nothing at this path",
    "The path is neither a resource, a version of one, nor a search; or it is an operation that this server does not have.",
    "The CapabilityStatement at metadata lists the interactions of every type.",
)
METHOD_NOT_ALLOWED = ErrorCode(
    "method-not-allowed",
    405,
    "not-supported",
    "This HTTP method is not allowed here",
    "The API is read-only: resources are read and searched with GET, and searched with POST to _search.",
    "Use one of the methods that the Allow header lists.",
)
FORMAT_NOT_SUPPORTED = ErrorCode(
    "format-not-supported",
    406,
    "not-supported",
    "This format is not spoken here",
    "The Accept header or _format asks for something else than JSON, or for another version of FHIR than R4.",
    "Ask for application/fhir+json; application/json, application/json+fhir and */* are understood too. _format beats Accept. Leave"
    " fhirVersion out, or say 4.0.",
)
PARAMETER_INVALID = ErrorCode(
    "parameter-invalid",
    400,
    "value",
    "A search parameter cannot be used like this",
    "The parameter exists, but its value, prefix or modifier, or what it should include, is not one that this server understands."
    " The expression of the issue names the parameter.",
    "Correct it as the diagnostics say. Write special characters in a URL percent-encoded: '+' in a time zone is %2B.",
)
CURSOR_INVALID = ErrorCode(
    "cursor-invalid",
    400,
    "value",
    "The page link does not fit this search",
    "A _cursor belongs to one member, one search and one server. It was changed, cut off, or used with other parameters.",
    "Follow the 'next' link of a page as it is, without adding or removing anything. If that fails, start the search again.",
)
PARAMETER_UNKNOWN = ErrorCode(
    "parameter-unknown",
    400,
    "not-supported",
    "The search parameter is not supported",
    "The request said 'Prefer: handling=strict' and used a parameter that this server does not have for the type.",
    "Use one of the parameters that the diagnostics list, or leave out the Prefer header: then unknown parameters are ignored"
    " with a warning.",
)
PARAMETER_IGNORED = ErrorCode(
    "parameter-ignored",
    200,
    "not-supported",
    "A search parameter was ignored",
    "The search was answered as if the parameter had not been sent, because this server does not have it for the type. The results"
    " may be more than you wanted. The self link shows what was honoured.",
    "Filter the results yourself, or send 'Prefer: handling=strict' to get an error instead.",
    severity="warning",
)
SEARCH_TOO_LARGE = ErrorCode(
    "search-too-large",
    400,
    "too-costly",
    "The search asks for too much at once",
    "One search may have a limited number of parameters and of values in their comma lists.",
    "Divide the values over several searches.",
)
MEMBER_NOT_NAMED = ErrorCode(
    "member-not-named",
    400,
    "required",
    "The search names no member",
    "The token is the client's own (client credentials), which is for no member. Everything but the shared directory is asked about"
    " one member at a time.",
    "Add patient= with the member's Patient id, or _id=; on Patient, identifier= works too.",
)
EXPORT_IS_ASYNCHRONOUS = ErrorCode(
    "export-is-asynchronous",
    400,
    "required",
    "An export is asked for asynchronously",
    "$export is written in the background, and the request did not say that it waits for that.",
    "Send 'Prefer: respond-async'. The answer, 202, names in Content-Location where to ask how far it is.",
)
EXPORT_NOT_COVERED = ErrorCode(
    "export-not-covered",
    403,
    "forbidden",
    "The export has more than this token may see",
    "The export was begun with a token that could see more than this one: the member has narrowed what they share, or the app asked"
    " for less.",
    "Begin another export with this token; it will have what the token may see.",
)
EXPORT_UNKNOWN = ErrorCode(
    "export-unknown",
    404,
    "not-found",
    "There is no such export",
    "The app has no export of that id for this member, or no such file of it: it expired, was cancelled, its permission was"
    " withdrawn while it was written, or it never was. Of others' exports nothing is told.",
    "Take the addresses from Content-Location and from the manifest as they are. Begin another export if it has expired.",
)
EXPORT_RUNNING = ErrorCode(
    "export-running",
    429,
    "throttled",
    "Another export is being written",
    "An app has one export of a member written at a time. The one that is being written was asked for with other parameters or"
    " another permission. The same request again would have been answered with that export.",
    "Wait as many seconds as Retry-After says and try again, or cancel the other export with DELETE at its address.",
)
EXPORT_FAILED = ErrorCode(
    "export-failed",
    500,
    "exception",
    "The export could not be written",
    "Several attempts came to nothing, or what the payer withholds changed while it was written. There are no files.",
    "Begin another export. If that fails too, tell the payer the request id; it names nobody.",
)
BODY_TOO_LARGE = ErrorCode(
    "body-too-large",
    413,
    "too-long",
    "The request body is too large",
    "The form of a search by POST has a limited size.",
    "Divide the search.",
)
REQUEST_MALFORMED = ErrorCode(
    "request-malformed",
    400,
    "structure",
    "The request is no HTTP",
    "What arrived on the connection cannot be read as an HTTP/1.1 request: a first line, a URL or a header is not well formed.",
    "Use an HTTP library, and percent-encode spaces and other special characters in URLs.",
)
HEAD_TOO_LARGE = ErrorCode(
    "head-too-large",
    431,
    "too-long",
    "The URL and the headers are too large",
    "The first line and the headers of a request have a limited size.",
    "Send a long search by POST to _search, and only the headers that are needed.",
)
BODY_TYPE_NOT_SUPPORTED = ErrorCode(
    "body-type-not-supported",
    415,
    "not-supported",
    "The request body is of another type",
    "A search by POST takes its parameters as a form.",
    "Send 'Content-Type: application/x-www-form-urlencoded'.",
)
THROTTLED = ErrorCode(
    "throttled",
    429,
    "throttled",
    "Too many requests",
    "The app has made as many requests in this minute as the published limit lets every app make. The limit holds for all of the app's"
    " tokens together. Nothing was done, and nothing is lost.",
    "Wait as many seconds as Retry-After says, then send the same request again. A page of many matches counts as one request.",
)
SERVER_ERROR = ErrorCode(
    "server-error",
    500,
    "exception",
    "The server made a mistake",
    "This is never your fault. The mistake was logged under the id in the X-Request-Id header.",
    "Try once more. If it fails again, tell the payer the request id; it names nobody.",
)
DATABASE_UNAVAILABLE = ErrorCode(
    "database-unavailable",
    503,
    "transient",
    "The server cannot answer just now",
    "The database does not answer, or could not record the answer. Nothing was sent, because an answer that cannot be recorded"
    " does not leave.",
    "Wait as many seconds as Retry-After says, then send the same request again.",
)

ERROR_CODES: dict[str, ErrorCode] = {row.code: row for row in list(globals().values()) if isinstance(row, ErrorCode)}
"""Code to row, in the order in which a request meets them."""
