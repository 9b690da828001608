// OpenAI's own Node client against the facade, used as its manual says.
// TRIAGED_BASE_URL is the facade's /v1; TRIAGED_META_URL is the meta tier's own server.
import assert from "node:assert/strict";
import { statfsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const baseURL = process.env.TRIAGED_BASE_URL;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const DISK = [{ role: "user", content: "how full is the disk?" }];
const DISK_TOOL = {
  type: "function",
  function: {
    name: "disk_usage",
    description: "Used and free space of mounted filesystems.",
    parameters: {
      type: "object",
      properties: { path: { type: "string", maxLength: 40 } },
      additionalProperties: false,
    },
  },
};

function saysHowFull(text) {
  const { blocks, bfree, bavail } = statfsSync("/");
  const percent = (100 * (blocks - bfree)) / (blocks - bfree + bavail);
  const shown = [...text.matchAll(/(\d+) ?%/g)].map((match) => Number(match[1]));
  assert.ok(shown.some((number) => Math.abs(number - percent) <= 1), text);
}

test("the list of models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids.slice(0, 4), ["triaged", "tier/trigger", "tier/review", "tier/meta"]);
  assert.equal((await client.models.retrieve("tier/meta")).id, "tier/meta");
});

test("an answer in one piece", async () => {
  const answer = await client.chat.completions.create({ model: "triaged", messages: DISK });
  saysHowFull(answer.choices[0].message.content);
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.usage.total_tokens > 0);
});

test("a streamed answer", async () => {
  const stream = await client.chat.completions.create({
    model: "triaged",
    messages: DISK,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    assert.equal(chunk.choices[0]?.delta.tool_calls, undefined);
    usage = chunk.usage ?? usage;
  }
  saysHowFull(text);
  assert.ok(usage.completion_tokens > 0);
});

test("the streaming helper of the client", async () => {
  const stream = client.chat.completions.stream({ model: "triaged", messages: DISK });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const final = await stream.finalChatCompletion();
  saysHowFull(text);
  assert.equal(final.choices[0].message.content, text);
});

test("tools of the client run at the client", async () => {
  const seen = [];
  const runner = client.chat.completions.runTools(
    {
      model: "tier/meta",
      stream: true,
      messages: DISK,
      tools: [
        {
          type: "function",
          function: {
            ...DISK_TOOL.function,
            parse: JSON.parse,
            function: (given) => {
              seen.push(given);
              return "/data: 77% of 91 GiB used";
            },
          },
        },
      ],
    },
    { maxChatCompletions: 3 },
  );
  assert.match(await runner.finalContent(), /77/);
  assert.equal(seen.length, 1);
});

test("a JSON schema", async () => {
  const Verdict = z.object({
    severity: z.enum(["info", "notice", "warning", "critical"]),
    escalate: z.boolean(),
  });
  const answer = await client.chat.completions.parse({
    model: "tier/meta",
    messages: [{ role: "user", content: "kernel: Out of memory: Killed process 42 (postgres)" }],
    response_format: zodResponseFormat(Verdict, "verdict"),
    max_tokens: 100,
  });
  assert.equal(typeof answer.choices[0].message.parsed.escalate, "boolean");
});

test("responses: one goes on from another, and each can be fetched and forgotten", async () => {
  const first = await client.responses.create({ model: "triaged", input: "how full is the disk?" });
  assert.equal(first.status, "completed");
  saysHowFull(first.output_text);
  const second = await client.responses.create({
    model: "triaged",
    input: "and the memory?",
    previous_response_id: first.id,
  });
  assert.match(second.output_text, /GiB/);
  assert.equal(second.previous_response_id, first.id);
  assert.equal((await client.responses.retrieve(first.id)).id, first.id);
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.equal(items.length, 1);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
});

test("streamed responses", async () => {
  const kinds = [];
  let text = "";
  const stream = client.responses.stream({ model: "triaged", input: "how full is the disk?" });
  for await (const event of stream) {
    kinds.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  const final = await stream.finalResponse();
  assert.equal(final.output_text, text);
  saysHowFull(text);
});

test("responses with a tool of the client", async () => {
  const parameters = {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  };
  const tools = [
    {
      type: "function",
      name: "get_weather",
      description: "The current weather of a city.",
      parameters,
      strict: false,
    },
  ];
  const asked = await client.responses.create({
    model: "triaged",
    input: "what is the weather in Paris?",
    tools,
  });
  const call = asked.output.find((item) => item.type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
  const said = await client.responses.create({
    model: "triaged",
    previous_response_id: asked.id,
    input: [
      { type: "function_call_output", call_id: call.call_id, output: "Paris: 17 degrees, rain" },
    ],
    tools,
  });
  assert.match(said.output_text, /17/);
});

test("errors are the client's own kinds, with codes", async () => {
  const wrong = [
    [{ model: "gpt-4", messages: DISK }, OpenAI.NotFoundError, "model_not_found"],
    [{ model: "triaged", messages: [] }, OpenAI.BadRequestError, undefined],
    [
      { model: "tier/meta", messages: [{ role: "user", content: "disk ".repeat(60_000) }] },
      OpenAI.BadRequestError,
      undefined,
    ],
  ];
  for (const [body, kind, code] of wrong) {
    await assert.rejects(client.chat.completions.create(body), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      if (code) assert.equal(error.code, code);
      assert.ok(error.message.length > 20);
      return true;
    });
  }
  await assert.rejects(
    client.chat.completions.create({ model: "triaged", messages: DISK }, { timeout: 1 }),
    OpenAI.APIConnectionTimeoutError,
  );
  const nowhere = new OpenAI({ baseURL: "http://127.0.0.1:1/v1", apiKey: "none", maxRetries: 0 });
  await assert.rejects(nowhere.models.list(), OpenAI.APIConnectionError);
});

test("aborting stops the model", async () => {
  // Left alone, the answer would fill the whole context: 2,048 tokens.
  const aborter = new AbortController();
  const before = await metric("n_decode_total");
  const stream = await client.chat.completions.create(
    { model: "tier/meta", messages: DISK, stream: true, ignore_eos: true, n_predict: -1 },
    { signal: aborter.signal },
  );
  for await (const _ of stream) {
    aborter.abort();
    break;
  }
  while ((await metric("requests_processing")) > 0) await sleep(20);
  assert.ok((await metric("n_decode_total")) - before < 1_500);
});

async function metric(name) {
  const shown = await (await fetch(`${process.env.TRIAGED_META_URL}/metrics`)).text();
  return Number(shown.match(new RegExp(`^llamacpp:${name} (\\d+)`, "m"))[1]);
}
