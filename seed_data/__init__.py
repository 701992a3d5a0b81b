"""The synthetic payer: a seeded, deterministic generator of members, coverage, claims, prior authorizations and clinical records.

Every name, address and number is invented. A member is one row (`members.Member`): a life, told in days before the as-of date.
There are two ways to a row, and one way on from it:

    personas.MEMBERS     written by hand, for stories an app must get right ──┐
                                                                              ├─► Member ─► records.records(member, seed, as_of)
    lives.life.life()    drawn from Random(f"{seed}:{number}") alone      ────┘

    Member.spells         when enrolled in which plan          ─► coverage         Coverage, its plan and reporting unit
    Member.conditions     what the member has or had           ─┐  conditions      CONDITIONS: codes, medicines, tests, specialist
    Member.claims         each a visit, stay, sitting or fill  ─┼► claims          ExplanationOfBenefit, its money from accumulators
    Member.visits         visits that nobody billed            ─┴► clinical        Encounter, Condition, Observation, ... of the same visits
    Member.authorizations what was asked for in advance        ─► prior_authorizations; a claim that used one names it

- A claim row *is* the event: its scenario names a row of a catalogue in `scenarios` (VISITS, INPATIENT and OUTPATIENT,
  SITTINGS, DRUGS) with its codes, prices, diagnoses and usual providers; `conditions`, `practitioner` and
  `provider` of the row take their place. `events.event(claim)` gives what is true of it after that, and claims and clinical records
  both ask there, so that they agree on dates, places, people and codes. A claim that was replaced is the event of its replacement.
- A member's records depend on the seed, the as-of date and the row alone: `Random(f"{seed} {key}")` for the administrative
  and financial ones, `Random(f"{seed} {key} clinical")` for the clinical ones. No clock, no hash, no order of a set, no locale.
- Builders make plain dictionaries, and may share their unchanging parts: never change a record after it is made.
- Money is whole cents (int) until it is written: `datatypes.amount_of(cents)`.

`generate.resources()` gives everything about the personas; `dataset.write` the files of `patient-access generate`."""
