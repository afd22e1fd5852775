"""Operations: everything that can be asked of the supervisor, by subject; the daemon makes one table of the rows of each.

desk           what a client with a screen needs
history        what was said, searched and counted; forks
messages       sending, commands, the queue
moves          going to another node, and coming from one
notifications  recipients and what they were told
paging         where a page of a list ends
recap          a summary where a life is prolonged
sessions       opening, changing, answering, ending
system         the supervisor itself, settings, journal
table          what is asked, by whom it is answered
terminal       screen, size, recordings
"""
