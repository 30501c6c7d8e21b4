"""Where the property contract's records lie, and who has to endorse a change of them.

Court, tax authority and bank have no peers, so no policy can ask for their endorsement: an
endorsement is a peer's signature. What stands for them is (1) their client's signature on the
proposal, which every validator verifies and this contract looks at, and (2) a policy on the single
key that names more departments' peers than the contract's own does. Registry and bureau together
can change the register; a seizure, a mortgage or a tax record only with the police's peer too. The
keys are made, and their policies set, when the unit or case comes into being: a key's policy
counts from the next transaction on (fabric core/common/validation/statebased).
"""

from typing import Final, TypeVar

from tongban.contracts import Context, ContractError, from_json, to_json
from tongban.contracts.endorsement import all_of
from tongban.contracts.types import CaseNumber, RealEstateUnitCode

from .records import Case, CourtRecord, MortgageRecord, TaxRecord, Unit

REGISTRY: Final = "RegistryMSP"
BUREAU: Final = "BureauMSP"
POLICE: Final = "PoliceMSP"
COURT: Final = "CourtMSP"
TAX: Final = "TaxMSP"

WITNESSES: Final = (REGISTRY, BUREAU, POLICE)
"""Whose peers all endorse a change of a record of court, tax authority or mortgagee."""

T = TypeVar("T")


def unit_key(unit: RealEstateUnitCode) -> str:
    return f"unit:{unit}"


def case_key(case_no: CaseNumber) -> str:
    return f"case:{case_no}"


def court_key(unit: RealEstateUnitCode) -> str:
    return f"court:{unit}"


def mortgage_key(unit: RealEstateUnitCode) -> str:
    return f"mortgage:{unit}"


def tax_key(case_no: CaseNumber) -> str:
    return f"tax:{case_no}"


def get_unit(ctx: Context, unit: RealEstateUnitCode) -> Unit:
    return _get(
        ctx, Unit, unit_key(unit), "UNIT_UNKNOWN", "the register has no such unit（无此单元）"
    )


def get_case(ctx: Context, case_no: CaseNumber) -> Case:
    return _get(ctx, Case, case_key(case_no), "CASE_UNKNOWN", "there is no such case（无此办件）")


def get_court_record(ctx: Context, unit: RealEstateUnitCode) -> CourtRecord:
    return _get(ctx, CourtRecord, court_key(unit), "UNIT_UNKNOWN", "no such unit（无此单元）")


def get_mortgage(ctx: Context, unit: RealEstateUnitCode) -> MortgageRecord:
    return _get(ctx, MortgageRecord, mortgage_key(unit), "UNIT_UNKNOWN", "no such unit（无此单元）")


def get_tax_record(ctx: Context, case_no: CaseNumber) -> TaxRecord:
    return _get(
        ctx, TaxRecord, tax_key(case_no), "NOT_ACCEPTED", "the case was not accepted（尚未受理）"
    )


def put(ctx: Context, key: str, record: object) -> None:
    ctx.stub.put_state(key, to_json(record))


def put_witnessed(ctx: Context, key: str, record: object) -> None:
    """Make a record whose later changes need the peers of all witnesses."""
    put(ctx, key, record)
    ctx.stub.set_state_validation_parameter(key, all_of(WITNESSES))


def require_duty(ctx: Context, organization: str, *duties: str) -> None:
    """The client is of this organization and certified for one of these duties.

    Raises:
        ContractError: ACCESS_DENIED.
    """
    ctx.client.require_organization(organization)
    if ctx.client.find_attribute("duty") not in duties:
        raise ContractError("ACCESS_DENIED", f"expected duty {' or '.join(duties)}（岗位不符）")


def signature_of(ctx: Context) -> str:
    """MSP id and duty of the client, for the log of steps."""
    return f"{ctx.client.mspid}/{ctx.client.find_attribute('duty') or '-'}"


def _get(ctx: Context, kind: type[T], key: str, code: str, text: str) -> T:
    value = ctx.stub.get_state(key)
    if not value:
        raise ContractError(code, text)
    return from_json(kind, value)
