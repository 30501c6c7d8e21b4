"""What stands in one envelope of a block, read once, with the code it fails with if it does.

An envelope is judged in the order of fabric core/common/validation/msgvalidation.go and
core/committer/txvalidator/v20/plugindispatcher/dispatcher.go. Three stages need nothing but its
bytes; what lies between them needs the channel or the ledger:

    form      envelope, payload and common header
              -- the creator's signature --
    body      type, id, the one action and the proposal hash
              -- is the id new to the ledger? --
    content   header extension, chaincode action, read-write set, names, event

Contents at which a Go peer stops get the code of the check that meets them.
"""

from typing import NamedTuple, TypeAlias

from google.protobuf.message import DecodeError

from tongban.node.core.rwset_reader import KnownParts, TxRwSet, parse_tx_rwset
from tongban.node.core.wire_presence import is_empty_field_present
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    HeaderType,
    Payload,
    SignatureHeader,
)
from tongban.protos.digest import compute_proposal_hash, compute_tx_id
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_pb2 import ChaincodeAction, ChaincodeHeaderExtension
from tongban.protos.proposal_response_pb2 import ProposalResponsePayload
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    Transaction,
    TxValidationCode,
)

Code: TypeAlias = TxValidationCode.ValueType


class CommonHeader(NamedTuple):
    """Channel header and signature header of an envelope."""

    type: int
    channel_id: str
    tx_id: str
    """As claimed; empty in configuration transactions."""

    epoch: int
    extension: bytes
    creator: bytes
    nonce: bytes
    channel_header: bytes
    """As received."""


class Endorsement(NamedTuple):
    """An endorser's signature over the proposal response payload and its identity."""

    endorser: bytes
    signature: bytes


class EndorserBody(NamedTuple):
    """The one action of an endorser transaction."""

    chaincode: str
    """The name in the header extension, equal to the one endorsed."""

    version: str
    rwset: TxRwSet
    event: ChaincodeEvent | None
    response_payload: bytes
    """The proposal response payload as received; endorsements cover it."""

    endorsements: tuple[Endorsement, ...]


class ParsedTransaction(NamedTuple):
    """An envelope, read as far as it can be."""

    payload: bytes
    signature: bytes
    header: CommonHeader | None
    data: bytes
    """The payload's data: a Transaction or a ConfigEnvelope."""

    body: EndorserBody | None
    """None unless all three stages passed."""

    index_id: str | None
    """The id under which the ledger lists it: as claimed, computed if empty, None if the headers
    are unparsable (fabric protoutil/txutils.go, GetOrComputeTxIDFromEnvelope)."""

    form_code: Code
    body_code: Code
    content_code: Code

    @property
    def is_config(self) -> bool:
        return self.header is not None and self.header.type == _CONFIG


class Repeated:
    """What the envelopes of one block say again and again, read once."""

    __slots__ = ("extensions", "parts")

    def __init__(self) -> None:
        self.extensions: dict[bytes, str | None] = {}
        """Header extensions that were read, and the chaincode that each names."""
        self.parts: KnownParts = {}


class _Refused(Exception):
    """Carries a code out of a stage."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


# Generated enums look a name up on every use, so what is used for each envelope is kept here.
_VALID = TxValidationCode.VALID
_CONFIG = HeaderType.CONFIG
_CONFIG_UPDATE = HeaderType.CONFIG_UPDATE
_ENDORSED = HeaderType.ENDORSER_TRANSACTION
_OPEN_TYPES = (_ENDORSED, _CONFIG, _CONFIG_UPDATE)

# Bytes inside an envelope are no more than the envelope, whose size was looked at before.
_to_payload = Payload.FromString
_to_channel_header = ChannelHeader.FromString
_to_signature_header = SignatureHeader.FromString
_to_transaction = Transaction.FromString
_to_action_payload = ChaincodeActionPayload.FromString
_to_response_payload = ProposalResponsePayload.FromString
_to_action = ChaincodeAction.FromString


def parse_envelope(data: bytes) -> ParsedTransaction:
    """Read an envelope of a block. Never raises for what stands in it."""
    try:
        envelope = parse(Envelope, data)
    except MalformedMessage:
        return _unread(b"", b"", TxValidationCode.INVALID_OTHER_REASON)
    return read_envelope(envelope.payload, envelope.signature, Repeated())


def read_envelope(payload: bytes, signature: bytes, repeated: Repeated) -> ParsedTransaction:
    """As :func:`parse_envelope`, for an envelope that is open already. ``repeated`` is shared by
    the envelopes of a block."""
    try:
        message = _to_payload(payload)
    except DecodeError:
        return _unread(payload, signature, TxValidationCode.BAD_PAYLOAD)
    headers, data = message.header, message.data
    channel_header, signature_header = headers.channel_header, headers.signature_header
    if not channel_header and not message.HasField("header"):
        return _unread(payload, signature, TxValidationCode.BAD_COMMON_HEADER)
    header, index_id = _read_header(channel_header, signature_header)
    if header is None or not _is_acceptable(header):
        code = TxValidationCode.BAD_COMMON_HEADER
        return ParsedTransaction(
            payload, signature, header, data, None, index_id, code, _VALID, _VALID
        )
    if header.type == _ENDORSED:
        body, body_code, content_code = _read_body(header, signature_header, data, repeated)
    else:
        refused = header.type == _CONFIG_UPDATE
        body_code = TxValidationCode.UNSUPPORTED_TX_PAYLOAD if refused else _VALID
        body, content_code = None, _VALID
    return ParsedTransaction(
        payload, signature, header, data, body, index_id, _VALID, body_code, content_code
    )


def _unread(payload: bytes, signature: bytes, code: Code) -> ParsedTransaction:
    return ParsedTransaction(payload, signature, None, b"", None, None, code, _VALID, _VALID)


def _read_header(raw: bytes, signature_header: bytes) -> tuple[CommonHeader | None, str | None]:
    try:
        channel = _to_channel_header(raw)
    except DecodeError:
        return None, None
    tx_id = channel.tx_id
    try:
        signature = _to_signature_header(signature_header)
    except DecodeError:
        return None, tx_id or None
    creator, nonce = signature.creator, signature.nonce
    header = CommonHeader(
        channel.type,
        channel.channel_id,
        tx_id,
        channel.epoch,
        channel.extension,
        creator,
        nonce,
        raw,
    )
    return header, tx_id or compute_tx_id(nonce, creator)


def _is_acceptable(header: CommonHeader) -> bool:
    return (
        header.type in _OPEN_TYPES
        and header.epoch == 0
        and bool(header.nonce)
        and bool(header.creator)
    )


def _read_body(
    header: CommonHeader, signature_header: bytes, data: bytes, repeated: Repeated
) -> tuple[EndorserBody | None, Code, Code]:
    """The body and the codes of its two stages."""
    if header.tx_id != compute_tx_id(header.nonce, header.creator):
        return None, TxValidationCode.BAD_PROPOSAL_TXID, _VALID
    try:
        payload, response, raw = _read_action(header, signature_header, data)
    except (_Refused, DecodeError):
        return None, TxValidationCode.INVALID_ENDORSER_TRANSACTION, _VALID
    try:
        return _read_content(header, payload, response, raw, repeated), _VALID, _VALID
    except _Refused as refused:
        return None, _VALID, refused.code


def _read_action(
    header: CommonHeader, signature_header: bytes, data: bytes
) -> tuple[ChaincodeEndorsedAction, ProposalResponsePayload, bytes]:
    """The endorsed action and what was endorsed, parsed and raw, once the proposal hash is right.

    The action's own header counts for the hash, even if it is not that of the envelope.
    """
    actions = _to_transaction(data).actions
    if len(actions) != 1:
        raise _Refused(TxValidationCode.INVALID_ENDORSER_TRANSACTION)
    action = actions[0]
    action_header = action.header
    if action_header != signature_header:  # which was looked at before
        parsed = _to_signature_header(action_header)
        if not parsed.nonce or not parsed.creator:
            raise _Refused(TxValidationCode.INVALID_ENDORSER_TRANSACTION)
    raw = action.payload
    payload = _to_action_payload(raw)
    if not payload.HasField("action"):
        raise _Refused(TxValidationCode.INVALID_ENDORSER_TRANSACTION)
    endorsed = payload.action
    raw_response = endorsed.proposal_response_payload
    response = _to_response_payload(raw_response)
    proposal = payload.chaincode_proposal_payload
    if not proposal and not is_empty_field_present(payload, raw, 1):
        raise _Refused(TxValidationCode.INVALID_ENDORSER_TRANSACTION)
    if response.proposal_hash != compute_proposal_hash(
        header.channel_header, action_header, proposal
    ):
        raise _Refused(TxValidationCode.INVALID_ENDORSER_TRANSACTION)
    return endorsed, response, raw_response


def _read_content(
    header: CommonHeader,
    endorsed: ChaincodeEndorsedAction,
    response: ProposalResponsePayload,
    raw_payload: bytes,
    repeated: Repeated,
) -> EndorserBody:
    called = _read_extension(header.extension, repeated)
    raw_action = response.extension
    if not raw_action and not is_empty_field_present(response, raw_payload, 2):
        raise _Refused(TxValidationCode.BAD_RESPONSE_PAYLOAD)
    try:
        action = _to_action(raw_action)
    except DecodeError:
        raise _Refused(TxValidationCode.BAD_RESPONSE_PAYLOAD) from None
    try:
        rwset = parse_tx_rwset(action.results, repeated.parts)
    except MalformedMessage:
        raise _Refused(TxValidationCode.BAD_RWSET) from None
    name, version = _check_chaincode(called, action)
    event = _read_event(action, raw_action, name)
    namespaces = rwset.namespaces
    if len(namespaces) > 1 and len({part.namespace for part in namespaces}) != len(namespaces):
        raise _Refused(TxValidationCode.ILLEGAL_WRITESET)
    endorsements = tuple(
        [Endorsement(one.endorser, one.signature) for one in endorsed.endorsements]
    )
    return EndorserBody(name, version, rwset, event, raw_payload, endorsements)


def _read_extension(data: bytes, repeated: Repeated) -> str | None:
    """The name of the chaincode that is called, which may be empty; None if there is none."""
    try:
        return repeated.extensions[data]
    except KeyError:
        pass
    try:
        extension = ChaincodeHeaderExtension.FromString(data)
    except DecodeError:
        raise _Refused(TxValidationCode.BAD_HEADER_EXTENSION) from None
    name = extension.chaincode_id.name if extension.HasField("chaincode_id") else None
    repeated.extensions[data] = name
    return name


def _check_chaincode(called: str | None, action: ChaincodeAction) -> tuple[str, str]:
    """Name and version of the chaincode that was called and endorsed."""
    if called is None or not action.HasField("chaincode_id"):
        raise _Refused(TxValidationCode.INVALID_OTHER_REASON)
    endorsed = action.chaincode_id
    version = endorsed.version
    if not called or called != endorsed.name or not version:
        raise _Refused(TxValidationCode.INVALID_CHAINCODE)
    return called, version


def _read_event(action: ChaincodeAction, raw_action: bytes, name: str) -> ChaincodeEvent | None:
    """An event of zero bytes is there, and names no chaincode."""
    raw = action.events
    if not raw and not is_empty_field_present(action, raw_action, 2):
        return None
    try:
        event = parse(ChaincodeEvent, raw)
    except MalformedMessage:
        raise _Refused(TxValidationCode.INVALID_OTHER_REASON) from None
    if event.chaincode_id != name:
        raise _Refused(TxValidationCode.INVALID_OTHER_REASON)
    return event
