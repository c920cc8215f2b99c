"""The linter: what each stage and form must say, may not say, and how long it is."""

from __future__ import annotations

import msgspec
import pytest
from said import message

from cadence.domain.events import AttemptStage
from cadence.messages import Form, builtin_languages, lint, lint_policy, lint_script
from cadence.messages.lint import check_scripts
from cadence.policy import builtin
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml

LANGUAGES = builtin_languages()
VOICEMAIL = Form.VOICEMAIL
GOOD = {
    "en": "{{ opening }} {{ bring }} {{ again }} A no is fine too. {{ number }}",
    "es": "{{ opening }} {{ bring }} {{ again }} Un no también está bien. {{ number }}",
}
AVOIDED = [
    (code, avoid.rule, words)
    for code, language in LANGUAGES.items()
    for avoid in language.avoid
    for words in avoid.words
]


def rules(
    text: str, stage: str = "spaced", form: Form = Form.VOICEMAIL, code: str = "en"
) -> set[str]:
    return {one.rule for one in lint_script("ours", text, AttemptStage(stage), form, code)}


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_good_script_has_nothing_the_linter_minds(code: str) -> None:
    assert rules(GOOD[code], code=code) == set()


@pytest.mark.parametrize(("code", "rule", "words"), AVOIDED)
def test_words_to_avoid_are_found_in_any_case(code: str, rule: str, words: str) -> None:
    planted = f"{GOOD[code]} {words.capitalize()}."
    assert rule in rules(planted, code=code)
    # Not inside another word.
    assert rule not in rules(f"{GOOD[code]} x{words}x.", code=code) or words[0] in "*#"


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_has_the_same_rules_and_every_rule_has_a_source(code: str) -> None:
    avoid = LANGUAGES[code].avoid
    assert {one.rule for one in avoid} == {one.rule for one in LANGUAGES["en"].avoid}
    assert all(one.source and one.instead and one.why for one in avoid)


# A no that is fine, in each language; NO stands for it in what is planted.
NO = {"en": "A no is fine too.", "es": "Un no también está bien."}
PLANTED = [
    ("spaced", VOICEMAIL, "Hello. {{ bring }} NO {{ number }}", "name"),
    ("spaced", VOICEMAIL, "{{ hello }}. {{ bring }} NO {{ number }}", "company"),
    ("spaced", VOICEMAIL, "{{ hello }}. {{ bring }} NO {{ number }}", "owner_name"),
    ("spaced", VOICEMAIL, "{{ opening }} {{ bring }} NO", "callback"),
    ("spaced", VOICEMAIL, "{{ opening }} NO {{ number }}", "reason"),
    ("spaced", VOICEMAIL, "{{ opening }} {{ bring }} {{ number }}", "way_out"),
    ("on_time", VOICEMAIL, "{{ opening }} {{ again }} {{ number }}", "appointment_time"),
    ("on_time", VOICEMAIL, "{{ opening }} {{ appointment_time }} {{ number }}", "next_time"),
    ("on_time", VOICEMAIL, "{{ opening }} {{ cares }}", "no_interest"),
    ("ten_minutes", VOICEMAIL, "{{ opening }} {{ bring }}", "no_interest"),
    (
        "ten_minutes",
        VOICEMAIL,
        "{{ opening }} {{ interest or value }} a plan of your barn",
        "no_value",
    ),
    ("concern", VOICEMAIL, "{{ opening }} ¿? {{ number }}", "concern"),
    ("concern", Form.SMS, "{{ opening }} {{ concern }} {{ cares }}", "no_interest"),
    ("concern", Form.SMS, "{{ opening }} {{ next_time }}", "no_next_time"),
    ("concern", Form.SMS, "{{ opening }} {{ deadline }}", "no_deadline"),
    ("nurture", Form.SMS, "{{ opening }} {{ stop }}", "value"),
    ("polite_exit", Form.EMAIL, "{{ opening }} {{ stop }} {{ address }}", "deadline"),
    ("polite_exit", Form.EMAIL, "{{ opening }} {{ deadline }} {{ stop }}", "address"),
    ("nurture", Form.LETTER, "{{ opening }} {{ bring }}", "address"),
    ("nurture", Form.EMAIL, "{{ opening }} {{ bring }} {{ address }}", "way_out"),
    ("spaced", VOICEMAIL, "GOOD ATENCIÓN.", "capitals"),
    ("spaced", VOICEMAIL, "GOOD 9:30.", "promise"),
    ("spaced", VOICEMAIL, "GOOD 9 am.", "promise"),
    ("spaced", VOICEMAIL, "GOOD" + " et cetera" * 40, "length"),
    ("spaced", Form.LETTER, "GOOD" + " et cetera" * 90, "length"),
    ("spaced", Form.SMS, "GOOD" + " et cetera" * 10, "length"),
    ("spaced", VOICEMAIL, "{{ opening }} {{ nmae }}", "unreadable"),
    ("spaced", VOICEMAIL, "{{ opening", "unreadable"),
]


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize(("stage", "form", "text", "rule"), PLANTED)
def test_a_planted_fault_is_found(stage: str, form: Form, text: str, rule: str, code: str) -> None:
    text = text.replace("GOOD", GOOD[code]).replace("NO", NO[code])
    text = text.replace("{{ concern }}", LANGUAGES[code].concern[0])
    assert rule in rules(text, stage, form, code)


def test_every_rule_is_planted_in_every_language() -> None:
    """Beside those of a policy's own scripts: a missing form or language, and one without use."""
    facts = {fact for needed in lint._MUST.values() for fact in needed}
    facts |= {fact for needed in lint._MUST_FORM.values() for fact in needed}
    facts |= {f"no_{fact}" for barred in lint._MAY_NOT.values() for fact in barred}
    known = {rule for *_, rule in PLANTED}
    assert facts | {"capitals", "promise", "length", "unreadable"} == known
    for code, language in LANGUAGES.items():
        avoided = {rule for one, rule, _ in AVOIDED if one == code}
        assert avoided == {one.rule for one in language.avoid}


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_fault_of_one_turn_is_found_once(turn: int) -> None:
    text = GOOD["en"] + f"{{% if turn == {turn} %}} Act now.{{% endif %}}"
    found = [one.rule for one in lint_script("ours", text, AttemptStage.SPACED)]
    assert found == ["urgency"]


def test_a_finding_names_its_place_and_a_better_wording() -> None:
    text = GOOD["en"] + " Just checking in."
    found = [str(one) for one in lint_script("ours", text, AttemptStage.SPACED)]
    assert found[0] == (
        "script ours (voicemail, en): 'just checking in': it gives them no reason to answer; "
        "bring something: {{ value }}, or {{ interest }}"
    )


def with_script(script: str, more: str = "") -> Policy:
    text = to_toml(builtin("tip8")).replace('id = "tip8"', 'id = "ours"', 1)
    return parse_text(f"{text}\n{more}\n[scripts.spaced]\n{script}\n", "ours.toml")


def test_a_policy_accepts_a_finding_with_its_reason() -> None:
    script = 'voicemail = "{{ bring }} A no is fine. {{ number }} Tomorrow."'
    bare = {one.rule: one for one in lint_policy(with_script(script))}
    assert bare["promise"].accepted == ""
    more = '[[wording]]\nrule = "promise"\nscript = "spaced"\nwhy = "we do call every day"\n'
    found = {one.rule: one for one in lint_policy(with_script(script, more))}
    assert found["promise"].accepted == "we do call every day"


def test_a_script_that_lacks_a_form_or_a_language_is_said_otherwise_and_found() -> None:
    policy = with_script('sms = "{{ bring }} A no is fine."')
    check_scripts(policy, "ours.toml")
    lacks = {(one.what, str(one.form)) for one in lint_policy(policy) if "lacks" in one.what}
    assert lacks == {
        ("lacks the form voicemail", "voicemail"),
        ("lacks the form live", "live"),
        ("lacks the language es", ""),
    }


def test_a_policy_may_bring_a_script_in_every_form_and_language() -> None:
    script = (
        'voicemail = "{{ bring }} A no is fine. {{ number }}"\nlive = "{{ bring }}"\n'
        'languages.es = { voicemail = "{{ bring }} Un no también está bien. {{ number }}", '
        'live = "{{ bring }}" }\n'
    )
    policy = with_script(script)
    assert [str(one) for one in lint_policy(policy)] == []
    assert parse_text(to_toml(policy), "again.toml").digest == policy.digest
    plain = msgspec.structs.replace(policy, scripts={})
    assert plain.digest != policy.digest


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("script", sorted(LANGUAGES["en"].scripts))
def test_every_language_has_every_script_in_every_form(script: str, code: str) -> None:
    forms = LANGUAGES[code].scripts[script]
    assert None not in (forms.voicemail, forms.live, forms.email, forms.sms)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("stage", [one.value for one in AttemptStage if one.value != "extra"])
@pytest.mark.parametrize("form", Form)
def test_the_script_of_each_stage_is_as_the_linter_wants(code: str, stage: str, form: Form) -> None:
    policy = _saying(stage, form)
    found = [
        str(one) for one in lint_policy(policy) if one.script == stage and code == one.language
    ]
    assert found == []


def _saying(script: str, form: Form) -> Policy:
    """A policy that says the script of a stage in a form, whatever its plan."""
    channel = {"voicemail": "call", "live": "call", "letter": "mail"}.get(form, form.value)
    tip8 = builtin("tip8")
    part = msgspec.structs.replace(tip8.steps[0].parts[0], script=script, channels=(channel,))
    step = msgspec.structs.replace(tip8.steps[0], stage=AttemptStage(script), parts=(part,))
    return msgspec.structs.replace(tip8, steps=(step,))


def test_hidden_caller_id_is_refused_where_it_is_asked_for() -> None:
    assert "caller_id" in rules(GOOD["en"] + " I call from a private number.")
    text = (
        to_toml(builtin("tip8"))
        + '\n[channels.whatsapp]\naddress = "phone"\ncaller_id = "hidden"\n'
    )
    with pytest.raises(Exception, match="caller_id") as caught:
        parse_text(text, "ours.toml")
    assert "47 CFR 64.1601" in str(caught.value) + getattr(caught.value, "hint", "")


def test_a_letter_says_what_an_email_says_in_the_lines_of_a_letter() -> None:
    text = message("polite_exit", Form.LETTER).text
    assert text.startswith(
        "Acme\n1 Main Street\n\nJane Smith\n5 Elm Road\n\nDecember 1, 2026\n\nDear Jane,"
    )
    assert "I do not want to bombard you." in text
    assert "Yours sincerely,\n\nAnn Lee\nAdviser\nAcme\n(212) 555-0190" in text
