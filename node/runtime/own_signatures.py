"""This peer's signer, which makes sure that its own endorsements are not verified again."""

from tongban.node.core.policy import SignatureVerifier
from tongban.protos.signing import Signer


class RememberingSigner:
    """Signs like the signer it wraps, and tells the verifier that the signature holds."""

    def __init__(self, signer: Signer, identity_id: str, verifier: SignatureVerifier) -> None:
        self._signer = signer
        self._identity_id = identity_id
        self._verifier = verifier

    @property
    def creator(self) -> bytes:
        return self._signer.creator

    def sign(self, message: bytes) -> bytes:
        signature = self._signer.sign(message)
        self._verifier.remember(self._identity_id, message, signature)
        return signature
