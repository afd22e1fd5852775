"""History: what was said.

export        all of it as a file
index_upkeep  the index kept fresh
indexer       what goes into the index
library       conversations made elsewhere
own_commands  which commands were ours
reader        page by page, from the end

May import: claude, store.

1. A conversation from elsewhere is resumed only when it is free. (tests/real/test_history.py)
"""
