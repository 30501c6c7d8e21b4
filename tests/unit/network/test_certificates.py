"""Certificates are warned of 30, 7 and 1 days before they end, with what to type."""

import datetime as dt
import re
import shutil
from pathlib import Path

import pytest

from tongban.network.ca import CA_VALIDITY, CERTIFICATE_VALIDITY
from tongban.network.certificate_checks import examine_certificates
from tongban.network.crypto_tree import CryptoTree, NodeNames, OrganizationSpec
from tongban.network.findings import Level

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SPEC = OrganizationSpec("org1.example.com", nodes=(NodeNames("peer0"),))


@pytest.fixture
def tree(tmp_path: Path) -> CryptoTree:
    found = CryptoTree(tmp_path, SPEC)
    found.ensure(NOW)
    return found


def levels(tmp_path: Path, when: dt.datetime) -> set[Level]:
    return {finding.level for finding in examine_certificates(tmp_path, when)}


@pytest.mark.parametrize(
    ("left", "level", "words"),
    [
        (40 * DAY, Level.OK, "the first one expires on"),
        (29 * DAY, Level.WARNING, "less than 30 days"),
        (6 * DAY, Level.WARNING, "less than 7 days"),
        (0.5 * DAY, Level.WARNING, "less than 1 days"),
        (-2 * DAY, Level.PROBLEM, "expired"),
    ],
)
def test_a_certificate_is_judged_by_the_days_it_has_left(
    left: dt.timedelta, level: Level, words: str, tree: CryptoTree, tmp_path: Path
) -> None:
    found = list(examine_certificates(tmp_path, NOW + CERTIFICATE_VALIDITY - left))
    assert {finding.level for finding in found} == {level}
    assert all(words in finding.explanation for finding in found)


def test_what_is_said_to_be_typed_issues_the_certificate_anew_under_the_same_authority(
    tree: CryptoTree, tmp_path: Path
) -> None:
    late = NOW + CERTIFICATE_VALIDITY - DAY
    root = tree.tls_root.read_bytes()
    for finding in examine_certificates(tmp_path, late):
        (folder,) = re.findall(r"rm -r (\S+) &&", finding.remedy)
        shutil.rmtree(folder, ignore_errors=True)
    tree.ensure(late)
    assert levels(tmp_path, late) == {Level.OK}
    assert tree.tls_root.read_bytes() == root


def test_an_authority_that_ends_is_not_said_to_be_issued_anew(
    tree: CryptoTree, tmp_path: Path
) -> None:
    found = examine_certificates(tmp_path, NOW + CA_VALIDITY)
    authorities = [one for one in found if "/ca/" in one.subject or "/tlsca/" in one.subject]
    assert len(authorities) == 2
    assert all("configuration update" in one.remedy for one in authorities)


def test_a_clock_that_is_behind_the_certificates_is_named(tree: CryptoTree, tmp_path: Path) -> None:
    found = list(examine_certificates(tmp_path, NOW - DAY))
    assert {finding.level for finding in found} == {Level.PROBLEM}
    assert all("clock" in finding.remedy for finding in found)


def test_nothing_is_said_where_there_are_no_certificates(tmp_path: Path) -> None:
    assert list(examine_certificates(tmp_path, NOW)) == []
