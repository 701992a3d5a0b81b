"""Authorization complete: details of apps and decisions on them, authority and enrolment of members, grants, pushed requests, limits.

Follows 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a database goes back by restoring a backup."""
    op.create_table(
        "attempts",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("attempts_by_end", "attempts", ["expires_at"], unique=False)
    op.create_table(
        "client_assertion",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_hash"),
    )
    op.create_index("client_assertion_by_end", "client_assertion", ["expires_at"], unique=False)
    op.create_table(
        "client_decision",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("criterion", sa.String(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("appeal", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("client_decision_by_client", "client_decision", ["client_id", "decided_at"], unique=False)
    op.create_table(
        "permits",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("window", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leased", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "window"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pushed_request",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("pushed_request_by_end", "pushed_request", ["expires_at"], unique=False)
    op.create_index("access_token_by_end", "access_token", ["expires_at"], unique=False)
    op.add_column("account", sa.Column("totp_secret", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("issuer", sa.String(), nullable=False, server_default=""))
    op.add_column("account", sa.Column("subject", sa.String(), nullable=False, server_default=""))
    op.create_index("account_by_subject", "account", ["issuer", "subject"], unique=False)
    op.add_column("account_member", sa.Column("authority", sa.String(), nullable=False, server_default="self"))
    op.add_column("account_member", sa.Column("until", sa.String(), nullable=False, server_default=""))
    op.execute("DELETE FROM authorization_code WHERE consumed_at IS NOT NULL")
    op.drop_column("authorization_code", "consumed_at")
    op.add_column("client", sa.Column("jwks", sa.Text(), nullable=False, server_default=""))
    op.add_column("client", sa.Column("jwks_uri", sa.String(), nullable=False, server_default=""))
    op.add_column("client", sa.Column("details", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("client", sa.Column("registration_hash", sa.LargeBinary(), nullable=True))
    op.add_column("client", sa.Column("registered_by", sa.String(), nullable=False, server_default="operator"))
    op.add_column("grant", sa.Column("ended_code", sa.String(), nullable=False, server_default=""))
    op.add_column("grant", sa.Column("withheld", sa.String(), nullable=False, server_default=""))
    op.add_column("grant", sa.Column("duration", sa.String(), nullable=False, server_default=""))
    op.add_column("grant", sa.Column("session_hash", sa.LargeBinary(), nullable=True))
    op.add_column("grant", sa.Column("code_hash", sa.LargeBinary(), nullable=True))
    op.create_index("grant_by_code", "grant", ["code_hash"], unique=False)
    op.create_index("grant_by_session", "grant", ["session_hash"], unique=False)
    op.add_column("member", sa.Column("enrolled", sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "reference_that_names",
        "reference_index",
        ["target_type", "target_id"],
        unique=False,
        sqlite_where=sa.text("parameter = '_names'"),
        postgresql_where=sa.text("parameter = '_names'"),
    )
    op.create_index("refresh_token_by_end", "refresh_token", ["expires_at"], unique=False)
    op.add_column("sign_in_session", sa.Column("provider_token", sa.LargeBinary(), nullable=True))
    op.add_column("signing_key", sa.Column("active_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE signing_key SET active_at = created_at")
    op.execute("UPDATE account_member SET authority = 'minor' WHERE relationship IN ('parent', 'guardian')")
    op.execute(
        "UPDATE account_member SET authority = 'consent' WHERE relationship NOT IN ('self', 'parent', 'guardian')"
    )
    _repeat_enrolments()


def _repeat_enrolments() -> None:
    """Fill ``member.enrolled`` from the enrolments recorded so far, the latest of each Coverage."""
    connection = op.get_bind()
    latest = (
        "SELECT enrolment.patient, reporting_unit.line_of_business, enrolment.until FROM enrolment"
        " LEFT JOIN reporting_unit ON reporting_unit.key = enrolment.unit"
        " WHERE enrolment.key IN (SELECT max(key) FROM enrolment GROUP BY patient, coverage_id)"
    )
    words: dict[str, set[str]] = {}
    for patient, line_of_business, until in connection.execute(sa.text(latest)):
        words.setdefault(patient, set()).add(f"{line_of_business}|{until}" if line_of_business else "withdrawn|0000")
    known = {row.patient for row in connection.execute(sa.text("SELECT patient FROM member"))}
    update = sa.text("UPDATE member SET enrolled = :enrolled WHERE patient = :patient")
    insert = sa.text("INSERT INTO member (patient, environment, enrolled) VALUES (:patient, 'production', :enrolled)")
    for patient, its in words.items():
        connection.execute(
            update if patient in known else insert, {"patient": patient, "enrolled": " ".join(sorted(its))}
        )
