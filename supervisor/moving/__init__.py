"""Moving: a session goes to another node, or comes from one.

arrivals    the bundle kept, and a session made of it
bundle      all of a session in one file
departures  a session let go of

The steps, each of which may be repeated: here it leaves (sleeps, accepts nothing) and is packed; there the bundle is kept, and is
no session yet; here it is let go of, once the other node has told the bundle's digest; there, with the word that this told,
it becomes a session. Whoever carries the steps out keeps nothing: a crash between two of them leaves a session
that is whole in one place, and live in one at the most.

May import: pool, lifecycle, session, state, store, claude, archive, clock, failpoints.

1. Whatever is killed between two steps, one session at most can be talked to, and it remembers. (tests/faults/test_gateway.py)
2. Every step may be repeated, and one of another move does nothing. (tests/unit/moving/test_steps.py)
"""
