"""Where a network's peers are and whose identities it has, read from its folder.

The layout is cryptogen's: ``peerOrganizations/DOMAIN/users/USER@DOMAIN/msp`` and
``peerOrganizations/DOMAIN/peers/PEER/tls/ca.crt``; the ports of a network that ``tongban network
up`` has started stand in its ``topology.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .channel import Tls
from .identity import SigningIdentity, load_msp_directory

TOPOLOGY_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """What ``Gateway.connect`` needs.

    >>> profile = load_profile(".tongban/network", "Org1MSP")  # doctest: +SKIP
    >>> Gateway.connect(profile.target, profile.identity, tls=profile.tls)  # doctest: +SKIP
    """

    target: str
    """``host:port`` of a peer."""
    identity: SigningIdentity
    tls: Tls


def load_profile(
    directory: str | Path, organization: str, user: str = "User1", peer: str | None = None
) -> Profile:
    """A user of an organization of the network in this folder, at a peer of that organization, or
    of the first one that has peers. ``organization`` is a group name, an MSP id or a domain.

    Raises:
        ValueError: there is no such organization, user or peer; the text says which there are.
        FileNotFoundError: there is no network in this folder.
    """
    root = Path(directory)
    organizations = _read_topology(root / "topology.yaml")
    member = _find(organizations, organization)
    host = next((one for one in (member, *organizations) if one.peers), None)
    if host is None:
        raise ValueError(f"no organization of the network in {root} has a peer")
    name = peer or next(iter(host.peers))
    if name not in host.peers:
        raise ValueError(f"{host.domain} has no peer {name!r}, only {', '.join(host.peers)}")
    tree = root / "organizations" / "peerOrganizations"
    full_name = f"{name}.{host.domain}"
    return Profile(
        target=f"127.0.0.1:{host.peers[name]}",
        identity=load_user(tree, member.domain, member.msp_id, user),
        tls=load_tls(tree, host.domain, full_name),
    )


def load_user(tree: str | Path, domain: str, msp_id: str, user: str = "User1") -> SigningIdentity:
    """A user's identity from a ``peerOrganizations`` folder, such as one that cryptogen made.

    Raises:
        ValueError: there is no such user, or the key does not fit the certificate.
    """
    users = Path(tree) / domain / "users"
    folder = users / f"{user}@{domain}"
    if not folder.is_dir():
        known = sorted(p.name for p in users.iterdir()) if users.is_dir() else []
        raise ValueError(f"no {folder.name} in {users}, only {', '.join(known) or 'nothing'}")
    return load_msp_directory(folder / "msp", msp_id)


def load_tls(tree: str | Path, domain: str, peer: str) -> Tls:
    """How to know a peer, from a ``peerOrganizations`` folder. ``peer`` is its full name."""
    root = Path(tree) / domain / "peers" / peer / "tls" / "ca.crt"
    return Tls(root.read_bytes(), server_name=peer)


@dataclass(frozen=True, slots=True)
class _Organization:
    group: str
    msp_id: str
    domain: str
    peers: Mapping[str, int]
    """Name and port."""


def _read_topology(path: Path) -> list[_Organization]:
    found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))  # Any: as yaml types it
    try:
        if found["format"] != TOPOLOGY_FORMAT:
            raise ValueError(
                f"{path} has format {found['format']}, expected {TOPOLOGY_FORMAT}: it was written"
                " by another version"
            )
        return [
            _Organization(
                one["group"],
                one["msp_id"],
                one["domain"],
                {peer["name"]: int(peer["port"]) for peer in one.get("peers", ())},
            )
            for one in found["organizations"]
        ]
    except (KeyError, TypeError):
        raise ValueError(f"expected the topology of a network in {path}") from None


def _find(organizations: list[_Organization], wanted: str) -> _Organization:
    for one in organizations:
        if wanted.lower() in (one.group.lower(), one.msp_id.lower(), one.domain.lower()):
            return one
    known = ", ".join(one.group for one in organizations)
    raise ValueError(f"no organization {wanted!r} in the network, only {known}")
