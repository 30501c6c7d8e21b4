"""Chinese or English, by the locale of whoever reads."""

import os


def is_chinese() -> bool:
    """Whether the locale asks for Chinese (POSIX.1-2017, 8.2: the first one set decides)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return value.lower().startswith("zh")
    return False


def text(english: str, chinese: str) -> str:
    """The wording for the locale."""
    return chinese if is_chinese() else english
