"""Texts for Claude: which arrive exactly, in what form, and which it takes for more than text."""
