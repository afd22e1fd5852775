"""Events: the journal as Server-Sent Events.

feed            one subscription for all readers
message_stream  one message, to its end
reader          replay, then live, without a gap
responses       a stream as a response
text_order      text in the order it was written

May import: http, context, inbox.

1. No number is skipped silently, and none comes twice. (tests/unit/api/test_events.py)
2. What a message says comes in order, and whole before it is done. (tests/unit/api/test_stream.py)
"""
