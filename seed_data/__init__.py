"""The synthetic payer: a seeded, deterministic generator of members, coverage, claims and prior authorizations.

Every name, address and number is invented. See `seed_data.generate` for the way in."""
