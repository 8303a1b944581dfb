"""The public HTTPS API: what is asked is checked here, and answered by the services behind it."""
