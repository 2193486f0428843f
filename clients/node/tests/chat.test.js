// Chat Completions through OpenAI's SDK for JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WEATHER, client, collect } from "./servers.js";

const nano = client("nano");
const scripted = client("scripted");
const hello = [{ role: "user", content: "Hello!" }];
const france = [{ role: "user", content: "What is the capital of France?" }];
const tools = [
  { type: "function", function: { name: "get_weather", parameters: WEATHER } },
];

test("nano answers, and a stream says the same", async () => {
  const request = { model: "nano", messages: hello, temperature: 0 };
  const whole = await nano.chat.completions.create(request);
  assert.equal(whole.choices[0].finish_reason, "stop");
  assert.ok(whole.choices[0].message.content.length > 0);
  const chunks = await collect(await nano.chat.completions.create({ ...request, stream: true }));
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
});

test("reasoning comes under both names", async () => {
  const answer = await scripted.chat.completions.create({ model: "any", messages: france });
  const { message } = answer.choices[0];
  assert.equal(message.content, "The capital of France is Paris.");
  assert.equal(message.reasoning, "A question about geography.");
  assert.equal(message.reasoning_content, message.reasoning);
  assert.ok(answer.usage.completion_tokens_details.reasoning_tokens > 0);
});

test("a tool round trip", async () => {
  const messages = [{ role: "user", content: "What is the weather in Paris?" }];
  const first = await scripted.chat.completions.create({ model: "any", messages, tools });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  messages.push(message, { role: "tool", tool_call_id: call.id, content: "sunny" });
  const second = await scripted.chat.completions.create({ model: "any", messages, tools });
  assert.equal(second.choices[0].message.content, "It is sunny in Paris, 22 degrees.");
});

test("the helper runs tools by itself, streaming too", async () => {
  for (const stream of [false, true]) {
    const called = [];
    const number = { type: "integer" };
    const parameters = {
      type: "object",
      properties: { a: number, b: number },
      required: ["a", "b"],
    };
    const runnable = (name, compute) => ({
      type: "function",
      function: {
        name,
        description: name,
        parameters,
        parse: JSON.parse,
        function: ({ a, b }) => {
          called.push(name);
          return String(compute(a, b));
        },
      },
    });
    const runner = scripted.chat.completions.runTools({
      model: "any",
      stream,
      messages: [{ role: "user", content: "Add 12 and 30, then double the sum." }],
      tools: [runnable("add", (a, b) => a + b), runnable("multiply", (a, b) => a * b)],
    });
    assert.equal(await runner.finalContent(), "The result is 84.");
    assert.deepEqual(called, ["add", "multiply"]);
  }
});

test("a streamed call is put together by the helper", async () => {
  const messages = [{ role: "user", content: "What is the weather in Paris?" }];
  const stream = scripted.chat.completions.stream({ model: "any", messages, tools });
  const final = await stream.finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.equal(call.function.arguments, '{"city":"Paris"}');
});

test("broken arguments reach the client unchanged", async () => {
  const messages = [{ role: "user", content: "Write the file with broken arguments." }];
  const write = { type: "function", function: { name: "write_file", parameters: {} } };
  const request = { model: "any", messages, tools: [write] };
  const answer = await scripted.chat.completions.create(request);
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(call.function.arguments, '{"path": "a.txt", "text": "never closed');
});

test("a stream that is left ends", async () => {
  const stream = await nano.chat.completions.create({
    model: "nano",
    messages: [{ role: "user", content: "Tell me a story." }],
    stream: true,
  });
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    break;
  }
  assert.ok(stream.controller.signal.aborted);
});
