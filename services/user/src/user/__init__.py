"""The user service: accounts, their sessions and rights, companies, and the keys that sign access tokens."""
