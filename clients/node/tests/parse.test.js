// Structured output through `.parse()` and Zod.

import assert from "node:assert/strict";
import { test } from "node:test";

import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { client } from "./servers.js";

const nano = client("nano");
const scripted = client("scripted");
const ada = "Ada Lovelace was born in London in 1815.";
const Person = z.object({ name: z.string(), born: z.number().int(), city: z.string() });
const Mood = z.object({ mood: z.enum(["happy", "sad"]), sure: z.boolean() });
const expected = { name: "Ada Lovelace", born: 1815, city: "London" };

test("chat parses what a model writes", async () => {
  const answer = await scripted.chat.completions.parse({
    model: "any",
    messages: [{ role: "user", content: ada }],
    response_format: zodResponseFormat(Person, "person"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, expected);
});

test("responses parse what a model writes", async () => {
  const response = await scripted.responses.parse({
    model: "any",
    input: ada,
    text: { format: zodTextFormat(Person, "person") },
  });
  assert.deepEqual(response.output_parsed, expected);
});

test("arguments of a call are parsed", async () => {
  const answer = await scripted.chat.completions.parse({
    model: "any",
    messages: [{ role: "user", content: `Call the tool: ${ada}` }],
    tools: [zodFunction({ name: "Person", parameters: Person })],
  });
  const [call] = answer.choices[0].message.tool_calls;
  assert.deepEqual(call.function.parsed_arguments, expected);
});

test("nano is held to a schema, in chat and in responses", async () => {
  const answer = await nano.chat.completions.parse({
    model: "nano",
    messages: [{ role: "user", content: "How are you?" }],
    response_format: zodResponseFormat(Mood, "mood"),
  });
  Mood.parse(answer.choices[0].message.parsed);
  const response = await nano.responses.parse({
    model: "nano",
    input: "How are you?",
    text: { format: zodTextFormat(Mood, "mood") },
  });
  Mood.parse(response.output_parsed);
});
