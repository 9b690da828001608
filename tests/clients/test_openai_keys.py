"""What a client makes of keys: wrong ones, weak ones, ones that are used up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from disk_answers import says_how_full
from openai import OpenAI
from running import Running

pytestmark = pytest.mark.timeout(120)
DISK: list[Any] = [{"role": "user", "content": "how full is the disk?"}]


def test_keys(keyed: tuple[Running, Callable[..., str]]) -> None:
    running, add = keyed
    url = f"{running.http.base_url}/v1"
    with OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            stranger.models.list()
        assert refused.value.code == "invalid_api_key"
    viewer = add("viewer", "--role", "viewer", "--requests-per-minute", "2")
    running.until(
        lambda: (
            running.http.get("/v1/models", headers={"Authorization": f"Bearer {viewer}"}).is_success
        ),
        seconds=10,
        what="the new key noticed",
    )
    with OpenAI(base_url=url, api_key=viewer, max_retries=0) as reader:
        answer = reader.chat.completions.create(model="triaged", messages=DISK)
        assert says_how_full(answer.choices[0].message.content)
        with pytest.raises(openai.RateLimitError) as limited:
            _ = [reader.models.list() for _ in range(3)]
        assert float(limited.value.response.headers["retry-after"]) > 0
    metrics = add("metrics", "--only", "metrics")
    running.until(
        lambda: (
            running.http.get("/metrics", headers={"Authorization": f"Bearer {metrics}"}).is_success
        ),
        seconds=10,
        what="the new key noticed",
    )
    with (
        OpenAI(base_url=url, api_key=metrics, max_retries=0) as scraper,
        pytest.raises(openai.PermissionDeniedError),
    ):
        scraper.chat.completions.create(model="triaged", messages=DISK)
