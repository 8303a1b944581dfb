"""Common passwords: the 30,000 that zxcvbn carries, from breaches of other sites, in lower case and by rank."""

from collections.abc import Container

from zxcvbn.matching import RANKED_DICTIONARIES

COMMON_PASSWORDS: Container[str] = RANKED_DICTIONARIES["passwords"]
