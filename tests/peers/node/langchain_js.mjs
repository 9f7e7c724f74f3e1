// LangChain.js with its defaults.
import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { ASKED, EMBEDDER, MODEL, URL, assert, check } from "./checks.mjs";

const configuration = { baseURL: URL };
const chat = new ChatOpenAI({ model: MODEL, temperature: 0, maxTokens: 60, configuration });
const City = z.object({ name: z.string(), people: z.number().int() });
const orderStatus = tool(async () => "sent", {
  name: "order_status", description: "Where an order is", schema: z.object({ number: z.number() }),
});

await check("invoke", async () => assert((await chat.invoke(ASKED)).content));
await check("messages", async () => {
  const out = await chat.invoke([new SystemMessage("Be brief."), new HumanMessage(ASKED)]);
  assert(out.usage_metadata.total_tokens);
});
await check("stream", async () => {
  let said = "";
  for await (const part of await chat.stream(ASKED)) said += part.content;
  assert(said);
});
await check("batch", async () => assert((await chat.batch([ASKED, ASKED])).length === 2));
await check("structured_schema", async () => {
  const out = await chat.withStructuredOutput(City, { method: "jsonSchema" }).invoke("Paris");
  assert(out.name !== undefined);
});
await check("structured_default", async () => {
  assert((await chat.withStructuredOutput(City).invoke("Paris")).name !== undefined);
});
await check("structured_tool", async () => {
  const out = await chat.withStructuredOutput(City, { method: "functionCalling" }).invoke("Paris");
  assert(out.name !== undefined);
});
await check("json_mode", async () => {
  const how = chat.withStructuredOutput(z.object({}).passthrough(), { method: "jsonMode" });
  assert(await how.invoke("Reply with a JSON object."));
});
await check("tools", async () => {
  const bound = chat.bindTools([orderStatus], { tool_choice: "any" });
  assert((await bound.invoke("Where is order 7?")).tool_calls.length);
});
await check("logprobs", async () => {
  const model = new ChatOpenAI({ model: MODEL, maxTokens: 8, logprobs: true, configuration });
  assert((await model.invoke(ASKED)).response_metadata.logprobs.content.length);
});
await check("responses_api", async () => {
  const model = new ChatOpenAI({ model: MODEL, maxTokens: 60, useResponsesApi: true, configuration });
  assert((await model.invoke(ASKED)).content.length);
});
await check("responses_api_stream", async () => {
  const model = new ChatOpenAI({ model: MODEL, maxTokens: 60, useResponsesApi: true, configuration });
  for await (const part of await model.stream(ASKED)) assert(part);
});
await check("completions", async () => {
  const model = new OpenAI({ model: MODEL, maxTokens: 8, configuration });
  assert(await model.invoke("Once upon a time"));
});
await check("embed_query", async () => {
  const embed = new OpenAIEmbeddings({ model: EMBEDDER, configuration });
  assert((await embed.embedQuery("router")).length === 384);
});
await check("embed_documents", async () => {
  const embed = new OpenAIEmbeddings({ model: EMBEDDER, configuration });
  assert((await embed.embedDocuments(["a", "b"])).length === 2);
});
await check("wrong_model_is_named", async () => {
  try {
    await new ChatOpenAI({ model: "no-such-model", maxRetries: 0, configuration }).invoke("Hi");
  } catch (error) {
    assert(/no-such-model/.test(error.message), error.message);
    return;
  }
  throw new Error("no error");
});
