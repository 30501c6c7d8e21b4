"""Administrative divisions: the six digits of GB/T 2260.

Codes come and go with the years (a record keeps ``code@year``), and other identifiers contain
codes that no longer exist. So a code is right if its province exists; whether a county exists is
known only for the provinces whose counties are listed here.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from tongban.contracts.types.identifier import Fault, Identifier, wrong_length

PROVINCES: Mapping[str, str] = MappingProxyType(
    {
        "11": "北京市",
        "12": "天津市",
        "13": "河北省",
        "14": "山西省",
        "15": "内蒙古自治区",
        "21": "辽宁省",
        "22": "吉林省",
        "23": "黑龙江省",
        "31": "上海市",
        "32": "江苏省",
        "33": "浙江省",
        "34": "安徽省",
        "35": "福建省",
        "36": "江西省",
        "37": "山东省",
        "41": "河南省",
        "42": "湖北省",
        "43": "湖南省",
        "44": "广东省",
        "45": "广西壮族自治区",
        "46": "海南省",
        "50": "重庆市",
        "51": "四川省",
        "52": "贵州省",
        "53": "云南省",
        "54": "西藏自治区",
        "61": "陕西省",
        "62": "甘肃省",
        "63": "青海省",
        "64": "宁夏回族自治区",
        "65": "新疆维吾尔自治区",
        "71": "台湾省",
        "81": "香港特别行政区",
        "82": "澳门特别行政区",
    }
)
"""First two digits. 83 (residence permits of people from Taiwan) occurs in resident identity
numbers only."""

COUNTIES: Mapping[str, str] = MappingProxyType(
    {
        "110101": "东城区",
        "110102": "西城区",
        "110105": "朝阳区",
        "110106": "丰台区",
        "110107": "石景山区",
        "110108": "海淀区",
        "110109": "门头沟区",
        "110111": "房山区",
        "110112": "通州区",
        "110113": "顺义区",
        "110114": "昌平区",
        "110115": "大兴区",
        "110116": "怀柔区",
        "110117": "平谷区",
        "110118": "密云区",
        "110119": "延庆区",
    }
)
"""The counties in force, for the provinces in LISTED_PROVINCES."""

LISTED_PROVINCES = frozenset({"11"})


class AdministrativeDivision(Identifier):
    """县级以上行政区划代码, such as ``110108``."""

    __slots__ = ()

    NAME = "administrative division"
    NAME_ZH = "行政区划代码"
    PATTERN = re.compile(r"^[0-9]{6}$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 6:
            return wrong_length("6", text)
        if not cls.PATTERN.fullmatch(text):
            return Fault("form", "expected six digits", "应为六位数字")
        if text[:2] not in PROVINCES:
            return Fault(
                "division",
                f"expected a province in the first two digits, found {text[:2]}",
                f"前两位应为省级代码，实为 {text[:2]}",
            )
        return None

    @property
    def province(self) -> str:
        """Name of the province."""
        return PROVINCES[self._text[:2]]

    @property
    def is_county(self) -> bool:
        """Whether it names a county or a city district, not something larger."""
        return self._text[4:] != "00"

    @property
    def name(self) -> str | None:
        """Name of the county or province, if it is listed here."""
        if self._text.endswith("0000"):
            return self.province
        return COUNTIES.get(self._text)


def find_county_fault(text: str) -> Fault | None:
    """Why six digits do not name a county in force, as far as that is known; None if they do."""
    fault = AdministrativeDivision.validate(text)
    if fault is not None:
        return fault
    unknown = text[:2] in LISTED_PROVINCES and text not in COUNTIES
    if text.endswith("00") or unknown:
        return Fault(
            "division",
            f"expected a county in the first six digits, found {text}",
            f"前六位应为县级行政区划，实为 {text}",
        )
    return None
