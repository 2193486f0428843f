// The examples for JavaScript, run as a reader runs them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

import { url } from "./servers.js";

// They are copied beside the installed packages, where Node looks for those.
const folder = new URL("../examples/", import.meta.url);

test("a chat", async () => {
  const program = new URL("openai_chat.mjs", folder).pathname;
  const env = { ...process.env, OPENAI_BASE_URL: url("nano"), OPENAI_API_KEY: "none" };
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env });
  const lines = stdout.trim().split("\n");
  assert.equal(lines[0], "> Hello!");
  assert.ok(lines.includes("> What is 2 plus 3?"));
  assert.ok(lines.at(-1).length > 0 && !lines.at(-1).startsWith(">"));
});

test("every example is run", () => {
  const examples = readdirSync(folder).filter((name) => name.endsWith(".mjs"));
  assert.deepEqual(examples, ["openai_chat.mjs"]);
});
