"""Whatever a client sends, a contract answers; nothing but what is meant is kept."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tongban.contracts.samples.asset_transfer.asset_transfer import AssetTransfer
from tongban.contracts.samples.program.program import OPERATIONS, Program
from tongban.contracts.testing import Ledger

FEW = settings(max_examples=60, deadline=None)

_NAMES = st.sampled_from(
    [
        "CreateAsset",
        "UpdateAsset",
        "ReadAsset",
        "GetAllAssets",
        "AssetTransfer:DeleteAsset",
        ":",
        "",
    ]
)
_ARGUMENTS = st.binary(max_size=20) | st.sampled_from([b"5", b"a", b'"', b"{}", b"9" * 200])


@FEW
@given(name=_NAMES | st.binary(max_size=12), args=st.lists(_ARGUMENTS, max_size=7))
def test_any_arguments_are_answered_and_refusals_keep_nothing(
    name: str | bytes, args: list[bytes]
) -> None:
    ledger = Ledger()
    contract = ledger.deploy(AssetTransfer)
    raw = name if isinstance(name, bytes) else name.encode()
    response = contract.respond(raw, *args)
    assert response.status in (200, 500)
    if response.status == 500:
        assert response.message and ledger.values("AssetTransfer") == {} and ledger.height == 0


_FIELDS = st.one_of(
    st.text(max_size=4),
    st.integers(-3, 3),
    st.none(),
    st.lists(st.text(max_size=3), max_size=3),
    st.fixed_dictionaries(
        {"ot": st.text(max_size=2), "at": st.lists(st.text(max_size=2), max_size=2)}
    ),
)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from([*sorted(OPERATIONS), "return", "other"])},
    optional=dict.fromkeys(("k", "ks", "v", "b", "t", "c", "s", "e", "n", "ot", "at"), _FIELDS)
    | dict.fromkeys(
        ("mark", "name", "cc", "ch", "prog", "from", "to", "fmt", "st", "rep"), _FIELDS
    ),
)


@FEW
@given(operations=st.lists(_OPERATIONS, max_size=4))
@example(operations=[{"op": "del", "k": "0"}, {"op": "del", "k": "1", "c": [""]}])
@example(operations=[{"op": "page", "s": {}, "n": 1}])
def test_any_program_is_answered(operations: list[dict[str, Any]]) -> None:
    ledger = Ledger()
    response = ledger.deploy(Program).respond("run", json.dumps({"ops": operations}))
    assert 100 <= response.status <= 999
    assert (ledger.height == 1) == (response.status < 400)
