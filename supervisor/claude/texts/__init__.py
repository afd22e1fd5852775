"""Texts for Claude: which arrive exactly, in what form, and which it takes for more than text.

invisible       invisible characters that may stand
mentions        what is an `@path`
normalization   the form that arrives
prompts         exact, or refused
slash_commands  commands as the CLI takes them
unanswered      what it decides itself
"""
