"""What every process of pilotlight speaks: configuration, paths, errors, the bus schema and its client."""

__version__ = "0.1.0"
