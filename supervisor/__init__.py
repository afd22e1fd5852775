"""The daemon that owns every session: it decides everything, holds no pty, and may be killed at any moment."""
