"""What this server promises, as data (standard library only).

``registry.RESOURCES`` is the one table from which routes, metadata, search, scopes and tests are computed.
"""
