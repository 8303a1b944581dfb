"""D1, argon2id and WebCrypto."""
