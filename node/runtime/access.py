"""Checks whether a proposal's creator may use a resource, on a channel or of the peer itself.

Verdicts are remembered per channel configuration: the same people propose again and again, and the
policies do not change between configurations.
"""

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.channel.acl import LOCAL_RESOURCES, policy_for, refusal_of
from tongban.node.core.errors import AccessDenied, UnknownPolicy
from tongban.node.core.identity import Identity, Msp
from tongban.node.core.local_access import check_local
from tongban.node.core.lru import LruCache
from tongban.node.core.proposal import ParsedProposal

VERDICTS_MAX = 10_000
"""Remembered verdicts, about 200 bytes each."""


class AccessControl:
    """The access rules of one peer."""

    def __init__(self, local_msp: Msp) -> None:
        self.local_msp = local_msp
        self._verdicts: LruCache[tuple[str, int, str, str], str] = LruCache(VERDICTS_MAX)

    def check(
        self, resource: str, config: ChannelConfig | None, identity: Identity, call: ParsedProposal
    ) -> None:
        """Return if the creator of a checked proposal may use the resource. ``config`` is that of
        the channel concerned; local resources do not need it.

        Raises:
            AccessDenied: the creator may not.
        """
        local = LOCAL_RESOURCES.get(resource)
        if local is not None:
            check_local(self.local_msp, local, call.creator, call.proposal_bytes, call.signature)
            return
        if config is None:
            raise AccessDenied(f"Unmapped policy for {resource}")
        refusal = self._refusal(resource, config, identity)
        if refusal:
            raise AccessDenied(refusal)

    def _refusal(self, resource: str, config: ChannelConfig, identity: Identity) -> str:
        """Why the identity may not; empty if it may."""
        key = (config.channel_id, config.sequence, resource, identity.id)
        found = self._verdicts.find(key)
        if found is None:
            found = _judge(resource, config, identity)
            self._verdicts.put(key, found)
        return found


def _judge(resource: str, config: ChannelConfig, identity: Identity) -> str:
    try:
        policy = policy_for(config, resource)
    except UnknownPolicy:
        return f"Unmapped policy for {resource}"
    verdict = policy.evaluate([identity])
    return "" if verdict.satisfied else refusal_of(config, resource, verdict.reason)
