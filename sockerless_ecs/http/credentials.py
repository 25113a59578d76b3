"""What proves to a registry who asks, as Docker's clients send it."""

from __future__ import annotations

import base64
import binascii

import msgspec

from sockerless_ecs.engine.values import Credentials
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.shapes.system import AuthBody


def credentials(header: str | None) -> Credentials | None:
    """What `X-Registry-Auth` carries: JSON in either alphabet of base64, padded or not.

    None where there is nothing in it; raises InvalidParameter for what is no such header.
    """
    if not header:
        return None
    try:
        bare = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        auth = msgspec.json.decode(raw.strip() or b"{}", type=AuthBody | None)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidParameter("Auth: not the base64url form of registry credentials") from None
    return None if auth is None else _given(auth)


def checked_credentials(auth: AuthBody) -> Credentials:
    """What `POST /auth` asks to be checked."""
    return _given(auth) or Credentials(server_address=auth.serveraddress or "")


def _given(auth: AuthBody) -> Credentials | None:
    username, password = auth.username or "", auth.password or ""
    if auth.auth and not username:
        username, password = _basic(auth.auth)
    if not (username or password or auth.identitytoken):
        return None
    return Credentials(
        username=username,
        password=password,
        identity_token=auth.identitytoken or "",
        server_address=auth.serveraddress or "",
    )


def _basic(value: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        raise InvalidParameter("Auth: its auth is not the base64 form of user:password") from None
    return username, password
