"""Why a code, a refresh token or a grant gives no tokens: the stable ``error_code`` beside ``invalid_grant``, in plain words.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2 - the member is an addition, which other clients pass over (section 5.1)
"""

from authlib.oauth2.rfc6749 import InvalidGrantError

GRANT_ENDED = "grant_ended"
REVOKED_BY_MEMBER, REVOKED_BY_APP, GRANT_EXPIRED = "grant_revoked_by_member", "grant_revoked_by_app", "grant_expired"
SIGNED_OUT, AUTHORITY_ENDED = "signed_out", "authority_ended"
CODE_UNKNOWN, CODE_EXPIRED, CODE_USED = "code_unknown", "code_expired", "code_used"
REDIRECT_URI_WRONG, VERIFIER_WRONG = "redirect_uri_wrong", "code_verifier_wrong"
REFRESH_UNKNOWN, REFRESH_REUSED = "refresh_token_unknown", "refresh_token_reused"
TOKEN_OF_ANOTHER = "token_of_another_app"  # noqa: S105 - a name, not a secret

GRANT_ERRORS = {
    REVOKED_BY_MEMBER: "The member stopped sharing with the app.",
    REVOKED_BY_APP: "The app itself revoked the access.",
    GRANT_EXPIRED: "The time that the member chose is over.",
    SIGNED_OUT: "The member signed out, which ends access with online_access.",
    AUTHORITY_ENDED: "The person who allowed the access may not act for the member any more.",
    "member_disenrolled": "The member is not enrolled at the moment. If they come back, the same refresh token works again.",
    "line_of_business_not_served": "The member's coverage is one that this API does not serve.",
    GRANT_ENDED: "The access was ended.",
    CODE_UNKNOWN: "The authorization code is not known, or was issued to another client.",
    CODE_EXPIRED: "The authorization code was not exchanged in time.",
    CODE_USED: "The authorization code was used before; the access it gave has ended.",
    REDIRECT_URI_WRONG: "The redirect_uri is not that of the authorization request.",
    VERIFIER_WRONG: "The code_verifier does not belong to the code_challenge.",
    REFRESH_UNKNOWN: "The refresh token is not known, or was issued to another client.",
    REFRESH_REUSED: "The refresh token was used before, longer ago than a parallel request; the access it gave has ended.",
    TOKEN_OF_ANOTHER: "The token was issued to another client.",
}
"""``error_code`` to what it means; it is never another word for the same, so that an app can decide by it what to tell the member."""


class GrantRefusedError(InvalidGrantError):  # type: ignore[misc]
    """400 invalid_grant with an ``error_code`` of GRANT_ERRORS."""

    def __init__(self, code: str) -> None:
        super().__init__(GRANT_ERRORS.get(code, GRANT_ERRORS[GRANT_ENDED]))
        self.code = code

    def get_body(self) -> list[tuple[str, str]]:
        """The members of the answer."""
        return [*super().get_body(), ("error_code", self.code)]
