"""Assets whose every change is an event: the functions, arguments and JSON of the events sample of
Fabric (fabric-samples asset-transfer-events), so that its applications run against this contract.

An application hears of a change when the block with its transaction has been committed. A
transaction carries one event; a refused transaction carries none.
"""

import json

from tongban.contracts import Context, Contract, ContractError, evaluate, submit, to_json

Asset = dict[str, str | int]


class AssetTransferEvents(Contract):
    """Creates, reads, changes and transfers assets, and tells of each change."""

    @submit(name="CreateAsset")
    def create_asset(  # noqa: PLR0917 - the official argument list
        self, ctx: Context, id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Issues an asset that does not exist yet."""
        if ctx.stub.get_state(id):
            raise ContractError("", f"the asset {id} already exists")
        self._put(ctx, "CreateAsset", _asset(id, color, size, owner, appraised_value))

    @evaluate(name="ReadAsset")
    def read_asset(self, ctx: Context, id: str) -> str:
        """The JSON of an asset."""
        value = ctx.stub.get_state(id)
        if not value:
            raise ContractError("", f"the asset {id} does not exist")
        return value.decode("utf-8")

    @submit(name="UpdateAsset")
    def update_asset(  # noqa: PLR0917 - the official argument list
        self, ctx: Context, id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Replaces an asset."""
        self.read_asset(ctx, id)
        self._put(ctx, "UpdateAsset", _asset(id, color, size, owner, appraised_value))

    @submit(name="DeleteAsset")
    def delete_asset(self, ctx: Context, id: str) -> None:
        """Removes an asset; the event tells what it was."""
        asset = self.read_asset(ctx, id)
        ctx.stub.set_event("DeleteAsset", asset.encode("utf-8"))
        ctx.stub.delete_state(id)

    @submit(name="TransferAsset")
    def transfer_asset(self, ctx: Context, id: str, new_owner: str) -> str:
        """Gives an asset to another owner, and answers the old one."""
        asset: Asset = json.loads(self.read_asset(ctx, id))
        old_owner = str(asset["Owner"])
        self._put(ctx, "TransferAsset", asset | {"Owner": new_owner})
        return old_owner

    def _put(self, ctx: Context, event: str, asset: Asset) -> None:
        value = to_json(asset)
        ctx.stub.set_event(event, value)
        ctx.stub.put_state(str(asset["ID"]), value)


def _asset(id: str, color: str, size: int, owner: str, appraised_value: int) -> Asset:
    return {
        "ID": id,
        "Color": color,
        "Size": size,
        "Owner": owner,
        "AppraisedValue": appraised_value,
    }
