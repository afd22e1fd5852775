"""Notifications: the journal told to people. Told by the daemon, with every event that is committed.

courier     the network's own thread
feed        the configured command
happenings  what is worth telling
links       answers through a link, once
outbox      what is to be sent, kept until it was
recipient   one who is told
recipients  all registrations
replies     pushed to a device token
rules       which event, in which words
secrets     of channels
service     wiring
workshop    channels made
channels/   the ways out

May import: store.

1. A stale button says by whom it was answered. (tests/real/test_notifications.py)
"""
