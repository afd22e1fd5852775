"""Store: SQLite, the only room with it.

backup               a copy, read back
database             connection, transactions, what is kept by name
event_journal        numbered without gaps
idempotency          which request was made before
message_index        messages found without reading them
migrations           the database's shape, step by step
notification_tables  what notifications keep
options              a row's options, in parts
publishing           told after the commit
quarantine           files put aside
records              a session, a message
rollback             memory follows the database
rows                 a record as a row
run_time_rules       rules added later
search_index         full text
sqlite               its errors, as ours
store                sessions and messages
verification         whether the file is sound
wal                  kept small

May import: clock.

1. A failure after a change rolls back memory, nested values too. (tests/unit/store/test_rollback.py)
2. What another program wrote into options is kept. (tests/unit/store/test_options.py)
3. What is looked for costs what is found, not what there is. (tests/unit/store/test_growth.py)
"""
