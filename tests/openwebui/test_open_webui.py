"""What a person in front of Open WebUI gets from triaged."""

from __future__ import annotations

import os
import re

import httpx
import pytest
from running import Running
from webui import WebUI

pytestmark = pytest.mark.timeout(600)


def says_how_full(text: str) -> bool:
    usage = os.statvfs("/")
    used = usage.f_blocks - usage.f_bfree
    percent = 100 * used / (used + usage.f_bavail)
    shown = [int(number) for number in re.findall(r"(\d+) ?%", text)]
    return any(abs(number - percent) <= 1 for number in shown)


def metric(daemon: Running, tier: str, name: str) -> int:
    """A figure of a tier's own server."""
    shown = httpx.get(f"http://127.0.0.1:{daemon.ports[tier]}/metrics", trust_env=False).text
    found = re.search(rf"^llamacpp:{name} (\d+)", shown, re.MULTILINE)
    assert found is not None, shown
    return int(found[1])


def test_the_models_are_offered(webui: WebUI) -> None:
    assert set(webui.models()) >= {"triaged", "tier/trigger", "tier/review", "tier/meta"}


def test_a_chat_shows_what_is_looked_up_and_the_right_figures(webui: WebUI) -> None:
    chat = webui.ask("how full is the disk?")
    answer = chat.answer()
    assert says_how_full(answer["content"])
    first, last = answer["statusHistory"]
    assert "disk_usage" in first["description"]
    assert first["done"] is False
    assert says_how_full(last["description"])
    assert last["done"] is True
    thought = next(item for item in answer["output"] if item["type"] == "reasoning")
    assert "disk_usage" in thought["content"][0]["text"]

    # Title, tags and follow-up questions are what was asked for, and no answers to the question.
    webui.until(lambda: "followUps" in chat.answer(), what="followed up")
    webui.until(lambda: chat.whole()["title"] != "New Chat", what="named")
    assert "disk" in chat.whole()["title"].lower()
    assert "GiB" not in chat.whole()["title"]
    assert len(chat.answer()["followUps"]) >= 1
    webui.until(lambda: bool(chat.whole()["meta"].get("tags")), what="tagged")


def test_a_follow_up_question_goes_on_with_the_chat(webui: WebUI) -> None:
    chat = webui.ask("how full is the disk?").ask("and the memory?")
    assert "GiB" in chat.answer()["content"]
    assert "memory" in chat.answer()["content"].lower()
    assert len(chat.whole()["chat"]["history"]["messages"]) == 4


def test_titles_do_not_touch_the_meta_tier(webui: WebUI, daemon: Running) -> None:
    before = metric(daemon, "meta", "prompt_tokens_total")
    said = webui.post(
        "/api/v1/tasks/title/completions",
        {
            "model": "triaged",
            "messages": [
                {"role": "user", "content": "why is nginx slow?"},
                {"role": "assistant", "content": "Its upstream answers after four seconds."},
            ],
        },
    )
    assert "title" in said["choices"][0]["message"]["content"]
    assert metric(daemon, "meta", "prompt_tokens_total") == before


def test_stop_reaches_the_model(webui: WebUI, daemon: Running) -> None:
    """An answer that would fill the whole context (2,048 tokens) ends long before."""
    before = metric(daemon, "meta", "n_decode_total")
    chat = webui.ask(
        "hello", model="tier/meta", wait=False, custom_params={"ignore_eos": True, "n_predict": -1}
    )
    webui.until(
        lambda: metric(daemon, "meta", "n_decode_total") > before + 5, what="being answered"
    )
    chat.stop()
    webui.until(lambda: metric(daemon, "meta", "requests_processing") == 0, what="idle")
    assert metric(daemon, "meta", "n_decode_total") - before < 1_900


def test_the_person_is_named_where_the_key_may_say_so(webui: WebUI, daemon: Running) -> None:
    webui.ask("how full is the disk?")
    assert "ada@example.org via webui" in daemon.log.read_text()


def test_a_model_that_fails_is_told_in_a_sentence(webui: WebUI) -> None:
    answer = webui.ask("word " * 6_000, model="tier/meta").answer()
    assert "context size" in str(answer["error"])


def test_the_responses_api_shows_host_tools_as_blocks(webui: WebUI) -> None:
    """An admin may choose it for a connection. Outputs are lists: its page breaks on a string."""
    settings = webui.get("/openai/config")
    responses = {**settings, "OPENAI_API_CONFIGS": {"0": {"enable": True, "api_type": "responses"}}}
    webui.post("/openai/config/update", responses)
    try:
        chat = webui.ask("how full is the disk?")
        assert says_how_full(chat.answer()["content"])
        items = {item["type"]: item for item in chat.answer()["output"]}
        assert items["function_call"]["name"] == "disk_usage"
        assert items["function_call_output"]["output"][0]["type"] == "input_text"
        webui.until(lambda: bool(chat.answer().get("followUps")), what="followed up")
        assert "GiB" not in chat.whole()["title"]
    finally:
        webui.post("/openai/config/update", settings)
