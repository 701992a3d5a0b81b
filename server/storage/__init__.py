"""Every table, every query, the ledger. No other floor writes SQL.

Functions here return statements; ``database.Database`` has the two thin executors, one synchronous, one asynchronous.
"""
