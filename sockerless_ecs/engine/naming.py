"""What containers may be called, and what they are called when nobody says."""

from __future__ import annotations

import re
import secrets

from sockerless_ecs.errors import InvalidParameter

_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ADJECTIVES = (
    "able", "amber", "brave", "brisk", "calm", "clear", "crisp", "deft", "eager", "early", "fair", "fleet",
    "fond", "frank", "gentle", "glad", "grand", "happy", "keen", "kind", "lively", "lucid", "merry", "mild",
    "neat", "nimble", "noble", "plain", "prompt", "proud", "quick", "quiet", "ready", "sharp", "shy", "sly",
    "smart", "solid", "spry", "steady", "sunny", "swift", "tidy", "true", "vivid", "warm", "wise", "witty",
)  # fmt: skip
_NOUNS = (
    "adder", "bison", "crane", "curlew", "dingo", "dunlin", "eider", "falcon", "ferret", "finch", "gannet",
    "gecko", "godwit", "heron", "ibex", "jackal", "kestrel", "kite", "lark", "linnet", "lynx", "marten",
    "merlin", "mink", "newt", "ocelot", "osprey", "otter", "petrel", "pipit", "plover", "puffin", "quail",
    "raven", "robin", "serval", "shrike", "siskin", "skua", "stoat", "swift", "tern", "viper", "vole",
    "wagtail", "weasel", "wren", "yak",
)  # fmt: skip


def checked(name: str) -> str:
    """The name without its slash; raises InvalidParameter in Docker's words."""
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def invented() -> str:
    """Two words, as Docker has it; with a number, so that a fleet does not run out of them."""
    return f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}{secrets.randbelow(10_000)}"
