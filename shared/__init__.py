"""What every process of pilotlight speaks: configuration, paths, errors, the bus schema and its client.

asciicast        recordings
certificate      of an API with TLS
claude_names     of the CLI, for two packages
config           one typed tree
database         its version, unopened
errors           the one tree
foreign_file     what others write
frames           a stream, cut
instance         who holds a lock file
logs             one line a record
node             which pilotlight this is
paths            where everything lives
plain_text       what drives no terminal
private_folders  for the owner only
readiness        told to systemd
releases         of Claude Code
access/          tokens and keys
bus/             the schema and its client
process/         a pid and its start time

May import: nothing.
"""

__version__ = "0.2.0"
