"""A store on SQLAlchemy: events in a CRM's own table, written in the CRM's transaction."""
