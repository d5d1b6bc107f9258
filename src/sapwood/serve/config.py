"""What a server is told: where it listens, who may use it, and every limit that a request meets."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

DEFAULT_PORT = 8000
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to `host`."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Sizes are bytes, times seconds. Raises ValueError naming the field and what it allows.

    served_model_names: names that requests may give as `model`; the first one is reported.
    host: what the server is bound to. Without API keys it must be this machine alone, and then requests must name it
        in their Host header, so that no web page reaches it by a name that resolves to 127.0.0.1.
    api_keys: any of them lets a request in; none lets all in.
    allowed_hosts: further names that a Host header may have when there are no API keys.
    allow_any_host_without_keys: take responsibility for a server without keys that others can reach.
    isolate_prefix_cache: requests of different API keys share no cached prefixes, so that the time of a hit tells
        nobody of another's prompts.
    enable_cache_salt: let clients divide the prefix cache further with `cache_salt`.
    max_body_bytes: larger requests are refused before they are read. body_timeout: for reading one.
    max_prompts: prompts of one completion request. max_choices: prompts times `n`.
    request_timeout: from the head of a request to the end of its answer.
    keep_alive_interval: silence on a stream after which a comment is sent, so that proxies do not close it.
    tokenizer_threads: prompts that are rendered and tokenised at once.
    """

    served_model_names: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allow_any_host_without_keys: bool = False
    isolate_prefix_cache: bool = True
    enable_cache_salt: bool = False
    max_body_bytes: int = 4 << 20
    body_timeout: float = 30.0
    max_prompts: int = 256
    max_choices: int = 256
    request_timeout: float = 600.0
    keep_alive_interval: float = 15.0
    tokenizer_threads: int = 2

    def __post_init__(self) -> None:
        if not self.served_model_names or not all(map(_is_name, self.served_model_names)):
            raise ValueError("served_model_names: allowed: at least one name of 1 to 256 printable characters")
        for key in self.api_keys:
            if not (8 <= len(key) <= 512 and key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("api_keys: allowed: keys of 8 to 512 printable ASCII characters without spaces")
        if not self.api_keys and not is_loopback(self.host) and not self.allow_any_host_without_keys:
            raise ValueError(
                f"host is {self.host!r}, which other machines can reach: API keys are needed (api_keys), or bind to "
                "127.0.0.1"
            )
        for name, least in (
            ("max_body_bytes", 1024),
            ("max_prompts", 1),
            ("max_choices", 1),
            ("tokenizer_threads", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: at least {least}")
        if self.max_body_bytes > 32 << 20:
            raise ValueError(f"max_body_bytes is {self.max_body_bytes}; allowed: at most {32 << 20}")
        for name in ("body_timeout", "request_timeout", "keep_alive_interval"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: above 0 seconds")

    @property
    def model_name(self) -> str:
        return self.served_model_names[0]

    @property
    def checks_host_header(self) -> bool:
        return not self.api_keys and not self.allow_any_host_without_keys


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= 256 and name.isprintable()
