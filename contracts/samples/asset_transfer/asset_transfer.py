"""Assets with an owner: the functions, arguments, JSON and errors of Fabric's basic sample
(fabric-samples asset-transfer-basic), so that its applications run against this contract."""

import json

from tongban.contracts import Context, Contract, ContractError, evaluate, submit, to_json

Asset = dict[str, str | int]

FIRST_ASSETS: tuple[tuple[str, str, int, str, int], ...] = (
    ("asset1", "blue", 5, "Tomoko", 300),
    ("asset2", "red", 5, "Brad", 400),
    ("asset3", "green", 10, "Jin Soo", 500),
    ("asset4", "yellow", 10, "Max", 600),
    ("asset5", "black", 15, "Adriana", 700),
    ("asset6", "white", 15, "Michel", 800),
)


class AssetTransfer(Contract):
    """Creates, reads, changes and transfers assets."""

    @submit(name="InitLedger")
    def init_ledger(self, ctx: Context) -> None:
        """Puts six assets on the ledger."""
        for fields in FIRST_ASSETS:
            asset = _asset(*fields) | {"docType": "asset"}
            ctx.stub.put_state(fields[0], to_json(asset))

    @submit(name="CreateAsset")
    def create_asset(  # noqa: PLR0917 - the official argument list
        self, ctx: Context, id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Issues an asset that does not exist yet."""
        if self.asset_exists(ctx, id):
            raise ContractError("", f"The asset {id} already exists")
        ctx.stub.put_state(id, to_json(_asset(id, color, size, owner, appraised_value)))

    @evaluate(name="ReadAsset")
    def read_asset(self, ctx: Context, id: str) -> str:
        """The JSON of an asset."""
        value = ctx.stub.get_state(id)
        if not value:
            raise ContractError("", f"The asset {id} does not exist")
        return value.decode("utf-8")

    @submit(name="UpdateAsset")
    def update_asset(  # noqa: PLR0917 - the official argument list
        self, ctx: Context, id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Replaces an asset."""
        self._require(ctx, id)
        ctx.stub.put_state(id, to_json(_asset(id, color, size, owner, appraised_value)))

    @submit(name="DeleteAsset")
    def delete_asset(self, ctx: Context, id: str) -> None:
        """Removes an asset."""
        self._require(ctx, id)
        ctx.stub.delete_state(id)

    @evaluate(name="AssetExists")
    def asset_exists(self, ctx: Context, id: str) -> bool:
        """Whether there is an asset of this id."""
        return ctx.stub.get_state(id) != b""

    @submit(name="TransferAsset")
    def transfer_asset(self, ctx: Context, id: str, new_owner: str) -> str:
        """Gives an asset to another owner, and answers the old one."""
        asset = json.loads(self.read_asset(ctx, id))
        old_owner: str = asset["Owner"]
        asset["Owner"] = new_owner
        ctx.stub.put_state(id, to_json(asset))
        return old_owner

    @evaluate(name="GetAllAssets")
    def get_all_assets(self, ctx: Context) -> str:
        """The JSON of all assets in the order of their ids."""
        rows = ctx.stub.get_state_by_range("", "")
        return f"[{','.join(row.value.decode('utf-8') for row in rows)}]"

    def _require(self, ctx: Context, id: str) -> None:
        if not self.asset_exists(ctx, id):
            raise ContractError("", f"The asset {id} does not exist")


def _asset(id: str, color: str, size: int, owner: str, appraised_value: int) -> Asset:
    return {
        "ID": id,
        "Color": color,
        "Size": size,
        "Owner": owner,
        "AppraisedValue": appraised_value,
    }
