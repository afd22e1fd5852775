"""Access: secrets on disk, and who each belongs to.

bus_keys       clients of the bus over TCP
devices        browsers that were let in
persons        for whom a gateway asks
private_files  small, private, whole
tokens         of the HTTP API

May import: errors, foreign_file, paths.

1. Of a token only a hash is kept. (tests/unit/api/test_tokens.py)
2. A damaged file lets nobody in. (tests/unit/cli/test_bus_keys.py)
3. What a gateway says of a person is signed, for one request. (tests/unit/api/test_persons.py)
"""
