"""Sealing what was said, so that who reads the files does not read it."""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.errors import OrchestratorError

ENCRYPTION_VARIABLE = "ORCHESTRATOR_ENCRYPTION_KEY"
"""The environment variable with the keys."""

# 0xC1 begins neither MessagePack nor UTF-8, and so nothing that is kept unsealed.
_MARK = b"\xc1sealed1:"


class EncryptionError(OrchestratorError):
    """Something is encrypted and cannot be read with the keys that are set, or none is."""


class Cipher(Protocol):
    """Encrypts and proves, at reading, that nobody changed it."""

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt under the newest key."""
        ...

    def decrypt(self, token: bytes) -> bytes | None:
        """Decrypt under whichever key fits; ``None`` if none does, or it was changed."""
        ...


class Seal:
    """Seals bodies if there is a cipher; opens what was sealed, and passes on what was not.

    So what was written before a key was set stays readable.
    """

    def __init__(self, cipher: Cipher | None = None) -> None:
        """Without a ``cipher`` nothing is sealed, and what is sealed cannot be opened."""
        self._cipher = cipher

    @property
    def is_set(self) -> bool:
        """Whether there is a cipher."""
        return self._cipher is not None

    def close(self, body: bytes) -> bytes:
        """``body``, sealed; an empty one stays empty, for it says that there is none."""
        return body if self._cipher is None or not body else _MARK + self._cipher.encrypt(body)

    def open(self, body: bytes) -> bytes:
        """What :meth:`close` was given.

        Raises:
            EncryptionError: If it is sealed and no key is set, or none that fits.
        """
        if not body.startswith(_MARK):
            return body
        if self._cipher is None:
            message = f"This is encrypted: set {ENCRYPTION_VARIABLE} to the key it was written with"
            raise EncryptionError(message)
        opened = self._cipher.decrypt(body.removeprefix(_MARK))
        if opened is None:
            message = (
                f"No key in {ENCRYPTION_VARIABLE} fits: add the key this was written with behind "
                "a comma. Nothing was changed."
            )
            raise EncryptionError(message)
        return opened
