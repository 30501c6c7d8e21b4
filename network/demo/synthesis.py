"""Makes the shipped file of cases: ``python -m tongban.network.demo.synthesis > cases.jsonl``.

Everybody in it is invented; the same program always writes the same file.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tongban.contracts.types.check_characters import resident_check

_SURNAMES: Final = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_FIRST: Final = "试测演样拟构虚假"
_SECOND: Final = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"

Fields = dict[str, Any]  # JSON objects


class Synthesis:
    """Numbers people, units and accounts through."""

    def __init__(self) -> None:
        self._people = 0
        self._units = 0

    def person(self) -> Fields:
        """Somebody new. The names say that they are invented."""
        index = self._people
        self._people += 1
        year, day = 1950 + index % 50, 1 + index % 28
        body = f"110108{year}{1 + index % 12:02d}{day:02d}{index % 1000:03d}"
        name = (
            _SURNAMES[index % len(_SURNAMES)]
            + _FIRST[index // len(_SURNAMES) % len(_FIRST)]
            + _SECOND[index % len(_SECOND)]
        )
        return {
            "name": name,
            "number": body + resident_check(body),
            "phone": f"1990{index:07d}",
        }

    def account(self, place: int = 0) -> str:
        return f"11010877{self._units:03d}{place:02d}"

    def case(self, name: str, failure: str, expect: Fields, **fields: Any) -> Fields:
        """One case with everything that was not said filled in."""
        self._units += 1
        number = self._units
        case: Fields = {
            "id": name,
            "failure": failure,
            "unit": f"110108001002GB{number:05d}F{1:04d}{number:04d}",
            "address": f"海淀区虚构路{number}号院{1 + number % 9}号楼{number % 30 + 1}层",
            "owners": [self.person()],
            "buyers": [self.person()],
            "meters": [{"number": self.account()}],
            "expect": expect,
        }
        if fields.pop("joint", False):
            case["owners"].append(self.person())
            case["buyers"].append(self.person())
        case |= fields
        return {key: value for key, value in case.items() if value not in ("", [], None)}


def _end(outcome: str, registration: str, electricity: str | None = None) -> Fields:
    found = {"outcome": outcome, "registration": registration}
    return found if electricity is None else {**found, "electricity": electricity}


TRANSFERRED: Final = _end("transferred", "办结", "已过户")
AFTER_HOLD: Final = _end("transferred-after-hold", "办结", "已过户")


def shipped_cases() -> Iterator[Fields]:
    """All cases of the shipped file."""
    make = Synthesis()
    yield from _normal(make)
    yield from _accounts(make)
    yield from _register(make)
    yield from _consents(make)
    yield from _afterwards(make)


def _many(
    make: Synthesis, count: int, name: str, expect: Fields, *happenings: str, **fields: Any
) -> Iterator[Fields]:
    failure = name.partition("-")[0]
    failure = failure if failure[1:].isdigit() and failure[0] in "EC" else ""
    for number in range(1, count + 1):
        yield make.case(
            f"{name}-{number:03d}", failure, expect, happenings=list(happenings), **fields
        )


def _normal(make: Synthesis) -> Iterator[Fields]:
    yield from _many(make, 84, "normal", TRANSFERRED)
    yield from _many(make, 8, "joint", TRANSFERRED, joint=True)
    only = _end("registered-only", "办结")
    yield from _many(make, 10, "declined", only, wants_electricity=False)
    yield from _many(make, 2, "C6-drafted-twice", TRANSFERRED, "drafted-twice")
    yield from _many(make, 3, "C1-identity", _end("identity-failed", "草稿"), "identity-fails")


def _accounts(make: Synthesis) -> Iterator[Fields]:
    """E1 to E5, and E17: what may be the matter with an account."""

    def with_meters(meters: Iterable[Fields]) -> list[Fields]:
        """Numbers are filled in; the case that comes next has the next unit's."""
        number = make._units + 1
        return [{"number": f"11010877{number:03d}{i:02d}", **m} for i, m in enumerate(meters)]

    def one(name: str, expect: Fields, *happenings: str, meters: list[Fields], **f: Any) -> Fields:
        made = with_meters(meters)
        if f.pop("names_second", False):
            f["account"] = made[1]["number"]
        failure = name.partition("-")[0]
        return make.case(name, failure, expect, happenings=list(happenings), meters=made, **f)

    owing = [{"has_arrears": True}]
    for n in range(1, 7):
        yield one(f"E1-settled-{n}", AFTER_HOLD, "arrears-settled", meters=owing)
    for n in range(1, 5):
        yield one(f"E1-open-{n}", _end("held-arrears", "办结", "欠费"), meters=owing)
    held = _end("held-holder", "办结", "户名不符")
    for n in range(1, 5):
        other = [{"holder": make.person()}]
        yield one(f"E2-confirmed-{n}", AFTER_HOLD, "holder-confirmed", meters=other)
        yield one(f"E2-open-{n}", held, meters=[{"holder": make.person()}])
    for n in range(1, 4):
        seller, namesake = make.person(), make.person()
        same_name = [{"holder": {**namesake, "name": seller["name"]}}]
        yield one(f"E3-namesake-{n}", held, meters=same_name, owners=[seller])
        unknown = [{"has_identity": False}]
        yield one(f"E3-unknown-{n}", AFTER_HOLD, "holder-confirmed", meters=unknown)
    two: list[Fields] = [{}, {}]
    for n in range(1, 4):
        yield one(f"E4-named-{n}", TRANSFERRED, meters=two, names_second=True)
        yield one(f"E4-chosen-{n}", AFTER_HOLD, "meter-chosen", meters=two)
        yield one(f"E4-open-{n}", _end("held-meter", "办结", "多表待选"), meters=two)
        shared = [{"is_shared": True}]
        yield one(f"E4-shared-{n}", AFTER_HOLD, "holder-confirmed", meters=shared)
    change = _end("registered-change-of-supply", "办结", "已取消")
    for n in range(1, 6):
        yield one(f"E5-capacity-{n}", change, "more-capacity", meters=[{}])
    wrong = _end("held-address", "办结", "地址不符")
    for n in range(1, 4):
        beside = [{}, {"address": f"海淀区虚构路旁{n}号", "holder": make.person()}]
        yield one(f"E17-neighbour-{n}", wrong, meters=beside, names_second=True)
        beside = [{}, {"address": f"海淀区虚构路侧{n}号", "holder": make.person()}]
        right = "number-put-right"
        yield one(f"E17-right-{n}", AFTER_HOLD, right, meters=beside, names_second=True)


def _register(make: Synthesis) -> Iterator[Fields]:
    """E6 and E7: court and mortgagee; and owners who are missing."""
    refused = _end("refused-seized", "不予登记", "已取消")
    yield from _many(make, 4, "E6-while-booking", refused, "seized-while-booking")
    yield from _many(make, 3, "E6-after", refused, "seized-after-acceptance")
    yield from _many(make, 2, "E6-waiting", refused, "seized-after-acceptance", "seized-twice")
    suspended = _end("suspended-seized", "中止", "登记待定")
    happens = ("seized-after-acceptance", "stays-suspended")
    yield from _many(make, 3, "E6-suspended", suspended, *happens)
    happens = ("seized-after-acceptance", "seizure-lifted")
    yield from _many(make, 3, "E6-lifted", TRANSFERRED, *happens)
    rejected = _end("not-accepted-mortgaged", "不予受理", "已取消")
    yield from _many(make, 4, "E7-unreleased", rejected, is_mortgaged=True)
    yield from _many(make, 3, "E7-released", TRANSFERRED, "mortgage-released", is_mortgaged=True)
    yield from _many(make, 3, "E7-carried", TRANSFERRED, "mortgage-carried", is_mortgaged=True)
    missing = _end("not-accepted-holders-differ", "不予受理", "已取消")
    for n in range(1, 4):
        owners = [make.person(), make.person()]
        yield make.case(f"C2-co-owner-{n}", "", missing, owners=owners, sellers=owners[:1])


def _consents(make: Synthesis) -> Iterator[Fields]:
    """E8 and E9: consent that is missing, taken back or too old."""
    revoked = _end("registered-consent-revoked", "办结", "已取消")
    yield from _many(make, 6, "E8-revoked", revoked, "revoked-before-booking")
    stopped = _end("registered-stopped-before-signature", "办结", "已取消")
    yield from _many(make, 6, "E9-revoked", stopped, "revoked-before-signature")
    without = _end("registered-without-consent", "办结", "登记待定")
    yield from _many(make, 3, "C2-expired", without, "consent-expires")
    never = _end("registered-without-consent", "办结", "待授权")
    yield from _many(make, 3, "C2-none", never, "no-consent")


def _afterwards(make: Synthesis) -> Iterator[Fields]:
    """E10 to E13."""
    yield from _many(make, 6, "E10-withdrawn", _end("withdrawn", "撤回", "已取消"), "withdrawn")
    yield from _many(make, 6, "E11-corrected", _end("reversed", "更正", "需冲正"), "corrected")
    later = _end("transferred-deferred", "办结", "已过户")
    yield from _many(make, 6, "E12-offline", later, "supplier-offline")
    yield from _many(make, 6, "E13-replay", TRANSFERRED, "booked-twice")


def main() -> int:
    """Write the cases to standard output."""
    for case in shipped_cases():
        sys.stdout.write(json.dumps(case, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
