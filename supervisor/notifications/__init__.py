"""Notifications: the journal told to people.

rules        which event for whom, in which words           outbox    what is to be told, kept until it was
recipients      who is told: registrations, presence, mute     courier   the thread that the network has for itself
links        answers through a link, once                   channels  the ways out

May import: store.   Told by: the daemon, with every event that is committed.
"""
