"""Bus: the schema that every process speaks, and its client.

client             requests
connection         key, folder, socket
event_data         what all events have
event_stream       events
events             every kind by its name
message_events     of messages
message_requests   arguments: messages, history
messages           envelope, replies, views
move_requests      arguments: going to another node
notifications      who is told what
operations         every operation, once
service_events     of the supervisor
service_requests   arguments: the supervisor
session_events     of a session's life
session_requests   arguments: sessions
terminal_protocol  `terminal.sock`
trouble_events     of what went wrong

May import: access, errors, frames, private_folders.

1. An operation's name, arguments and scope stand in one place. (tests/unit/bus/test_scopes.py)
2. Every kind of event is a type, and is read back as it was written. (tests/unit/shared/test_events.py)
3. What is said at a terminal survives any cut of its stream. (tests/unit/bus/test_terminal_protocol.py)
"""
