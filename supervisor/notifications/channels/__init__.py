"""The ways out. Each is a module with one class that fulfils `contract.Channel`; all of them run on the courier's thread."""
