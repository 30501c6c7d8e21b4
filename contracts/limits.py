"""Limits of the contract library, each with its unit and its reason."""

ARGUMENT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of one argument. Larger things belong outside the ledger, with their hash on it."""

RESULT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of one result."""

JSON_DEPTH_MAX = 64
"""Arrays and objects inside each other, in arguments and results."""

INTEGER_DIGITS_MAX = 100
"""Digits of an integer in JSON. Python converts long ones in quadratic time."""

DECIMAL_DIGITS_MAX = 100
"""Digits of a Decimal, written out without an exponent."""

FUNCTION_NAME_CHARACTERS_MAX = 200
"""Characters of an unknown function's name that are repeated in the error."""

ERROR_CHARACTERS_MAX = 4_096
"""Characters of an error message that reach the client; the log keeps the whole."""

CALL_DEPTH_MAX = 16
"""Contracts that call contracts that call contracts, in the test kit. A peer only
has its time limit; the kit has no clock."""
