"""Identifiers of public services as values: parsed and checked once, right ever after.

Each has ``parse``, ``validate``, ``mask`` and ``str()``, and can be the type of a contract
function's parameter or result.
"""

from tongban.contracts.types.credit_code import UnifiedSocialCreditCode
from tongban.contracts.types.division import AdministrativeDivision
from tongban.contracts.types.electricity import ElectricityAccountNumber
from tongban.contracts.types.identifier import Fault, Identifier, InvalidIdentifier
from tongban.contracts.types.licence import (
    ElectronicLicenceId,
    ImportedLicenceId,
    parse_imported,
)
from tongban.contracts.types.matter import CaseNumber, ImplementationCode
from tongban.contracts.types.real_estate import (
    LegacyCertificateNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
    parse_certificate,
)
from tongban.contracts.types.resident import ResidentId

__all__ = [
    "AdministrativeDivision",
    "CaseNumber",
    "ElectricityAccountNumber",
    "ElectronicLicenceId",
    "Fault",
    "Identifier",
    "ImplementationCode",
    "ImportedLicenceId",
    "InvalidIdentifier",
    "LegacyCertificateNumber",
    "RealEstateCertificateNumber",
    "RealEstateUnitCode",
    "ResidentId",
    "UnifiedSocialCreditCode",
    "parse_certificate",
    "parse_imported",
]
