// A chat through OpenAI's SDK: the answer as it comes, then a second turn.
//
//   npm install openai
//   gptoss serve
//   OPENAI_BASE_URL=http://127.0.0.1:8080/v1 node openai_chat.mjs

import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8080/v1",
  // A server on this machine needs no key, but the SDK wants one.
  apiKey: process.env.OPENAI_API_KEY ?? "none",
});
const model = (await client.models.list()).data[0].id;
const messages = [];

for (const text of ["Hello!", "What is 2 plus 3?"]) {
  console.log(`> ${text}`);
  messages.push({ role: "user", content: text });
  const stream = await client.chat.completions.create({
    model,
    messages,
    temperature: 0,
    stream: true,
  });
  let answer = "";
  for await (const chunk of stream) {
    const delta = chunk.choices[0].delta.content ?? "";
    process.stdout.write(delta);
    answer += delta;
  }
  console.log();
  messages.push({ role: "assistant", content: answer });
}
