"""Lives drawn at random, one member each, from a seed and a number alone: who, where enrolled, what ails them, what happens.

    people       name, sex, age, address, language          ┐
    enrolment    spells in plans                            ├─► life.life(seed, number, as_of, detail) -> Member
    happenings   conditions, visits, stays, medicines       │
    decisions    how each was paid, and by whom first       ┘

Only `Random.randrange` is drawn from, which gives the same numbers in every version of Python and on every machine."""
