// OpenAI's Agents SDK for JavaScript, over both interfaces.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Agent,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  Runner,
  setTracingDisabled,
  tool,
} from "@openai/agents";
import { z } from "zod";

import { client } from "./servers.js";

setTracingDisabled(true);

const numbers = z.object({ a: z.number(), b: z.number() });
const compute = (name, execute) =>
  tool({ name, description: name, parameters: numbers, execute: async (x) => String(execute(x)) });
const tools = [compute("add", ({ a, b }) => a + b), compute("multiply", ({ a, b }) => a * b)];
const kinds = { chat: OpenAIChatCompletionsModel, responses: OpenAIResponsesModel };

for (const [kind, Model] of Object.entries(kinds)) {
  const runner = new Runner({ model: new Model(client("scripted"), "any") });

  test(`${kind}: an agent calls two tools and answers`, async () => {
    const agent = new Agent({ name: "Helper", instructions: "Use tools.", tools });
    const result = await runner.run(agent, "Add 12 and 30, then double the sum.");
    assert.equal(result.finalOutput, "The result is 84.");
  });

  test(`${kind}: a streamed run ends as a whole one`, async () => {
    const agent = new Agent({ name: "Helper", tools });
    const stream = { stream: true };
    const result = await runner.run(agent, "Add 12 and 30, then double the sum.", stream);
    const names = [];
    for await (const event of result) {
      if (event.type === "run_item_stream_event") {
        names.push(event.name);
      }
    }
    await result.completed;
    assert.equal(result.finalOutput, "The result is 84.");
    const calls = names.filter((name) => name === "tool_called" || name === "tool_output");
    assert.deepEqual(calls, ["tool_called", "tool_output", "tool_called", "tool_output"]);
  });

  test(`${kind}: an answer has the type that was asked for`, async () => {
    const outputType = z.object({ name: z.string(), born: z.number(), city: z.string() });
    const agent = new Agent({ name: "Helper", outputType });
    const result = await runner.run(agent, "Ada Lovelace was born in London in 1815.");
    assert.deepEqual(result.finalOutput, { name: "Ada Lovelace", born: 1815, city: "London" });
  });

  test(`${kind}: a second turn takes the first with it`, async () => {
    const agent = new Agent({ name: "Helper" });
    const first = await runner.run(agent, "What is the capital of France?");
    const turns = [...first.history, { role: "user", content: "And of Italy?" }];
    const second = await runner.run(agent, turns);
    assert.equal(second.finalOutput, "The capital of Italy is Rome.");
  });
}
