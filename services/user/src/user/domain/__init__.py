"""The rules of accounts, sessions, passwords, signing keys and companies."""
