"""How the ports are met by D1."""
