"""Holder."""
