"""The folder tree of an organization's keys and certificates, laid out as Fabric's cryptogen does.

    {peer,orderer}Organizations/DOMAIN/
      ca/ tlsca/                 the authorities
      msp/                       what goes into the channel configuration
      peers/NAME.DOMAIN/{msp,tls}     (orderers/ for an ordering organization)
      users/User1@DOMAIN/{msp,tls}    users/Admin@DOMAIN/{msp,tls}

(fabric internal/cryptogen/msp). Folders with keys have mode 0700, key files 0600.
"""

import datetime as dt
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tongban.network.ca import CertificateAuthority, IssuedKey, Subject

ROLES = ("client", "peer", "admin", "orderer")


@dataclass(frozen=True, slots=True)
class NodeNames:
    """A node: its short name, such as ``peer0``, and further names its TLS certificate holds."""

    name: str
    sans: tuple[str, ...] = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class UserSpec:
    """A user: name, role, and attributes for attribute-based access control."""

    name: str
    role: str = "client"
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OrganizationSpec:
    """An organization whose material is to exist. ``kind`` is ``peer`` or ``orderer``."""

    domain: str
    kind: str = "peer"
    nodes: Sequence[NodeNames] = field(default_factory=tuple)
    users: Sequence[UserSpec] = (UserSpec("Admin", "admin"), UserSpec("User1"))


class CryptoTree:
    """The material of one organization below ``root``; creates what is missing, keeps the rest."""

    def __init__(self, root: Path, spec: OrganizationSpec) -> None:
        self._spec = spec
        self.path = root / f"{spec.kind}Organizations" / spec.domain
        self._node_folder = "peers" if spec.kind == "peer" else "orderers"

    def node(self, name: str) -> Path:
        return self.path / self._node_folder / f"{name}.{self._spec.domain}"

    def user(self, name: str) -> Path:
        return self.path / "users" / f"{name}@{self._spec.domain}"

    @property
    def msp(self) -> Path:
        return self.path / "msp"

    @property
    def tls_root(self) -> Path:
        return self.path / "tlsca" / f"tlsca.{self._spec.domain}-cert.pem"

    def ensure(self, now: dt.datetime) -> None:
        """Afterwards every authority, node and user of the specification has its material."""
        identities = self._authority("ca", now)
        tls = self._authority("tlsca", now)
        self._write_msp(self.msp, identities, tls, None, "")
        for node in self._spec.nodes:
            self._ensure_node(node, identities, tls, now)
        for user in self._spec.users:
            self._ensure_user(user, identities, tls, now)

    def _authority(self, kind: str, now: dt.datetime) -> CertificateAuthority:
        domain = self._spec.domain
        folder = self.path / kind
        certificate, key = folder / f"{kind}.{domain}-cert.pem", folder / "priv_sk"
        if key.exists():
            return CertificateAuthority.load(IssuedKey(certificate.read_bytes(), key.read_bytes()))
        authority = CertificateAuthority.create(f"{kind}.{domain}", domain, now)
        issued = authority.export()
        write_public(certificate, issued.certificate)
        write_secret(key, issued.private_key)
        return authority

    def _ensure_node(
        self,
        node: NodeNames,
        identities: CertificateAuthority,
        tls: CertificateAuthority,
        now: dt.datetime,
    ) -> None:
        folder = self.node(node.name)
        if (folder / "tls" / "server.key").exists():
            return
        full_name = f"{node.name}.{self._spec.domain}"
        subject = Subject(full_name, self._spec.kind, self._spec.domain)
        issued = identities.issue_identity(subject, now)
        self._write_msp(folder / "msp", identities, tls, issued, full_name)
        names = tuple(dict.fromkeys((full_name, node.name, *node.sans)))
        tls_subject = Subject(full_name, organization=self._spec.domain)
        self._write_tls(folder / "tls", "server", tls, tls.issue_tls(tls_subject, names, now))

    def _ensure_user(
        self,
        user: UserSpec,
        identities: CertificateAuthority,
        tls: CertificateAuthority,
        now: dt.datetime,
    ) -> None:
        folder = self.user(user.name)
        if (folder / "tls" / "client.key").exists():
            return
        full_name = f"{user.name}@{self._spec.domain}"
        subject = Subject(full_name, user.role, self._spec.domain)
        attributes = json.dumps({"attrs": dict(user.attributes)}) if user.attributes else ""
        issued = identities.issue_identity(subject, now, attributes.encode())
        self._write_msp(folder / "msp", identities, tls, issued, full_name)
        tls_subject = Subject(full_name, organization=self._spec.domain)
        self._write_tls(folder / "tls", "client", tls, tls.issue_tls(tls_subject, (), now))

    def _write_msp(
        self,
        folder: Path,
        identities: CertificateAuthority,
        tls: CertificateAuthority,
        own: IssuedKey | None,
        full_name: str,
    ) -> None:
        domain = self._spec.domain
        write_public(folder / "cacerts" / f"ca.{domain}-cert.pem", identities.certificate_pem)
        write_public(folder / "tlscacerts" / f"tlsca.{domain}-cert.pem", tls.certificate_pem)
        write_public(folder / "config.yaml", _node_ous(f"cacerts/ca.{domain}-cert.pem"))
        if own is not None:
            write_public(folder / "signcerts" / f"{full_name}-cert.pem", own.certificate)
            write_secret(folder / "keystore" / "priv_sk", own.private_key)

    @staticmethod
    def _write_tls(
        folder: Path, kind: str, authority: CertificateAuthority, issued: IssuedKey
    ) -> None:
        write_public(folder / "ca.crt", authority.certificate_pem)
        write_public(folder / f"{kind}.crt", issued.certificate)
        write_secret(folder / f"{kind}.key", issued.private_key)


def _node_ous(certificate: str) -> bytes:
    lines = ["NodeOUs:", "  Enable: true"]
    for role in ROLES:
        lines += [
            f"  {role.capitalize()}OUIdentifier:",
            f"    Certificate: {certificate}",
            f"    OrganizationalUnitIdentifier: {role}",
        ]
    return ("\n".join(lines) + "\n").encode()


def write_public(path: Path, content: bytes) -> None:
    """Write atomically; readable by everybody."""
    _write(path, content, 0o644)


def write_secret(path: Path, content: bytes) -> None:
    """Write atomically; the file is readable by its owner alone from its first moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    _write(path, content, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.rename(path)
