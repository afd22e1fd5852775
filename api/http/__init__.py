"""HTTP: requests as typed values, and every outcome as an answer.

access_log  one line a request
files       a file as a download
forms       a message with files
outcomes    what became of a message
problems    an error becomes HTTP
requests    what came in, checked
sockets     is the client still there

May import: context.

1. What is wrong is a 400 that names the field, and nothing was done. (tests/unit/api/test_chat_refusals.py)
2. A file of a session is never a page of ours. (tests/unit/api/test_files.py)
3. The log has no token, no prompt and no reply. (tests/unit/api/test_guard.py)
"""
