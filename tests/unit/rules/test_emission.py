"""What follows from an event, in one transaction."""

from tests.unit.rules.departments import Archive, Electricity, Property
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.testing_rules import adopt_rules


def departments() -> tuple[Ledger, DeployedContract]:
    ledger = Ledger()
    deployed = ledger.deploy(Property, name="property")
    ledger.deploy(Electricity, name="electricity")
    ledger.deploy(Archive, name="archive")
    adopt_rules(ledger, "property", "electricity", "archive")
    return ledger, deployed.using(ledger.identity("RegistryMSP", "registrar"))


def test_reactions_happen_in_the_emitting_transaction() -> None:
    ledger, registry = departments()
    assert registry.book("c1", "a1") == ["electricity done a1", "archive done "]
    assert ledger.value("electricity", "a1") == b"c1"
    assert ledger.value("archive", "a1") == b"noted"
    assert ledger.value("archive", "booking c1") == b"noted"
