"""The clinical half of the synthetic payer: what providers told it of its members' care, as US Core records.

Every name, value and note is invented. See `seed_data.clinical.generate` for the way in."""
