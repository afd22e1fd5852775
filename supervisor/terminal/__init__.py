"""Terminal: one live terminal as the supervisor sees it.

emulator        the library, loaded
emulator_abi    made from its header
holder_client   talking to a holder
holder_launch   starting one
holder_records  its files and errors
keys            names as bytes
queries         what Claude asks of a terminal
refusals        in words
render          a screen as bytes or HTML
screen          what a person would see
terminal        connection and screen

May import: claude, holder.

1. A client of a holder that comes back misses and repeats nothing. (tests/faults/test_holder_terminal.py)
"""
