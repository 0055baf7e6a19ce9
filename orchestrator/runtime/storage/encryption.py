"""Keys from the environment, and the checkpoints' part of encryption."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from orchestrator.core.sealing import ENCRYPTION_VARIABLE, EncryptionError, Seal

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet
    from langgraph.checkpoint.serde.base import SerializerProtocol

_HOW = (
    "make one with: python -c "
    "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


def seal_from_environment() -> Seal:
    """What ``ORCHESTRATOR_ENCRYPTION_KEY`` says: Fernet keys, newest first, commas between them.

    Everything is encrypted under the first; each of them decrypts.

    Raises:
        EncryptionError: If a key is none, or the package that encrypts is missing.
    """
    keys = [key for key in os.environ.get(ENCRYPTION_VARIABLE, "").replace(",", " ").split() if key]
    if not keys:
        return Seal()
    try:
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = (
            f"{ENCRYPTION_VARIABLE} is set, and what encrypts is not installed; "
            "install it with: pip install 'cost-aware-orchestrator[encryption]'"
        )
        raise EncryptionError(message) from error
    try:
        fernets = [Fernet(key) for key in keys]
    except ValueError:
        # Not "from error", nor with its text: it may quote the key.
        message = f"{ENCRYPTION_VARIABLE} holds no key of 32 bytes in URL-safe base64; {_HOW}"
        raise EncryptionError(message) from None
    return Seal(_Fernets(MultiFernet(fernets)))


class _Fernets:
    """A :class:`~orchestrator.core.sealing.Cipher`: AES-128-CBC with HMAC-SHA256."""

    def __init__(self, fernets: MultiFernet) -> None:
        self._fernets = fernets

    def encrypt(self, data: bytes) -> bytes:
        return self._fernets.encrypt(data)

    def decrypt(self, token: bytes) -> bytes | None:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - an extra

        try:
            return self._fernets.decrypt(token)
        except InvalidToken:
            return None


class _CheckpointCipher:
    """LangGraph's ``CipherProtocol`` over a seal."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "sealed", self._seal.close(plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:  # noqa: ARG002 - LangGraph's signature
        return self._seal.open(ciphertext)


def sealing(serde: SerializerProtocol, seal: Seal) -> SerializerProtocol:
    """``serde``, sealing what it writes if there is a key."""
    return EncryptedSerializer(_CheckpointCipher(seal), serde) if seal.is_set else serde
