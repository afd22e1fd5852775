"""What other programs may import. Nothing here needs the rest of pilotlight, or any library.

client/  of the HTTP API

May import: nothing.
"""
