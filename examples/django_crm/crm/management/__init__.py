"""Commands of the CRM."""
