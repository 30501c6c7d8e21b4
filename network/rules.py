"""The rules of a channel: what its contracts declare, and agreeing on it.

In production each department proposes and approves by itself; on a development network ``adopt``
does it for all of them and says which steps it took.
"""

import time
from collections.abc import Sequence

from tongban.contracts.errors import ContractError
from tongban.contracts.rules import (
    RULES_CHAINCODE,
    SYSTEM_CONTRACT,
    Description,
    Rule,
    content_hash,
    declared_rules,
)
from tongban.contracts.rules_contract.rules_contract import RuleRecord
from tongban.contracts.values import from_json, to_json
from tongban.network.connections import Connections
from tongban.network.errors import NetworkError
from tongban.network.lifecycle import ADMIN, LIFECYCLE, TIMEOUTS, Say
from tongban.network.topology import Channel, Organization
from tongban.protos import lifecycle_pb2
from tongban.protos.codec import parse
from tongban.sdk import EndorseError, EvaluateError, TransactionError

SETTLE_SECONDS_MAX = 15.0
"""For what was committed to reach the peers that endorse next."""


class ChannelRules:
    """The rules of one channel, as its departments' administrators see and change them."""

    def __init__(self, connections: Connections, channel: Channel) -> None:
        self._connections = connections
        self._channel = channel
        self._members = connections.members(channel)
        self._endorsing = [organization for organization in self._members if organization.peers]

    def records(self) -> list[RuleRecord]:
        """All rules, active and proposed, by id.

        Raises:
            NetworkError: the channel has no contract ``rules``, or it cannot be asked.
        """
        return from_json(list[RuleRecord], self._ask("List"))

    def declared(self, chaincodes: Sequence[str] = ()) -> list[Rule]:
        """The rules that contracts of the channel declare about each other; all of its contracts
        if none are named. Contracts that were made with other libraries declare none."""
        found = {}
        for name in chaincodes or self.chaincodes():
            described = self._describe(name)
            if described is not None:
                found[name] = described
        return declared_rules(found)

    def chaincodes(self) -> list[str]:
        """Names of all chaincodes that the channel has a definition of."""
        args = lifecycle_pb2.QueryChaincodeDefinitionsArgs()
        with self._connections.gateway(self._endorsing[0], ADMIN, TIMEOUTS) as gateway:
            lifecycle = gateway.get_network(self._channel.id).get_contract(LIFECYCLE)
            data = lifecycle.evaluate("QueryChaincodeDefinitions", args.SerializeToString())
        result = parse(lifecycle_pb2.QueryChaincodeDefinitionsResult, data)
        return sorted(one.name for one in result.chaincode_definitions)

    def propose(self, organization: Organization, user: str, rule: Rule) -> str:
        """The rule is proposed; returns the hash to approve."""
        return self._submit(organization, user, "Propose", to_json(rule)).decode()

    def approve(self, organization: Organization, user: str, rule_id: str, content: str) -> bool:
        """The department has approved; whether the rule is active now."""
        return from_json(bool, self._submit(organization, user, "Approve", rule_id, content))

    def withdraw(self, organization: Organization, user: str, rule_id: str) -> None:
        """The rule holds no more."""
        self._submit(organization, user, "Withdraw", rule_id)

    def adopt(self, say: Say) -> int:
        """Every rule that contracts of the channel declare about each other is active, as if all
        departments had approved it. Returns how many had not been.

        Raises:
            NetworkError: a step was refused.
        """
        adopted = 0
        records = {record.id: record for record in self.records()}
        for rule in self.declared():
            record = records.get(rule.id)
            if record is not None and record.active == rule:
                continue
            self._adopt(rule, record)
            say(f"rule {rule.id}: approved by {' and '.join(_concerned(rule))}")
            adopted += 1
        return adopted

    def _adopt(self, rule: Rule, record: RuleRecord | None) -> None:
        organizations = [self._connections.find_organization(name) for name in _concerned(rule)]
        content = content_hash(rule)
        if record is None or record.content_hash != content:
            self.propose(organizations[0], ADMIN, rule)
        for organization in organizations:
            if record is None or record.approvals.get(organization.msp_id) != content:
                self.approve(organization, ADMIN, rule.id, content)

    def _describe(self, chaincode: str) -> Description | None:
        try:
            return from_json(Description, self._ask_of(chaincode, f"{SYSTEM_CONTRACT}:Describe"))
        except (EvaluateError, ContractError):
            return None

    def _ask(self, function: str, *args: str) -> bytes:
        try:
            return self._ask_of(RULES_CHAINCODE, function, *args)
        except EvaluateError as error:
            raise NetworkError(
                f"the contract {RULES_CHAINCODE!r} of {self._channel.id} cannot be asked: {error}",
                f"Deploy it: tongban contract deploy {self._channel.id} rules_contract --policy …",
            ) from None

    def _ask_of(self, chaincode: str, function: str, *args: str) -> bytes:
        with self._connections.gateway(self._endorsing[0], ADMIN, TIMEOUTS) as gateway:
            contract = gateway.get_network(self._channel.id).get_contract(chaincode)
            return contract.evaluate(function, *args)

    def _submit(self, organization: Organization, user: str, function: str, *args: object) -> bytes:
        # What was committed a moment ago may not have reached every endorser yet; then they differ,
        # or do not know the rule, and asking again is right.
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while True:
            try:
                with self._connections.gateway(organization, user, TIMEOUTS) as gateway:
                    rules = gateway.get_network(self._channel.id).get_contract(RULES_CHAINCODE)
                    return rules.submit(function, *args, retries=5)
            except EndorseError as error:
                if time.monotonic() > deadline or not _is_behind(error):
                    raise NetworkError(f"{function}: {error}") from None
            except TransactionError as error:
                raise NetworkError(f"{function}: {error}") from None
            time.sleep(0.05)


def _is_behind(error: EndorseError) -> bool:
    texts = [error.message, *(detail.message for detail in error.details)]
    return any("NOT_FOUND" in text or "OTHER_CONTENT" in text for text in texts)


def _concerned(rule: Rule) -> list[str]:
    return sorted({rule.source_department, rule.target_department})
