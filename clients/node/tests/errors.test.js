// Errors as OpenAI's SDK for JavaScript sees them, and its retries.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { client, collect } from "./servers.js";

const nano = client("nano");
const scripted = client("scripted");
const limited = client("limited");
const messages = [{ role: "user", content: "Hello!" }];
const slow = [{ role: "user", content: "Take your time." }];

/** Takes the only place of the limited server; `done` is the end of that request. */
async function busy() {
  const stream = await limited.chat.completions.create({
    model: "a",
    messages: slow,
    stream: true,
  });
  const chunks = stream[Symbol.asyncIterator]();
  await chunks.next();
  return { done: collect({ [Symbol.asyncIterator]: () => chunks }) };
}

test("a wrong value names its field", async () => {
  const request = { model: "nano", messages, temperature: -1 };
  await assert.rejects(nano.chat.completions.create(request), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.type, "invalid_request_error");
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("a prompt that is too long has the code that agents look for", async () => {
  const long = [{ role: "user", content: "word ".repeat(5000) }];
  await assert.rejects(nano.chat.completions.create({ model: "nano", messages: long }), {
    status: 400,
    code: "context_length_exceeded",
  });
});

test("an unknown model is not found", async () => {
  await assert.rejects(
    nano.chat.completions.create({ model: "gpt-17", messages }),
    OpenAI.NotFoundError,
  );
});

test("a wrong key is an authentication error", async () => {
  const stranger = client("limited", { apiKey: "wrong" });
  await assert.rejects(collect(stranger.models.list()), OpenAI.AuthenticationError);
});

test("a failure in the stream is an error", async () => {
  const request = { model: "a", messages: [{ role: "user", content: "Fail in the middle." }] };
  let text = "";
  await assert.rejects(async () => {
    const stream = await scripted.chat.completions.create({ ...request, stream: true });
    for await (const chunk of stream) {
      text += chunk.choices[0].delta.content ?? "";
    }
  }, OpenAI.APIError);
  assert.equal(text, "The first half");
});

test("a full server says when to come back, and the SDK does by itself", async () => {
  const other = await busy();
  await assert.rejects(limited.chat.completions.create({ model: "a", messages }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    return true;
  });
  const patient = client("limited", { maxRetries: 5 });
  const answer = await patient.chat.completions.create({ model: "a", messages });
  assert.equal(answer.choices[0].message.content, "Done.");
  await other.done;
});
