"""A CRM on Django that follows up with cadence."""
