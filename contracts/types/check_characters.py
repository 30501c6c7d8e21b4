"""Check characters of the identifiers, as pure arithmetic over text that has the right alphabet.

Sources: GB 11643-1999 (ISO 7064 MOD 11-2), GB 32100-2015, GB 11714-1997, GB/T 36904-2018
(ISO 7064 MOD 37,36).
"""

RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""2 ** (17 - i) mod 11, GB 11643-1999."""

RESIDENT_CHECKS = "10X98765432"

CREDIT_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""No I, O, S, V and Z (GB 32100-2015)."""

CREDIT_CODE_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
"""3 ** i mod 31."""

ALPHANUMERICS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

ORGANIZATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
"""GB 11714-1997."""


def resident_check(first_17: str) -> str:
    """The 18th character of a resident identity number, from its first 17 digits."""
    total = sum(
        int(digit) * weight for digit, weight in zip(first_17, RESIDENT_WEIGHTS, strict=True)
    )
    return RESIDENT_CHECKS[total % 11]


def credit_code_check(first_17: str) -> str:
    """The 18th character of a unified social credit code, from its first 17."""
    total = sum(
        CREDIT_CODE_ALPHABET.index(character) * weight
        for character, weight in zip(first_17, CREDIT_CODE_WEIGHTS, strict=True)
    )
    # The outer remainder matters when the sum is a multiple of 31.
    return CREDIT_CODE_ALPHABET[(31 - total % 31) % 31]


def organization_check(first_8: str) -> str:
    """The 9th character of an organization code, from its first 8."""
    total = sum(
        ALPHANUMERICS.index(character) * weight
        for character, weight in zip(first_8, ORGANIZATION_WEIGHTS, strict=True)
    )
    return "0123456789X0"[11 - total % 11]


def mod_37_36_check(text: str) -> str:
    """The check character of ISO 7064 MOD 37,36 over digits and upper-case letters."""
    product = 36
    for character in text:
        product = (product + ALPHANUMERICS.index(character)) % 36 or 36
        product = product * 2 % 37
    return ALPHANUMERICS[(37 - product) % 36]
