"""Everything that can be asked of the supervisor, by subject; the daemon makes the one table of the rows of each.

table     what is asked, by whom it is answered            sessions       opening, changing, answering, ending
messages  sending, commands, the queue                     history        what was said, searched and counted; forks
terminal  screen, size, recordings                         notifications  recipients and what they were told
system    the supervisor itself, settings, journal         desk           what a client with a screen needs beside talking
recap     a summary where a life is prolonged                paging         where a page of a list ends
"""
