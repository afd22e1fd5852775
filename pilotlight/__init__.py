"""What other programs may import. Nothing here needs the rest of pilotlight, or any library."""
