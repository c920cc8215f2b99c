"""Where events are kept: in memory, in a SQLite file, on PostgreSQL; each one is a ``Recorder``."""
