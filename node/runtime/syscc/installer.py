"""Installs chaincode packages on this peer and tells which definitions use them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tongban.node.core.lifecycle.availability import find_availability, list_definitions
from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.node.core.lifecycle.package import ChaincodePackage, parse_package
from tongban.node.runtime.channel_access import PeerChannels
from tongban.node.storage.packages import InstalledPackage, PackageStore
from tongban.protos.errors import TongbanError

CheckPackage = Callable[[ChaincodePackage, bytes], Awaitable[None]]
"""Raises a TongbanError if the peer has no way to run the package, given read and as it came."""


class ChaincodeUse(NamedTuple):
    """A definition that runs a package."""

    name: str
    version: str


class Installer:
    """The packages of one peer, and its channels' definitions."""

    def __init__(
        self,
        store: PackageStore,
        channels: PeerChannels,
        own_msp_id: str,
        check: CheckPackage | None = None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._own_msp_id = own_msp_id
        self._check = check
        self._lock = asyncio.Lock()

    async def install(self, package: bytes) -> InstalledPackage:
        """The package is on disk, durably.

        Raises:
            LifecycleRefused: it is no package, is installed already, or cannot be run here.
        """
        try:
            parsed = await asyncio.to_thread(parse_package, package)
        except LifecycleRefused as error:
            raise LifecycleRefused(
                f"could not parse as a chaincode install package: {error}"
            ) from None
        async with self._lock:
            if self._store.has(parsed.package_id):
                raise LifecycleRefused(
                    f"chaincode already successfully installed (package ID '{parsed.package_id}')"
                )
            if self._check is not None:
                try:
                    await self._check(parsed, package)
                except TongbanError as error:
                    raise LifecycleRefused(f"could not build chaincode: {error}") from None
            await asyncio.to_thread(self._store.save, parsed.label, package)
        return InstalledPackage(parsed.package_id, parsed.label)

    async def load(self, package_id: str) -> bytes:
        """The bytes of an installed package.

        Raises:
            LifecycleRefused: it is not installed.
        """
        try:
            return await asyncio.to_thread(self._store.load, package_id)
        except LifecycleRefused as error:
            raise LifecycleRefused(f"could not load cc install package: {error}") from None

    def installed(self) -> list[InstalledPackage]:
        return self._store.installed()

    def get(self, package_id: str) -> InstalledPackage:
        """Raises LifecycleRefused if the package is not installed."""
        for installed in self._store.installed():
            if installed.package_id == package_id:
                return installed
        raise LifecycleRefused(f"could not find chaincode with package id '{package_id}'")

    def references(self, package_id: str) -> dict[str, list[ChaincodeUse]]:
        """The definitions that run a package, by channel."""
        found = {}
        for channel_id in self._channels.channel_ids():
            uses = self._uses_on(channel_id, package_id)
            if uses:
                found[channel_id] = uses
        return found

    def _uses_on(self, channel_id: str, package_id: str) -> list[ChaincodeUse]:
        channel = self._channels.find(channel_id)
        if channel is None:
            return []
        snapshot = channel.snapshot()
        try:
            uses = []
            for name in list_definitions(snapshot):
                found = find_availability(snapshot, name, self._own_msp_id, self._store)
                if found is not None and found.package_id == package_id:
                    uses.append(ChaincodeUse(name, found.definition.version))
            return uses
        finally:
            snapshot.close()
