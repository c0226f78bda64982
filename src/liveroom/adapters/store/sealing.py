"""Salts at rest: AES-256-GCM under the data keys; a row names its key."""

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class WrongDataKey(Exception):  # noqa: N818 - told to the operator as it is
    """A sealed salt names a key that this process was not given."""


class Seal:
    """Seals with the first key, opens with any of them. The context binds a sealed text to its row."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {_derive(key, b"liveroom data key id", 8).hex(): _cipher(key) for key in keys}
        self.key_id = next(iter(self._keys))

    def close(self, text: str, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._keys[self.key_id].encrypt(nonce, text.encode(), context.encode())

    def open(self, key_id: str, sealed: bytes, context: str) -> str:
        """The sealed text; raises `WrongDataKey`."""
        try:
            return self._keys[key_id].decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode()).decode()
        except (KeyError, InvalidTag):
            raise WrongDataKey(key_id) from None


def _cipher(key: str) -> AESGCM:
    return AESGCM(_derive(key, b"liveroom data key", 32))


def _derive(key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length=length, salt=None, info=purpose).derive(key.encode())
