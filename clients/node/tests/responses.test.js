// Responses through OpenAI's SDK for JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NotFoundError } from "openai";

import { WEATHER, client, collect } from "./servers.js";

const nano = client("nano");
const scripted = client("scripted");
const input = "What is the capital of France?";
const tools = [{ type: "function", name: "get_weather", parameters: WEATHER, strict: true }];

test("nano answers", async () => {
  const response = await nano.responses.create({ model: "nano", input: "Hello!", temperature: 0 });
  assert.equal(response.status, "completed");
  assert.ok(response.output_text.length > 0);
});

test("events come in order and end with the whole response", async () => {
  const stream = await scripted.responses.create({ model: "any", input, stream: true });
  const events = await collect(stream);
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, i) => i),
  );
  assert.deepEqual(
    events.slice(0, 2).map((event) => event.type),
    ["response.created", "response.in_progress"],
  );
  const last = events.at(-1);
  assert.equal(last.type, "response.completed");
  assert.deepEqual(
    last.response.output.map((item) => item.type),
    ["reasoning", "message"],
  );
  assert.deepEqual(last.response.output[0].summary, []);
  assert.equal(last.response.output[0].content[0].type, "reasoning_text");
});

test("the helper for streams collects the response", async () => {
  const stream = scripted.responses.stream({ model: "any", input });
  let text = "";
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  const final = await stream.finalResponse();
  assert.equal(text, "The capital of France is Paris.");
  assert.equal(final.output_text, text);
});

test("a tool round trip through the stored response", async () => {
  const first = await scripted.responses.create({
    model: "any",
    input: "What is the weather in Paris?",
    tools,
  });
  const call = first.output.at(-1);
  assert.equal(call.type, "function_call");
  const second = await scripted.responses.create({
    model: "any",
    previous_response_id: first.id,
    input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
    tools,
  });
  assert.equal(second.output_text, "It is sunny in Paris, 22 degrees.");
});

test("a response is kept and deleted", async () => {
  const response = await scripted.responses.create({ model: "any", input });
  const kept = await scripted.responses.retrieve(response.id);
  assert.equal(kept.output_text, response.output_text);
  await scripted.responses.delete(response.id);
  await assert.rejects(scripted.responses.retrieve(response.id), NotFoundError);
});
