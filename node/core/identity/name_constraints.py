"""Whether the alternative names of a certificate stay within a CA's name constraints.

RFC 5280, section 4.2.1.10. Names of kinds other than host, mail, address and URI are not judged,
as in Go's crypto/x509, which Fabric uses.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from cryptography import x509


def permits_names(constraints: x509.NameConstraints, names: x509.SubjectAlternativeName) -> bool:
    """Every name is outside what is excluded and, where its kind is listed, inside what is
    permitted."""
    permitted = constraints.permitted_subtrees or ()
    excluded = constraints.excluded_subtrees or ()
    for name in names:
        if any(_is_within(name, subtree) for subtree in excluded):
            return False
        same_kind = [subtree for subtree in permitted if type(subtree) is type(name)]
        if same_kind and not any(_is_within(name, subtree) for subtree in same_kind):
            return False
    return True


def _is_within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        return _is_host_within(name.value, subtree.value)
    if isinstance(name, x509.RFC822Name) and isinstance(subtree, x509.RFC822Name):
        return _is_mail_within(name.value, subtree.value)
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(
        subtree, x509.UniformResourceIdentifier
    ):
        return _is_host_within(urlsplit(name.value).hostname or "", subtree.value)
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        return _is_address_within(name.value, subtree.value)
    return False


def _is_host_within(host: str, constraint: str) -> bool:
    """A leading dot asks for at least one more label."""
    if not constraint:
        return True
    labels = _labels(host.rstrip("."))
    wanted = _labels(constraint.removeprefix("."))
    if constraint.startswith(".") and len(labels) == len(wanted):
        return False
    return labels[: len(wanted)] == wanted


def _labels(host: str) -> list[str]:
    return host.lower().split(".")[::-1]


def _is_mail_within(mail: str, constraint: str) -> bool:
    local, _, host = mail.rpartition("@")
    if "@" in constraint:
        wanted_local, _, wanted_host = constraint.rpartition("@")
        return local == wanted_local and host.lower() == wanted_host.lower()
    if constraint.startswith("."):
        return _is_host_within(host, constraint)
    return not constraint or host.lower() == constraint.lower()


_Address = IPv4Address | IPv6Address | IPv4Network | IPv6Network


def _is_address_within(address: _Address, network: _Address) -> bool:
    if isinstance(address, IPv4Address) and isinstance(network, IPv4Network):
        return address in network
    if isinstance(address, IPv6Address) and isinstance(network, IPv6Network):
        return address in network
    return False
