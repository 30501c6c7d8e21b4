"""Deployments that are not the same everywhere: other packages at other organizations, or none at
some peers."""

from collections.abc import Collection, Mapping
from pathlib import Path

from tests.support.networks import RunningNetwork
from tongban.contracts.packaging import build_project
from tongban.network.layout import full_name
from tongban.network.lifecycle import Definition, Deployment
from tongban.node.core.policy import parse_policy
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.collection_pb2 import CollectionConfigPackage


def write_project(folder: Path, name: str, code: str) -> Path:
    """A contract project of one module."""
    folder.mkdir(parents=True)
    lines = [
        "[contract]",
        f'name = "{name}"',
        'version = "1.0"',
        'modules = ["code_of_it"]',
        "api = 1",
        'python = ">=3.11"',
    ]
    (folder / "contract.toml").write_text("\n".join(lines) + "\n")
    (folder / "code_of_it.py").write_text(code)
    return folder


def deploy_unevenly(
    network: RunningNetwork,
    channel_id: str,
    folders: Mapping[str, Path],
    policy: str,
    without: Collection[str] = (),
) -> None:
    """Each organization, by MSP id, approves the package of its own folder under the same
    definition. The peers named in ``without`` do not get it."""
    connections = network.connections
    deployment = Deployment(connections, connections.find_channel(channel_id), lambda step: None)
    parameter = ApplicationPolicy(signature_policy=parse_policy(policy)).SerializeToString()
    for msp_id, folder in folders.items():
        built = build_project(folder)
        definition = Definition(built.project.name, "1.0", 1, parameter, CollectionConfigPackage())
        organization = connections.find_organization(msp_id)
        given = [
            peer
            for peer in organization.peers
            if full_name(peer, organization.domain) not in without
        ]
        list(deployment._install(organization.model_copy(update={"peers": tuple(given)}), built))
        deployment._approve(organization, definition, built.package_id)
    deployment._wait_until_ready(definition)
    deployment._commit(definition)
    network.wait_for_equal_heights(channel_id)
