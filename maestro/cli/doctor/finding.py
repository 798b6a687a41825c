"""What a check says: how bad, what is the matter, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

LEVELS = ("ok", "hint", "warning", "error")


@dataclass(frozen=True)
class Finding:
    check: str
    level: str  # one of LEVELS; "hint" is for what is missing but optional
    text: str
    command: str | None = None  # a line for the shell

    def as_dict(self) -> dict:
        return asdict(self)


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def hint(check: str, text: str, command: str | None = None) -> Finding:
    return Finding(check, "hint", text, command)


def warning(check: str, text: str, command: str) -> Finding:
    return Finding(check, "warning", text, command)


def error(check: str, text: str, command: str) -> Finding:
    return Finding(check, "error", text, command)
