"""Fakes for tests: small stand-ins for environments, tables, interpreters and sinks. Nothing but tests imports them."""
