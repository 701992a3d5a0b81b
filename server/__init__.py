"""The Patient Access API reference server: one house, eight floors; imports run downhill only.

    7  app · cli · launcher · supervision · production · sandbox · progress · documentation      compose; nobody below imports them
    7  doctor                  checks of this machine, or of any server
    7  account_commands · backup_command · client_commands · command_line · doctor_command · endpoint_command · generate_command · key_commands · ledger_commands · loadtest_command · prior_authorization_commands · refusals_command · report_commands · report_forms   parts of the command line
    6  ingest · pages           records arrive · people look
    5  fhir                     the Patient Access API
    4  metrics                  the ledger's readers: the CMS usage report
    3  authorization            SMART App Launch / OAuth 2.0 / OpenID Connect
    2  storage                  every table, every query, the ledger
    1  specification            what this server promises, as data
    0  settings · clock · figures · lifecycle · logs · tracing         leaf modules

``specification/administrative.py``, ``financial.py`` and ``clinical.py`` hold THE ROWS: a resource type is one row there, and routes, metadata,
search, scopes and tests are computed from it. ``tests/conformance/test_floors.py`` keeps this picture true.
"""

__version__ = "0.1.0"
