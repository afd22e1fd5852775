"""Holder: the process that owns one terminal, always reads and never decides. Standard library and pexpect only.

child         the child and its terminal
connection    one client
errors        why no child started
files         how it is found
input_queue   what is typed, each id once
listener      its socket
lock          only one of it
loop          one thread, one selector
main          the program
process_tree  everything the child started
protocol      frames on the socket
ring          the last output, on disk
service       clients and operations

May import: nothing.

1. At most one holder for a transcript. (tests/faults/test_holder_lock.py)
2. What was written under an id is never written twice. (tests/faults/test_holder_terminal.py)
3. The exit status is on disk before anybody is told. (tests/faults/test_holder_exit.py)
"""
