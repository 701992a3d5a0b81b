"""Metrics: the ledger's readers. What counts as a transfer, what is measured, and the reports made of both.

The rules: 42 CFR 431.60 and its parallels (422.119, 438.242, 457.730, 457.1233; 45 CFR 156.221), added by CMS-0057-F, 89 FR 8758.
"""
