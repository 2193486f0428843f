// What the compatibility test of openai/gpt-oss checks, with the version of the Agents SDK that it
// pins and with cases of our own: a tool is called with arguments of its schema, and the reasoning
// arrives in the shape of each interface. One test is one case, over both interfaces, whole and
// streamed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  Agent,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  Runner,
  setTracingDisabled,
  tool,
} from "agents-compat";
import { Ajv } from "ajv";

import { client } from "./servers.js";
import { TOOLS } from "./tools.js";

setTracingDisabled(true);

const ajv = new Ajv();
const lines = readFileSync(process.env.CLIENTS_TOOL_CASES, "utf8").trim().split("\n");
const cases = lines.map((line) => JSON.parse(line));
const kinds = { chat: OpenAIChatCompletionsModel, responses: OpenAIResponsesModel };

/** What a run gives: its items, its responses and the events of the model. */
async function run(kind, { tool_name, input }, stream) {
  const { description, parameters, output } = TOOLS[tool_name];
  const definition = { name: tool_name, description, parameters, strict: false };
  const agent = new Agent({
    name: tool_name,
    tools: [tool({ ...definition, execute: async () => output })],
  });
  const runner = new Runner({ model: new kinds[kind](client("scripted"), "any") });
  const result = await runner.run(agent, input, { stream, maxTurns: 10 });
  const events = [];
  if (stream) {
    for await (const event of result) {
      if (event.type === "raw_model_stream_event" && event.data.type === "model") {
        events.push(event.data.event);
      }
    }
    await result.completed;
  }
  return { result, events };
}

/** The tool was called with arguments that its schema allows, and the expected ones. */
function checkCall(result, { tool_name, expected_arguments }) {
  const calls = result.newItems
    .filter((item) => item.type === "tool_call_item" && item.rawItem.type === "function_call")
    .map((item) => item.rawItem);
  assert.equal(calls.length, 1);
  assert.equal(calls[0].name, tool_name);
  const given = JSON.parse(calls[0].arguments);
  const validate = ajv.compile(TOOLS[tool_name].parameters);
  assert.ok(validate(given), JSON.stringify(validate.errors));
  assert.deepEqual(given, JSON.parse(expected_arguments));
  assert.equal(result.finalOutput, `Done with ${tool_name}.`);
}

function checkChat(result) {
  const messages = result.rawResponses.map((response) => response.providerData.choices[0].message);
  const reasoning = messages.map((message) => message.reasoning);
  assert.ok(reasoning.some((text) => typeof text === "string" && text.length > 0));
}

function checkResponses(output) {
  const items = output.filter((item) => item.type === "reasoning");
  assert.ok(items.length > 0);
  for (const { content } of items) {
    assert.ok(Array.isArray(content) && content.length > 0);
    assert.ok(content.every((part) => part.type === "reasoning_text" && part.text.length > 0));
  }
}

test("there are five cases for each of six tools", () => {
  const counts = Object.keys(TOOLS).map(
    (name) => cases.filter(({ tool_name }) => tool_name === name).length,
  );
  assert.deepEqual(counts, [5, 5, 5, 5, 5, 5]);
});

for (const [number, one] of cases.entries()) {
  test(`case ${number + 1}: ${one.tool_name}: ${one.input}`, async () => {
    for (const stream of [false, true]) {
      const chat = await run("chat", one, stream);
      checkCall(chat.result, one);
      if (stream) {
        // As the original reads it: every chunk has a choice.
        const reasoning = chat.events.map((event) => event.choices[0].delta.reasoning ?? "");
        assert.ok(reasoning.join("").length > 0);
      } else {
        checkChat(chat.result);
      }
      const responses = await run("responses", one, stream);
      checkCall(responses.result, one);
      if (stream) {
        const types = responses.events.map((event) => event.type);
        assert.ok(types.includes("response.reasoning_text.delta"));
        assert.ok(types.includes("response.reasoning_text.done"));
        // This SDK keeps no whole response of a stream, so it is taken from the event.
        const first = responses.events.find((event) => event.type === "response.completed");
        checkResponses(first.response.output);
      } else {
        checkResponses(responses.result.rawResponses[0].providerData.output);
      }
    }
  });
}
