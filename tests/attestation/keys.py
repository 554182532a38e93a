"""Key pairs to sign and verify with, as openssl makes them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key


def write_keys(folder: Path, name: str) -> None:
    private = generate_private_key(SECP256R1())
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(
        private.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / f"{name}.pub").write_bytes(
        private.public_key().public_bytes(
            pem, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
