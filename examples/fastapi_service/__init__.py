"""A web service on cadence: FastAPI, PostgreSQL, as many workers as you like (README.md)."""
