"""The top floor: command line, configuration and experiments."""
