"""Rules on a test ledger: all that the deployed contracts declare, approved at once.

ledger = Ledger()
ledger.deploy(Property, name="property")
ledger.deploy(Electricity, name="electricity")
adopt_rules(ledger, "property", "electricity")
"""

from tongban.contracts.rules import (
    RULES_CHAINCODE,
    SYSTEM_CONTRACT,
    Description,
    Rule,
    declared_rules,
)
from tongban.contracts.rules_contract.rules_contract import Rules
from tongban.contracts.testing import CallOptions, DeployedContract, Ledger
from tongban.contracts.values import from_json


def deploy_rules(ledger: Ledger) -> DeployedContract:
    """The contract ``rules`` on this ledger; the rules that it has stay."""
    return ledger.deploy(Rules, name=RULES_CHAINCODE)


def declared(ledger: Ledger, *chaincodes: str) -> list[Rule]:
    """The rules that these chaincodes declare about each other."""
    options = CallOptions(ledger.client)
    found = {}
    for name in chaincodes:
        payload = ledger.evaluate(name, [f"{SYSTEM_CONTRACT}:Describe".encode()], options).payload
        found[name] = from_json(Description, payload)
    return declared_rules(found)


def approve_rule(ledger: Ledger, rule: Rule) -> None:
    """Propose a rule and approve it for the departments concerned."""
    rules = deploy_rules(ledger)
    departments = sorted({rule.source_department, rule.target_department})
    admins = [ledger.identity(mspid, "Admin", roles=("admin",)) for mspid in departments]
    content = rules.using(admins[0]).Propose(rule)
    for admin in admins:
        rules.using(admin).Approve(rule.id, content)


def adopt_rules(ledger: Ledger, *chaincodes: str) -> list[Rule]:
    """All rules that these chaincodes declare about each other are active afterwards."""
    deploy_rules(ledger)
    found = declared(ledger, *chaincodes)
    for rule in found:
        approve_rule(ledger, rule)
    return found
