// Vercel's AI SDK: its openai provider (Responses by default) and openai-compatible.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embed, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ASKED, EMBEDDER, KEY, MODEL, URL, assert, check } from "./checks.mjs";

const openai = createOpenAI({ baseURL: URL, apiKey: KEY });
const compatible = createOpenAICompatible({
  name: "desk", baseURL: URL, apiKey: KEY, supportsStructuredOutputs: true, includeUsage: true,
});
const City = z.object({ name: z.string(), people: z.number().int() });
const orderStatus = tool({
  description: "Where an order is", inputSchema: z.object({ number: z.number() }),
  execute: async () => "sent",
});
const kinds = {
  responses: openai(MODEL),
  chat: openai.chat(MODEL),
  compatible: compatible(MODEL),
};
for (const [kind, model] of Object.entries(kinds)) {
  const short = { model, maxOutputTokens: 60, maxRetries: 0 };
  await check(`${kind}_text`, async () => {
    const out = await generateText({ ...short, prompt: ASKED });
    assert(out.text);
    assert(out.usage.outputTokens);
  });
  await check(`${kind}_system`, async () => {
    assert((await generateText({ ...short, system: "Be brief.", prompt: ASKED })).text);
  });
  await check(`${kind}_stream`, async () => {
    let said = "";
    const out = streamText({ ...short, prompt: ASKED, onError: () => {} });
    for await (const part of out.textStream) said += part;
    assert(said);
  });
  await check(`${kind}_second_turn`, async () => {
    const first = await generateText({ ...short, prompt: ASKED });
    const messages = [
      { role: "user", content: ASKED }, ...first.response.messages,
      { role: "user", content: "And again." },
    ];
    assert((await generateText({ ...short, messages })).text);
  });
  await check(`${kind}_object`, async () => {
    const output = Output.object({ schema: City });
    const out = await generateText({ ...short, maxOutputTokens: 90, prompt: "Paris", output });
    assert(out.output.name !== undefined);
  });
  await check(`${kind}_object_stream`, async () => {
    const output = Output.object({ schema: City });
    const asked = { ...short, maxOutputTokens: 90, prompt: "Paris", output, onError: () => {} };
    assert((await streamText(asked).output).name !== undefined);
  });
  await check(`${kind}_tool`, async () => {
    const asked = { ...short, prompt: "Where is order 7?", tools: { orderStatus } };
    const out = await generateText({ ...asked, toolChoice: "required", stopWhen: stepCountIs(1) });
    assert(out.toolCalls.length);
  });
  if (kind === "responses") continue; // the Responses API has no stop sequences
  await check(`${kind}_stop`, async () => {
    const out = await generateText({ ...short, prompt: ASKED, stopSequences: ["e"] });
    assert(!out.text.includes("e"), out.text);
  });
}
await check("completion", async () => {
  const model = openai.completion(MODEL);
  assert((await generateText({ model, prompt: "Once upon", maxOutputTokens: 8 })).text);
});
await check("embed", async () => {
  const out = await embed({ model: openai.embedding(EMBEDDER), value: "router" });
  assert(out.embedding.length === 384);
});
await check("embed_many", async () => {
  const out = await embedMany({ model: openai.embedding(EMBEDDER), values: ["a", "b"] });
  assert(out.embeddings.length === 2);
});
await check("compatible_embed", async () => {
  const model = compatible.embeddingModel(EMBEDDER);
  assert((await embed({ model, value: "router" })).embedding.length === 384);
});
await check("error_named", async () => {
  try {
    await generateText({ model: openai("no-such-model"), prompt: "Hi", maxRetries: 0 });
  } catch (error) {
    assert(/no-such-model/.test(error.message), error.message);
    return;
  }
  throw new Error("no error");
});
