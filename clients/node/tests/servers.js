// Where the servers are: `cargo xtask clients` starts them and says so in the environment.

import OpenAI from "openai";

export const KEY = "test-key";

/** The address of a server with `/v1`. */
export function url(name) {
  const variable = `CLIENTS_${name.toUpperCase()}_URL`;
  const base = process.env[variable];
  if (!base) {
    throw new Error(`${variable} is not set: start the suites with cargo xtask clients`);
  }
  return `${base}/v1`;
}

/** A client that does not try again by itself. */
export function client(name, options = {}) {
  return new OpenAI({ baseURL: url(name), apiKey: KEY, maxRetries: 0, ...options });
}

/** Everything that a stream gives. */
export async function collect(stream) {
  const all = [];
  for await (const one of stream) {
    all.push(one);
  }
  return all;
}

export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
