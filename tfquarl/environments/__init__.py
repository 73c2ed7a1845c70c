"""Floor 1: environment suites behind `core.interfaces.Environment`, made by name. A suite is imported when it is first used."""
