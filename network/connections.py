"""Connections of the network's own identities to its peers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from tongban.network.errors import NetworkError
from tongban.network.layout import NetworkLayout, full_name
from tongban.network.topology import Channel, Node, Organization, Topology
from tongban.protos.limits import GRPC_OPTIONS
from tongban.protos.proposal_pb2 import SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.services.endorser_pb2_grpc import EndorserStub
from tongban.sdk import Gateway, SigningIdentity, Timeouts, Tls, load_msp_directory
from tongban.sdk.core.proposal import NONCE_BYTES, Invocation, Moment, build_proposal

CALL_SECONDS_MAX = 60.0
"""One call of a peer by an administrator, such as installing a package."""


class Connections:
    """Opens connections as any user of any organization of one network on this machine."""

    def __init__(self, topology: Topology, layout: NetworkLayout) -> None:
        self.topology = topology
        self.layout = layout

    def identity(self, organization: Organization, user: str) -> SigningIdentity:
        """The identity of a user.

        Raises:
            NetworkError: there is no such user.
        """
        folder = self.layout.tree_of(organization).user(user) / "msp"
        try:
            return load_msp_directory(folder, organization.msp_id)
        except FileNotFoundError:
            known = ", ".join(one.name for one in organization.users)
            raise NetworkError(
                f"{organization.group} has no user {user!r}", f"Expected one of: {known}"
            ) from None

    def tls(self, organization: Organization, peer: Node) -> Tls:
        root = self.layout.tree_of(organization).tls_root.read_bytes()
        return Tls(root, server_name=full_name(peer, organization.domain))

    def find_organization(self, name: str) -> Organization:
        """By group name or MSP id, upper or lower case.

        Raises:
            NetworkError: there is none.
        """
        wanted = name.lower()
        for organization in self.topology.organizations:
            if wanted in (organization.group.lower(), organization.msp_id.lower()):
                return organization
        known = ", ".join(org.group for org in self.topology.organizations)
        raise NetworkError(f"no organization {name!r}", f"Expected one of: {known}")

    def find_channel(self, channel_id: str) -> Channel:
        for channel in self.topology.channels:
            if channel.id == channel_id:
                return channel
        known = ", ".join(channel.id for channel in self.topology.channels)
        raise NetworkError(f"no channel {channel_id!r}", f"Expected one of: {known}")

    def members(self, channel: Channel) -> list[Organization]:
        return [self.topology.organization(group) for group in channel.organizations]

    def entry_peer(self, organization: Organization) -> tuple[Organization, Node]:
        """The peer at which clients of an organization enter: its own, else the first there is."""
        candidates = [organization, *self.topology.organizations]
        for candidate in candidates:
            if candidate.peers:
                return candidate, candidate.peers[0]
        raise NetworkError("no organization of this network has a peer")

    @contextmanager
    def gateway(
        self, organization: Organization, user: str, timeouts: Timeouts | None = None
    ) -> Iterator[Gateway]:
        """A gateway connection of a user at the peer of its organization."""
        host, peer = self.entry_peer(organization)
        identity = self.identity(organization, user)
        address = f"127.0.0.1:{peer.port}"
        tls = self.tls(host, peer)
        with Gateway.connect(address, identity, tls=tls, timeouts=timeouts) as gateway:
            yield gateway

    def call_peer(
        self, organization: Organization, peer: Node, identity: SigningIdentity, call: Invocation
    ) -> ProposalResponse:
        """One proposal straight to one peer, past its gateway.

        Raises:
            NetworkError: the peer cannot be reached, or refused.
        """
        tls = self.tls(organization, peer)
        options = (*GRPC_OPTIONS, ("grpc.ssl_target_name_override", tls.server_name or ""))
        moment = Moment(os.urandom(NONCE_BYTES), time.time_ns())
        _, proposal = build_proposal(call, identity.creator, moment)
        signed = SignedProposal(proposal_bytes=proposal, signature=identity.sign(proposal))
        address = f"127.0.0.1:{peer.port}"
        with grpc.secure_channel(address, tls.credentials(), options=options) as channel:
            try:
                response: ProposalResponse = EndorserStub(channel).ProcessProposal(
                    signed, timeout=CALL_SECONDS_MAX, wait_for_ready=True
                )
            except grpc.RpcError as error:
                text = error.details() if isinstance(error, grpc.Call) else str(error)
                name = full_name(peer, organization.domain)
                raise NetworkError(f"{name} refused: {text}") from None
        return response
