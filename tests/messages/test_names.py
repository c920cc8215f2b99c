"""Names as they are said in greeting."""

import pytest

from cadence.domain.prospect import Identity
from cadence.messages.names import spoken_name


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Jane Smith", "Jane"),
        ("Dr. Jane Smith", "Dr. Smith"),
        ("Smith, John", "John"),
        ("Smith, Dr. John", "Dr. Smith"),
        ("Mr Smith", "Mr Smith"),
        ("Ms. Lee", "Ms. Lee"),
        ("Frau Dr. Eva Braun", "Frau Dr. Braun"),
        ("van der Berg", ""),
        ("Anna van der Berg", "Anna"),
        ("Van Morrison", "Van"),
        ("MARIA", "Maria"),
        ("JOHN O'NEIL", "John"),
        ("maria lópez", "Maria"),
        ("Jean-Luc Picard", "Jean-Luc"),
        ("J. Doe", ""),
        ("", ""),
        ("   ", ""),
        ("Dr.,", ""),
        ("田中 太郎", "田中 太郎"),
        ("Иван Петров", "Иван Петров"),
        ("מרים כהן", "מרים כהן"),
        ("jane@example.com", ""),
        ("Duplicate?", ""),
        ("Lead #4711", ""),
        ("Jane\nSmith", "Jane"),
        ("J" * 61, ""),
        ("María José García", "María"),
    ],
)
def test_a_name_is_greeted_as_a_person_would_say_it(name: str, greeting: str) -> None:
    assert spoken_name(Identity(name)).greeting == greeting


@pytest.mark.parametrize(
    ("stated", "greeting"),
    [
        ({"given_name": "Janey"}, "Janey"),
        ({"salutation": "Dr. Smith"}, "Dr. Smith"),
        ({"salutation": "Dr."}, "Dr. Smith"),
        ({"salutation": "Janey"}, "Janey"),
        ({"salutation": "Dr.", "family_name": "Smith-Lee"}, "Dr. Smith-Lee"),
        ({"family_name": "Smith-Lee"}, "Jane"),
        ({"given_name": "Janey", "salutation": "Ms Smith"}, "Ms Smith"),
    ],
)
def test_what_is_stated_by_hand_comes_first(stated: dict[str, str], greeting: str) -> None:
    assert spoken_name(Identity("Jane Smith", **stated)).greeting == greeting  # type: ignore[arg-type]
