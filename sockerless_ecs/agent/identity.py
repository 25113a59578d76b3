"""Who may talk to an agent, and how an agent proves who it is: contexts and proofs."""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl

_PROOF_LABEL = b"sockerless-agent-proof-v1\x00"


def client_context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Mutual TLS 1.3 without an authority: the agent pins our key, and we check its proof instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # The ssl module reads keys from files only; a memory file has no name that others could open.
    with os.fdopen(os.memfd_create("identity"), "wb") as file:
        file.write(certificate_pem + b"\n" + key_pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def proves(proof: str, token: bytes, certificate_der: bytes) -> bool:
    """Whether the maker of this certificate holds the task's token."""
    expected = hmac.digest(token, _PROOF_LABEL + certificate_der, hashlib.sha256).hex()
    return hmac.compare_digest(expected, proof)
