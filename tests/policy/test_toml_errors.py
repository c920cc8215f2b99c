"""TOML errors: what is wrong in any file, read off the types of its struct."""

from datetime import date
from typing import Annotated, Literal

import msgspec
import pytest

from cadence.errors import InputError, PolicyError, did_you_mean
from cadence.policy.toml_errors import TomlFile, read_file


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="wheel"):
    size: Annotated[int, msgspec.Meta(ge=1, le=9)]


class Bell(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="bell"):
    tone: Literal["high", "low"] = "high"


class Bike(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    parts: Annotated[tuple[Wheel | Bell, ...], msgspec.Meta(max_length=3)] = ()
    spare: Wheel | None = None
    sold: date | None = None
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    owners: dict[str, tuple[str, ...]] = {}


def error_of(text: str) -> tuple[str, str]:
    file = TomlFile("bike.toml")
    with pytest.raises(PolicyError) as caught:
        file.convert(file.parse(text), Bike)
    return caught.value.what.removeprefix("bike.toml: "), caught.value.hint


def test_a_file_that_fits_becomes_its_struct() -> None:
    file = TomlFile("bike.toml")
    text = 'name = "a"\nparts = [{ kind = "bell", tone = "low" }]\n[owners]\nkim = ["x"]'
    assert file.convert(file.parse(text), Bike) == Bike("a", (Bell("low"),), owners={"kim": ("x",)})


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "name: missing", "give name: a text that is not empty"),
        ('name = ""', 'name: invalid ""', "use a text that is not empty"),
        (
            'nmae = "a"',
            "nmae: unknown key",
            "use name (allowed: name, parts, spare, sold, weight, owners)",
        ),
        (
            'name = "a"\nparts = [{ kind = "bell", tone = "hihg" }]',
            'parts[0].tone: invalid "hihg"',
            "use high (allowed: high, low)",
        ),
        ('name = "a"\nparts = [{}]', "parts[0].kind: missing", "give kind: one of wheel, bell"),
        (
            'name = "a"\nparts = [{ kind = "bel" }]',
            'parts[0].kind: invalid "bel"',
            "use bell (allowed: wheel, bell)",
        ),
        (
            'name = "a"\nparts = [{ kind = "wheel" }]',
            "parts[0].size: missing",
            "give size: a whole number from 1 to 9",
        ),
        (
            'name = "a"\nparts = [{ kind = "wheel", size = 10 }]',
            "parts[0].size: invalid 10",
            "use a whole number from 1 to 9",
        ),
        (
            'name = "a"\nparts = 3',
            "parts: invalid 3",
            "use a list of 0 to 3, each a table with the key kind: wheel, bell",
        ),
        ('name = "a"\nsold = "x"', 'sold: invalid "x"', "use a date such as 2026-12-24"),
        ('name = "a"\nweight = 0.0', "weight: invalid 0.0", "use a number above 0"),
        (
            'name = "a"\nowners = { "k im" = 3 }',
            "owners.k im: invalid 3",
            "use a list, each a text",
        ),
        ('name = "a" "b"', "invalid TOML: ", "fix the syntax there"),
    ],
)
def test_an_error_names_the_key_the_value_and_what_is_allowed(
    text: str, what: str, hint: str
) -> None:
    found = error_of(text)
    assert found[0].startswith(what)
    assert found[1].startswith(hint)


def test_errors_are_of_the_class_that_the_file_asks_for() -> None:
    with pytest.raises(InputError) as caught:
        TomlFile("x.toml", InputError).parse("=")
    assert type(caught.value) is InputError


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path: object) -> None:
    with pytest.raises(PolicyError, match=r"none\.toml: No such file"):
        read_file(f"{tmp_path}/none.toml")


@pytest.mark.parametrize(
    ("word", "otherwise", "hint"),
    [
        ("hihg", None, "use high"),
        ("x", None, "use one of: high, low"),
        ("x", "see the manual", "see the manual"),
    ],
)
def test_the_hint_for_an_unknown_word_is_the_nearest_known(
    word: str, otherwise: str | None, hint: str
) -> None:
    assert did_you_mean(word, ["high", "low"], otherwise=otherwise) == hint
