"""Deploying a contract on a development network: every step of the chaincode lifecycle, as the
administrators of all organizations at once.

In production each organization installs and approves by itself; here one command does it and says
which steps it took.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from tongban.contracts.packaging import BuiltPackage, build_project
from tongban.network.collections import read_collections
from tongban.network.connections import Connections
from tongban.network.errors import LifecycleError
from tongban.network.layout import full_name
from tongban.network.topology import Channel, Organization
from tongban.node.core.policy import parse_policy
from tongban.protos import lifecycle_pb2
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.codec import parse
from tongban.protos.collection_pb2 import CollectionConfigPackage
from tongban.sdk import EvaluateError, Timeouts, TransactionError
from tongban.sdk.core.proposal import Invocation

LIFECYCLE = "_lifecycle"
ADMIN = "Admin"

Say = Callable[[str], None]
"""Told of each step as it is done."""

READY_SECONDS_MAX = 15.0
"""For the last approval to reach every peer."""

TIMEOUTS = Timeouts(evaluate_s=30, endorse_s=60, submit_s=30, commit_status_s=60)


@dataclass(frozen=True, slots=True)
class Definition:
    """What all organizations agree on."""

    name: str
    version: str
    sequence: int
    validation_parameter: bytes
    """Serialized ApplicationPolicy, empty for the channel's default."""
    collections: CollectionConfigPackage


class Deployment:
    """Deploys contracts on one channel."""

    def __init__(self, connections: Connections, channel: Channel, say: Say) -> None:
        self._connections = connections
        self._channel = channel
        self._say = say
        self._endorsing = [org for org in connections.members(channel) if org.peers]

    def deploy(self, folder: Path, policy: str) -> str:
        """Build, install, approve and commit; returns the package id. Does nothing where the
        channel has the same definition and package already. An upgrade for which no policy is
        given keeps the one that is committed.

        Raises:
            LifecycleError: a step was refused.
            InvalidProject, InvalidPolicy: the folder or the policy cannot be used.
        """
        built = build_project(folder)
        name = built.project.name
        parameter = _validation_parameter(policy)
        collections = read_collections(built.project.collections)
        self._say(f"package {built.package_id}")
        self._at_once(lambda organization: list(self._install(organization, built)))
        current = self._committed(name)
        definition = Definition(
            name,
            built.project.version,
            current.sequence + 1,
            parameter or current.validation_parameter,
            collections,
        )
        if self._is_current(current, definition, built):
            self._say(f"{name} {definition.version} is committed already")
            return built.package_id
        ready = self._approvals(self._endorsing[0], definition)

        def approve(organization: Organization) -> list[str]:
            approved = self._approved_package(organization, name, definition.sequence)
            if ready.get(organization.msp_id) and approved == built.package_id:
                return []
            return [self._approve(organization, definition, built.package_id)]

        self._at_once(approve)
        self._wait_until_ready(definition)
        self._commit(definition)
        return built.package_id

    def _at_once(self, act: Callable[[Organization], list[str]]) -> None:
        """Let all organizations act, which do not wait for each other, and tell what each did."""
        with ThreadPoolExecutor(max_workers=len(self._endorsing)) as pool:
            for done in pool.map(act, self._endorsing):
                for step in done:
                    self._say(step)

    def _install(self, organization: Organization, built: BuiltPackage) -> Iterator[str]:
        identity = self._connections.identity(organization, ADMIN)
        args = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=built.content)
        call = Invocation("", LIFECYCLE, (b"InstallChaincode", args.SerializeToString()))
        for peer in organization.peers:
            name = full_name(peer, organization.domain)
            response = self._connections.call_peer(organization, peer, identity, call).response
            if response.status == 200:
                yield f"install on {name}"
            elif "already successfully installed" in response.message:
                yield f"install on {name}: is there already"
            else:
                raise LifecycleError(f"install on {name}", response.message)

    def _committed(self, name: str) -> lifecycle_pb2.QueryChaincodeDefinitionResult:
        args = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name)
        try:
            data = self._evaluate(self._endorsing[0], "QueryChaincodeDefinition", args)
        except EvaluateError as error:
            if "is not defined" not in str(error) and not _mentions(error, "is not defined"):
                raise LifecycleError("query the definition", str(error)) from None
            return lifecycle_pb2.QueryChaincodeDefinitionResult()
        return parse(lifecycle_pb2.QueryChaincodeDefinitionResult, data)

    def _is_current(
        self,
        current: lifecycle_pb2.QueryChaincodeDefinitionResult,
        wanted: Definition,
        built: BuiltPackage,
    ) -> bool:
        same = (
            current.sequence > 0
            and current.version == wanted.version
            and current.validation_parameter == wanted.validation_parameter
            and current.collections == wanted.collections
        )
        return same and all(
            self._approved_package(org, wanted.name, current.sequence) == built.package_id
            for org in self._endorsing
        )

    def _approved_package(self, organization: Organization, name: str, sequence: int) -> str:
        args = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name=name, sequence=sequence)
        try:
            data = self._evaluate(organization, "QueryApprovedChaincodeDefinition", args)
        except EvaluateError:
            return ""
        found = parse(lifecycle_pb2.QueryApprovedChaincodeDefinitionResult, data)
        return found.source.local_package.package_id

    def _approve(self, organization: Organization, wanted: Definition, package_id: str) -> str:
        args = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
            name=wanted.name,
            version=wanted.version,
            sequence=wanted.sequence,
            validation_parameter=wanted.validation_parameter,
            collections=wanted.collections,
            source=lifecycle_pb2.ChaincodeSource(
                local_package=lifecycle_pb2.ChaincodeSource.Local(package_id=package_id)
            ),
        )
        step = f"approve for {organization.msp_id}"
        function = "ApproveChaincodeDefinitionForMyOrg"
        self._submit(step, organization, function, args, [organization.msp_id])
        return f"{step}: {wanted.name} {wanted.version}, sequence {wanted.sequence}"

    def _approvals(self, organization: Organization, wanted: Definition) -> dict[str, bool]:
        args = lifecycle_pb2.CheckCommitReadinessArgs(
            name=wanted.name,
            version=wanted.version,
            sequence=wanted.sequence,
            validation_parameter=wanted.validation_parameter,
            collections=wanted.collections,
        )
        data = self._evaluate(organization, "CheckCommitReadiness", args)
        return dict(parse(lifecycle_pb2.CheckCommitReadinessResult, data).approvals)

    def _wait_until_ready(self, wanted: Definition) -> None:
        """Every peer that endorses the commit has seen all approvals."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        for organization in self._endorsing:
            while True:
                approvals = self._approvals(organization, wanted)
                missing = [o.msp_id for o in self._endorsing if not approvals.get(o.msp_id)]
                if not missing:
                    break
                if time.monotonic() > deadline:
                    raise LifecycleError("check readiness", f"not approved by {missing}")
                time.sleep(0.02)
        self._say("ready to commit: approved by " + ", ".join(o.msp_id for o in self._endorsing))

    def _commit(self, wanted: Definition) -> None:
        args = lifecycle_pb2.CommitChaincodeDefinitionArgs(
            name=wanted.name,
            version=wanted.version,
            sequence=wanted.sequence,
            validation_parameter=wanted.validation_parameter,
            collections=wanted.collections,
        )
        everybody = [org.msp_id for org in self._endorsing]
        self._submit("commit", self._endorsing[0], "CommitChaincodeDefinition", args, everybody)
        self._say(f"commit {wanted.name} {wanted.version} on {self._channel.id}")

    def _evaluate(self, organization: Organization, function: str, args: Message) -> bytes:
        with self._connections.gateway(organization, ADMIN, TIMEOUTS) as gateway:
            contract = gateway.get_network(self._channel.id).get_contract(LIFECYCLE)
            return contract.evaluate(
                function, args.SerializeToString(), target_organizations=[organization.msp_id]
            )

    def _submit(
        self,
        step: str,
        organization: Organization,
        function: str,
        args: Message,
        endorsing: Sequence[str],
    ) -> None:
        try:
            with self._connections.gateway(organization, ADMIN, TIMEOUTS) as gateway:
                contract = gateway.get_network(self._channel.id).get_contract(LIFECYCLE)
                contract.submit(
                    function, args.SerializeToString(), endorsing_organizations=endorsing
                )
        except TransactionError as error:
            raise LifecycleError(step, str(error)) from None


def _validation_parameter(policy: str) -> bytes:
    if not policy:
        return b""
    if policy.startswith("/"):
        reference = ApplicationPolicy(channel_config_policy_reference=policy)
        return reference.SerializeToString()
    return ApplicationPolicy(signature_policy=parse_policy(policy)).SerializeToString()


def _mentions(error: TransactionError | EvaluateError, text: str) -> bool:
    return any(text in detail.message for detail in error.details)
