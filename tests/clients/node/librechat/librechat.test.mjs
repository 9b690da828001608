// The library with which LibreChat talks to custom endpoints, and the schema of its librechat.yaml.
// TRIAGED_BASE_URL is the facade's /v1; TRIAGED_DOCS is the folder of the documentation.
import assert from "node:assert/strict";
import { readFileSync, statfsSync } from "node:fs";
import { test } from "node:test";

import { HumanMessage } from "@langchain/core/messages";
import {
  ChatModelStreamHandler,
  createContentAggregator,
  GraphEvents,
  Providers,
  Run,
} from "@librechat/agents";
import { load } from "js-yaml";
import { configSchema } from "librechat-data-provider";

const TAKEN = new Set([
  GraphEvents.ON_RUN_STEP,
  GraphEvents.ON_RUN_STEP_DELTA,
  GraphEvents.ON_RUN_STEP_COMPLETED,
  GraphEvents.ON_MESSAGE_DELTA,
  GraphEvents.ON_REASONING_DELTA,
]);

function documented() {
  const page = readFileSync(`${process.env.TRIAGED_DOCS}/librechat.md`, "utf8");
  return load(page.match(/```yaml\n([^]*?)```/)[1]);
}

/** What LibreChat makes of the endpoint in our documentation, for one user and one chat. */
function clientOptions(conversation) {
  const [endpoint] = documented().endpoints.custom;
  const filled = Object.entries(endpoint.headers).map(([name, value]) => [
    name,
    value
      .replace("{{LIBRECHAT_BODY_CONVERSATIONID}}", conversation)
      .replace("{{LIBRECHAT_USER_EMAIL}}", "ada@example.org"),
  ]);
  return {
    model: endpoint.models.default[0],
    apiKey: "none",
    streaming: true,
    streamUsage: true,
    maxRetries: 0,
    temperature: 1,
    topP: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    user: "66f2a4c8d1",
    configuration: {
      baseURL: process.env.TRIAGED_BASE_URL,
      defaultHeaders: Object.fromEntries(filled),
    },
  };
}

async function chat(messages, options, signal) {
  const { contentParts, aggregateContent } = createContentAggregator();
  const customHandlers = {};
  for (const event of Object.values(GraphEvents)) {
    customHandlers[event] = {
      handle: (name, data) => TAKEN.has(name) && aggregateContent({ event: name, data }),
    };
  }
  customHandlers[GraphEvents.CHAT_MODEL_STREAM] = new ChatModelStreamHandler();
  const { reasoningKey } = documented().endpoints.custom[0].customParams;
  const run = await Run.create({
    runId: "run",
    returnContent: true,
    customHandlers,
    graphConfig: {
      type: "standard",
      agents: [
        { agentId: "agent", provider: Providers.OPENAI, clientOptions: options, reasoningKey },
      ],
    },
  });
  await run.processStream(
    { messages },
    { configurable: { thread_id: "chat" }, version: "v2", streamMode: "values", signal },
  );
  return { run, contentParts };
}

function saysHowFull(text) {
  const { blocks, bfree, bavail } = statfsSync("/");
  const percent = (100 * (blocks - bfree)) / (blocks - bfree + bavail);
  const shown = [...text.matchAll(/(\d+) ?%/g)].map((match) => Number(match[1]));
  assert.ok(shown.some((number) => Math.abs(number - percent) <= 1), text);
}

test("LibreChat takes the configuration of our documentation", () => {
  const read = configSchema.strict().safeParse(documented());
  assert.ok(read.success, JSON.stringify(read.error?.issues));
});

test("a chat shows tool activity as thoughts and the answer as text", async () => {
  const { contentParts } = await chat(
    [new HumanMessage("how full is the disk?")],
    clientOptions("one"),
  );
  const [think, text] = contentParts;
  assert.match(think.think, /disk_usage/);
  saysHowFull(text.text);
  assert.equal(contentParts.length, 2);
});

test("a title is no answer to the question", async () => {
  const options = clientOptions("two");
  const { run, contentParts } = await chat([new HumanMessage("how full is the disk?")], options);
  const { title } = await run.generateTitle({
    provider: Providers.OPENAI,
    inputText: "how full is the disk?",
    contentParts,
    clientOptions: { ...options, streaming: false },
    titleMethod: documented().endpoints.custom[0].titleMethod,
    chainOptions: {},
  });
  assert.ok(title.length > 3 && title.length < 80, title);
  assert.doesNotMatch(title, /GiB|%/);
});
