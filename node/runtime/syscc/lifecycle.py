"""_lifecycle: installs packages, and approves, commits and queries chaincode definitions.

Source of functions and texts: fabric core/chaincode/lifecycle/scc.go.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from google.protobuf.message import Message

from tongban.node.core.errors import AccessDenied
from tongban.node.core.lifecycle import approvals, rules
from tongban.node.core.lifecycle.approvals import (
    Approved,
    DefinitionArgs,
    DefinitionScope,
    OrgApprovals,
)
from tongban.node.core.lifecycle.definitions import ChaincodeDefinition
from tongban.node.core.lifecycle.errors import LifecycleRefused, NotDefined
from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    NAMESPACES,
    implicit_collection,
    metadata_key,
)
from tongban.node.core.policy import SignaturePolicy
from tongban.node.core.simulation.records import CollectionRecords, PublicRecords
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.channel_access import ChannelAccess
from tongban.node.runtime.contract_host import Response
from tongban.node.runtime.syscc.call import (
    ERROR,
    NOT_FOUND,
    SUCCESS,
    CallRefused,
    SystemCall,
    argument,
)
from tongban.node.runtime.syscc.installer import Installer
from tongban.protos import collection_pb2, lifecycle_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError

NAME = LIFECYCLE_NAMESPACE

LIFECYCLE_CAPABILITIES = frozenset({"V2_0", "V2_5"})
"""Application capabilities with which chaincodes are defined this way."""

M = TypeVar("M", bound=Message)


class _Context:
    """A call on a channel, with the states it reads and writes."""

    def __init__(self, call: SystemCall, own_msp_id: str) -> None:
        self.call = call
        self.own_msp_id = own_msp_id

    @property
    def channel(self) -> ChannelAccess:
        if self.call.channel is None:
            raise LifecycleRefused("no application config for channel ''")
        return self.call.channel

    @property
    def simulator(self) -> Simulator:
        if self.call.simulator is None:
            raise LifecycleRefused("no ledger context")
        return self.call.simulator

    @property
    def public(self) -> PublicRecords:
        return PublicRecords(self.simulator, NAME)

    @property
    def own(self) -> CollectionRecords:
        return self._collection(self.own_msp_id)

    @property
    def scope(self) -> DefinitionScope:
        config = self.channel.config
        return DefinitionScope(
            config.channel_id, lambda path: config.policies.find(path) is not None
        )

    def orgs(self) -> list[OrgApprovals]:
        """The implicit collections of all application organizations."""
        msp_ids = sorted({org.mspid for org in self.channel.config.application_orgs.values()})
        return [OrgApprovals(msp_id, self._collection(msp_id)) for msp_id in msp_ids]

    def _collection(self, msp_id: str) -> CollectionRecords:
        return CollectionRecords(self.simulator, NAME, implicit_collection(msp_id))


class LifecycleChaincode:
    """The chaincode."""

    def __init__(self, access: AccessControl, installer: Installer) -> None:
        self._access = access
        self._installer = installer
        self._own_msp_id = access.local_msp.mspid
        self._functions: Mapping[str, Callable[[_Context, bytes], Awaitable[Message]]] = {
            "InstallChaincode": self._install,
            "QueryInstalledChaincode": self._query_installed,
            "QueryInstalledChaincodes": self._query_all_installed,
            "GetInstalledChaincodePackage": self._get_package,
            "ApproveChaincodeDefinitionForMyOrg": self._approve,
            "QueryApprovedChaincodeDefinition": self._query_approved,
            "QueryApprovedChaincodeDefinitions": self._query_all_approved,
            "CheckCommitReadiness": self._check_readiness,
            "CommitChaincodeDefinition": self._commit,
            "QueryChaincodeDefinition": self._query_defined,
            "QueryChaincodeDefinitions": self._query_all_defined,
        }

    async def invoke(self, call: SystemCall) -> Response:
        try:
            function = self._check(call)
        except CallRefused as refused:
            return Response(ERROR, refused.text)
        try:
            answer = await self._dispatch(function, call)
        except NotDefined as error:
            return Response(NOT_FOUND, str(error))
        except TongbanError as error:
            return Response(
                ERROR, f"failed to invoke backing implementation of '{function}': {error}"
            )
        return Response(SUCCESS, "", answer.SerializeToString())

    def _check(self, call: SystemCall) -> str:
        """The function's name, once the caller may call it."""
        if not call.args:
            raise CallRefused("lifecycle scc must be invoked with arguments")
        if len(call.args) != 2:
            raise CallRefused(
                "lifecycle scc operations require exactly two arguments but received "
                f"{len(call.args)}"
            )
        config = None
        if call.channel is not None:
            config = call.channel.config
            if not config.application_capabilities & LIFECYCLE_CAPABILITIES:
                raise CallRefused(
                    f"cannot use new lifecycle for channel '{config.channel_id}' as it does not "
                    "have the required capabilities enabled"
                )
        function = argument(call.args[0])
        try:
            self._access.check(f"{NAME}/{function}", config, call.identity, call.proposal)
        except AccessDenied as error:
            raise CallRefused(
                f"Failed to authorize invocation due to failed ACL check: {error}"
            ) from None
        return function

    async def _dispatch(self, function: str, call: SystemCall) -> Message:
        found = self._functions.get(function)
        if found is None:
            raise LifecycleRefused(f"receiver *lifecycle.Invocation.{function} does not exist")
        return await found(_Context(call, self._own_msp_id), call.args[1])

    async def _install(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.InstallChaincodeArgs, args)
        installed = await self._installer.install(given.chaincode_install_package)
        return lifecycle_pb2.InstallChaincodeResult(
            package_id=installed.package_id, label=installed.label
        )

    async def _query_installed(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.QueryInstalledChaincodeArgs, args)
        installed = self._installer.get(given.package_id)
        answer = lifecycle_pb2.QueryInstalledChaincodeResult(
            package_id=installed.package_id, label=installed.label
        )
        for channel_id, uses in self._installer.references(installed.package_id).items():
            for name, version in uses:
                answer.references[channel_id].chaincodes.add(name=name, version=version)
        return answer

    async def _query_all_installed(self, context: _Context, args: bytes) -> Message:
        _parse(lifecycle_pb2.QueryInstalledChaincodesArgs, args)
        answer = lifecycle_pb2.QueryInstalledChaincodesResult()
        for installed in self._installer.installed():
            entry = answer.installed_chaincodes.add(
                package_id=installed.package_id, label=installed.label
            )
            for channel_id, uses in self._installer.references(installed.package_id).items():
                for name, version in uses:
                    entry.references[channel_id].chaincodes.add(name=name, version=version)
        return answer

    async def _get_package(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.GetInstalledChaincodePackageArgs, args)
        package = await self._installer.load(given.package_id)
        return lifecycle_pb2.GetInstalledChaincodePackageResult(chaincode_install_package=package)

    async def _approve(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs, args)
        _check_definition(context, given)
        package_id = given.source.local_package.package_id
        approvals.approve(context.scope, given, package_id, context.public, context.own)
        return lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgResult()

    async def _query_approved(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs, args)
        found = approvals.get_approved(
            context.scope, given.name, given.sequence, context.public, context.own
        )
        answer = lifecycle_pb2.QueryApprovedChaincodeDefinitionResult()
        _fill_approved(answer, found)
        return answer

    async def _query_all_approved(self, context: _Context, args: bytes) -> Message:
        _parse(lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs, args)
        answer = lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult()
        prefix = metadata_key(NAMESPACES, "")
        for key in context.own.list_keys(prefix):
            name, _, sequence = key[len(prefix) :].rpartition("#")
            if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 20):
                raise LifecycleRefused(f"invalid private name format: {key[len(prefix) :]}")
            found = approvals.find_approved(name, int(sequence), context.own)
            if found is not None:
                entry = answer.approved_chaincode_definitions.add(name=name)
                _fill_approved(entry, found)
        return answer

    async def _check_readiness(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.CheckCommitReadinessArgs, args)
        orgs = context.orgs()
        _, readiness = approvals.check_readiness(context.scope, given, context.public, orgs)
        answer = lifecycle_pb2.CheckCommitReadinessResult(approvals=readiness.approvals)
        for msp_id, fields in readiness.mismatches.items():
            answer.mismatches[msp_id].items.extend(fields)
        return answer

    async def _commit(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.CommitChaincodeDefinitionArgs, args)
        _check_definition(context, given)
        orgs = context.orgs()
        if all(org.msp_id != self._own_msp_id for org in orgs):
            raise LifecycleRefused(
                "impossibly, this peer's org is processing requests for a channel it is not a "
                "member of"
            )
        approvals.commit(context.scope, given, context.public, orgs, self._own_msp_id)
        return lifecycle_pb2.CommitChaincodeDefinitionResult()

    async def _query_defined(self, context: _Context, args: bytes) -> Message:
        given = _parse(lifecycle_pb2.QueryChaincodeDefinitionArgs, args)
        definition = approvals.get_definition(given.name, context.public)
        readiness = approvals.find_approvals(given.name, definition, context.orgs())
        answer = lifecycle_pb2.QueryChaincodeDefinitionResult(approvals=readiness.approvals)
        _fill_definition(answer, definition)
        return answer

    async def _query_all_defined(self, context: _Context, args: bytes) -> Message:
        _parse(lifecycle_pb2.QueryChaincodeDefinitionsArgs, args)
        answer = lifecycle_pb2.QueryChaincodeDefinitionsResult()
        prefix = metadata_key(NAMESPACES, "")
        for key in context.public.list_keys(prefix):
            name = key[len(prefix) :]
            definition = approvals.get_definition(name, context.public)
            _fill_definition(answer.chaincode_definitions.add(name=name), definition)
        return answer


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return parse(kind, data)
    except TongbanError as error:
        raise LifecycleRefused(
            f"could not decode input arg for {kind.DESCRIPTOR.name}: {error}"
        ) from None


def _check_definition(context: _Context, args: DefinitionArgs) -> None:
    """Return if the definition may be approved or committed on the channel. Looks at the committed
    definition, or at where older releases kept one; both look-ups are part of the endorsement."""
    try:
        rules.check_name_and_version(args.name, args.version)
        collections = rules.read_collections(args.collections)
        if context.call.channel is None:
            raise LifecycleRefused("could not get channelconfig for channel ''")
        msps = context.call.channel.config.msps
        rules.check_collections(
            collections, msps, lambda policy: SignaturePolicy.parse(policy, msps)
        )
        committed = context.simulator.find_definition(args.name)
        rules.check_against_committed(collections, committed)
    except LifecycleRefused as error:
        raise LifecycleRefused(f"error validating chaincode definition: {error}") from None


_Described = (
    lifecycle_pb2.QueryChaincodeDefinitionResult
    | lifecycle_pb2.QueryChaincodeDefinitionsResult.ChaincodeDefinition
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionResult
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition
)
_DescribedApproval = (
    lifecycle_pb2.QueryApprovedChaincodeDefinitionResult
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition
)


def _fill_definition(answer: _Described, definition: ChaincodeDefinition) -> None:
    parameters = definition.parameters
    answer.sequence = definition.sequence
    answer.version = parameters.version
    answer.endorsement_plugin = parameters.endorsement_plugin
    answer.validation_plugin = parameters.validation_plugin
    answer.validation_parameter = parameters.validation_parameter
    answer.init_required = parameters.init_required
    answer.collections.CopyFrom(
        parse(collection_pb2.CollectionConfigPackage, parameters.collection_package)
    )


def _fill_approved(answer: _DescribedApproval, found: Approved) -> None:
    _fill_definition(answer, found.definition)
    if found.package_id:
        answer.source.local_package.package_id = found.package_id
    else:
        answer.source.unavailable.SetInParent()
