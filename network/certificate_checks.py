"""How long the certificates of a network are valid, and what to type before they are not."""

import datetime as dt
import shlex
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from tongban.network.findings import Finding, ok, problem, warning
from tongban.network.language import text

WARN_DAYS = (1, 7, 30)
"""A certificate is warned of when it has fewer days left; the words say which of these."""


def examine_certificates(organizations: Path, now: dt.datetime) -> Iterator[Finding]:
    """Of every authority, node and user in a tree of keys (crypto_tree.py)."""
    subject = text("certificates", "证书")
    paths = sorted(
        path
        for pattern in ("**/signcerts/*.pem", "**/tls/server.crt", "**/tls/client.crt")
        for path in organizations.glob(pattern)
    )
    authorities = sorted(organizations.glob("*/*/*ca/*-cert.pem"))
    soonest: dt.datetime | None = None
    found = []
    for path in (*authorities, *paths):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        until = certificate.not_valid_after_utc
        soonest = min(soonest or until, until)
        finding = _examine(path, until - now, is_authority=path in authorities)
        if finding is not None:
            found.append(finding)
        if certificate.not_valid_before_utc > now:
            found.append(_too_early(path, certificate))
    yield from found
    if not found and soonest is not None:
        count = len(authorities) + len(paths)
        yield ok(
            subject,
            text(
                f"{count}, the first one expires on {soonest:%Y-%m-%d}",
                f"共 {count} 张,最早于 {soonest:%Y-%m-%d} 到期",
            ),
        )


def _examine(path: Path, left: dt.timedelta, is_authority: bool) -> Finding | None:
    subject = str(path)
    remedy = _remedy(path, is_authority)
    if left <= dt.timedelta():
        return problem(
            subject,
            text(f"expired {-left.days} days ago", f"已过期 {-left.days} 天"),
            remedy,
        )
    for days in WARN_DAYS:
        if left < dt.timedelta(days=days):
            return warning(
                subject,
                text(
                    f"expires in {_span(left)} (less than {days} days)",
                    f"将于 {_span(left)} 后到期(不足 {days} 天)",
                ),
                remedy,
            )
    return None


def _too_early(path: Path, certificate: x509.Certificate) -> Finding:
    start = certificate.not_valid_before_utc
    return problem(
        str(path),
        text(
            f"is valid only from {start:%Y-%m-%d %H:%M} UTC", f"{start:%Y-%m-%d %H:%M} UTC 起有效"
        ),
        text("Set this machine's clock: timedatectl", "请校准本机时钟: timedatectl"),
    )


def _span(left: dt.timedelta) -> str:
    hours = int(left.total_seconds() // 3600)
    if hours >= 48:
        return text(f"{hours // 24} days", f"{hours // 24} 天")
    return text(f"{hours} hours", f"{hours} 小时")


def _remedy(path: Path, is_authority: bool) -> str:
    """What issues the certificate anew. A node's or user's folder that is missing is made again by
    ``network up``, under the same authority, which every channel knows already."""
    if is_authority:
        return text(
            "An authority is replaced by a configuration update of every channel that knows it; on "
            "a development network: tongban network down && tongban network up --fresh",
            "更换根证书须更新各通道配置;开发网络可重建: tongban network down && "
            "tongban network up --fresh",
        )
    owner = path.parent.parent if path.parent.name == "tls" else path.parent.parent.parent
    removal = f"rm -r {shlex.quote(str(owner))}"
    return text(
        f"Issue it anew: tongban network down && {removal} && tongban network up",
        f"重新签发: tongban network down && {removal} && tongban network up",
    )
