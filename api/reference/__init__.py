"""Reference: every call in one table, and the OpenAPI document that is made of it.

call            a row of the table
calls           the table
client_shapes   writes the client's types
descriptions    what a member means in its place
examples        an answer of each shape
example_values  the session that examples tell of
message_calls   calls on messages
message_shapes  what those answer
openapi         the document
page            the document for people
portable        schemas for every generator
routes          where both are served
schemas         schemas of the wire's types
service_calls   calls on the service
service_shapes  what those answer
session_calls   calls on sessions
session_shapes  what those answer
shapes          all shapes by name
vocabulary      what a name means everywhere

May import: routes, terminals, auth, http.

1. Every route is in the table, with its scope, an example and its errors. (tests/unit/api/test_openapi.py)
2. Every call answers as its document says. (tests/faults/test_reference.py)
3. Generators of clients understand the document. (tests/clients/test_generated.py)
"""
