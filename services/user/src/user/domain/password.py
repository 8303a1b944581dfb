"""The password: which ones may be chosen (NIST SP 800-63B-4, 3.1.1.2), and in which form they are hashed.

In one point less is asked than there: NIST wants 15 characters of a password that is all one signs in with, OWASP's
ASVS 5.0 (6.2.1) wants 8. Long ones are allowed and no rules of composition are made, but what an attacker would try
first is refused: common passwords, and the account's own words.
"""

import unicodedata
from collections.abc import Container, Iterator

from user.domain.errors import PasswordNotAllowed

SHORTEST, LONGEST = 8, 128
"""In code points of the normalised form."""


def normalised(password: str) -> str:
    """The password in NFKC, so that it is the same one from every keyboard."""
    return unicodedata.normalize("NFKC", password)


def allowed(password: str, email: str, name: str, common: Container[str]) -> str:
    """The new password in the form that is hashed; PasswordNotAllowed.

    `common` holds common passwords in lower case. Its codes are `password_too_common`, `password_too_personal` and
    `password_length`.
    """
    chosen = normalised(password)
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise PasswordNotAllowed(
            f"a password has {SHORTEST} to {LONGEST} characters in its normalised form", code="password_length"
        )
    folded = chosen.casefold()
    if folded in common or chosen.lower() in common or len(set(folded)) == 1:
        raise PasswordNotAllowed("this password is one of the first that are tried", code="password_too_common")
    if folded in set(_own_words(email, name)):
        raise PasswordNotAllowed("the e-mail address or the name is no password", code="password_too_personal")
    return chosen


def _own_words(email: str, name: str) -> Iterator[str]:
    for words in (email, email.partition("@")[0], name, "".join(name.split())):
        yield normalised(words).casefold()
