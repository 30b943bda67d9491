"""The messages of chats."""

from __future__ import annotations

from projections.messages import MESSAGES
from service.domain.events.chat import ChatEvent, TurnSettings, Usage
from tests import builders as b
from tests.unit.projections.log import Log, entries, rows


def test_message_is_a_row_with_the_version_as_its_id() -> None:
    settings = TurnSettings(model="small")
    said = b.user("hello", settings=settings)
    answer = b.assistant("hi", epoch=2, attempt=1)
    batch = entries(b.CHAT, b.created(), said, b.attempt(2), answer)
    (new, _) = rows(MESSAGES, batch)
    assert [row["id"] for row in new] == [2, 4]
    assert new[0]["settings"] == {"model": "small"}
    assert new[0]["created_by"] == b.OWNER
    assert (new[1]["epoch"], new[1]["attempt"]) == (2, 1)
    assert new[1]["parts"] == [{"type": "text", "text": "hi"}]


def test_what_only_providers_may_see_is_left_out() -> None:
    secret = b.call(provider_metadata={"signature": "s3cret"})
    (new, _) = rows(MESSAGES, entries(b.CHAT, b.assistant(secret)))
    assert "provider_metadata" not in new[0]["parts"][0]


def test_hidden_message_is_kept_for_those_who_may_see_it() -> None:
    hidden = b.user("be brief", role="system", visibility="model", created_by=None)
    (new, _) = rows(MESSAGES, entries(b.CHAT, hidden))
    assert (new[0]["role"], new[0]["visibility"]) == ("system", "model")


def test_edit_takes_back_what_came_before_it_and_not_what_follows() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    edit: list[ChatEvent] = [b.truncated(2), b.user("again")]
    (new, taken_back) = rows(MESSAGES, log.append(b.CHAT, *edit))
    assert [row["id"] for row in new] == [9]
    assert taken_back == [{"chat_id": b.CHAT, "from_id": 2, "version": 8}]


def test_an_answer_has_the_tokens_that_were_counted_and_who_gave_it() -> None:
    config = b.ASKED.model_config_id
    answer = b.assistant(usage=b.usage(7), model_config_id=config)
    nothing = b.assistant(usage=Usage())
    (messages, _) = rows(MESSAGES, entries(b.CHAT, answer, nothing))
    assert [(row["model_config_id"], row["usage"]) for row in messages] == [
        (config, {"input_tokens": 7}),
        (None, None),
    ]
