// openai-node: every call that the course makes in Python.
import { mkdtempSync, writeFileSync, createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ASKED, EMBEDDER, MODEL, assert, check } from "./checks.mjs";

const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: ASKED }];
const City = z.object({ name: z.string(), people: z.number().int() });
const short = { model: MODEL, messages, max_completion_tokens: 24, temperature: 0 };
const rows = Array.from({ length: 12 }, (_, i) => ({
  messages: [
    { role: "user", content: `How do I pay bill ${i}?` },
    { role: "assistant", content: "By card." },
  ],
}));
const text = rows.map((row) => JSON.stringify(row)).join("\n");

await check("chat", async () => {
  const out = await client.chat.completions.create(short);
  assert(out.choices[0].message.content);
});
await check("chat_stream", async () => {
  let said = "";
  for await (const part of await client.chat.completions.create({ ...short, stream: true }))
    said += part.choices[0]?.delta?.content ?? "";
  assert(said);
});
await check("chat_stream_helper", async () => {
  const stream = client.chat.completions.stream(short);
  assert(await stream.finalContent());
});
await check("chat_stream_usage", async () => {
  let used;
  const asked = { ...short, stream: true, stream_options: { include_usage: true } };
  for await (const part of await client.chat.completions.create(asked)) used = part.usage ?? used;
  assert(used.total_tokens);
});
await check("chat_parse", async () => {
  const format = zodResponseFormat(City, "city");
  const asked = { ...short, max_completion_tokens: 80, response_format: format };
  assert((await client.chat.completions.parse(asked)).choices[0].message.parsed);
});
await check("chat_json_object", async () => {
  const asked = { ...short, max_completion_tokens: 80, response_format: { type: "json_object" } };
  JSON.parse((await client.chat.completions.create(asked)).choices[0].message.content);
});
await check("chat_logprobs", async () => {
  const out = await client.chat.completions.create({ ...short, logprobs: true, top_logprobs: 2 });
  assert(out.choices[0].logprobs.content.length);
});
await check("chat_several", async () => {
  assert((await client.chat.completions.create({ ...short, temperature: 1, n: 3 })).choices.length === 3);
});
await check("chat_stop", async () => {
  assert((await client.chat.completions.create({ ...short, stop: ["e"] })).choices[0].finish_reason);
});
await check("chat_stored", async () => {
  const out = await client.chat.completions.create({ ...short, store: true });
  assert((await client.chat.completions.retrieve(out.id)).id === out.id);
  for await (const one of client.chat.completions.messages.list(out.id)) assert(one.content);
  assert((await client.chat.completions.update(out.id, { metadata: { a: "b" } })).metadata.a === "b");
  assert((await client.chat.completions.delete(out.id)).deleted);
});
await check("chat_tools", async () => {
  const parameters = { type: "object", properties: { number: { type: "integer" } } };
  const tools = [{ type: "function", function: { name: "order_status", parameters } }];
  const out = await client.chat.completions.create({ ...short, tools, tool_choice: "required" });
  assert(out.choices[0].message.tool_calls?.length);
});
await check("chat_abort", async () => {
  const stream = await client.chat.completions.create({ ...short, stream: true });
  stream.controller.abort();
});
await check("completions", async () => {
  const out = await client.completions.create({ model: MODEL, prompt: "Once upon", max_tokens: 8 });
  assert(out.choices[0].text);
});
await check("completions_stream", async () => {
  const asked = { model: MODEL, prompt: "Once upon", max_tokens: 8, stream: true };
  for await (const part of await client.completions.create(asked)) assert(part.id);
});
await check("embeddings", async () => {
  const out = await client.embeddings.create({ model: EMBEDDER, input: ["a", "b"] });
  assert(out.data[1].embedding.length === 384);
});
await check("embeddings_base64", async () => {
  const asked = { model: EMBEDDER, input: "a", encoding_format: "base64" };
  assert((await client.embeddings.create(asked)).data[0].embedding.length);
});
await check("responses", async () => {
  const out = await client.responses.create({ model: MODEL, input: ASKED, max_output_tokens: 24 });
  assert(out.output_text);
});
await check("responses_stream", async () => {
  const kinds = new Set();
  const asked = { model: MODEL, input: ASKED, max_output_tokens: 24, stream: true };
  for await (const event of await client.responses.create(asked)) kinds.add(event.type);
  assert(kinds.has("response.completed") || kinds.has("response.incomplete"));
});
await check("responses_stream_helper", async () => {
  const stream = client.responses.stream({ model: MODEL, input: ASKED, max_output_tokens: 200 });
  assert((await stream.finalResponse()).id);
});
await check("responses_parse", async () => {
  const asked = { model: MODEL, input: "Paris", text: { format: zodTextFormat(City, "city") } };
  assert((await client.responses.parse({ ...asked, max_output_tokens: 80 })).output_parsed);
});
await check("responses_second_turn", async () => {
  const asked = { model: MODEL, max_output_tokens: 24 };
  const first = await client.responses.create({ ...asked, input: ASKED });
  assert(await client.responses.create({ ...asked, input: "Again.", previous_response_id: first.id }));
});
await check("responses_stored", async () => {
  const out = await client.responses.create({ model: MODEL, input: ASKED, max_output_tokens: 8 });
  assert((await client.responses.retrieve(out.id)).id === out.id);
  for await (const item of client.responses.inputItems.list(out.id)) assert(item.type);
  await client.responses.delete(out.id);
});
await check("responses_input_tokens", async () => {
  assert((await client.responses.inputTokens.count({ model: MODEL, input: ASKED })).input_tokens);
});
await check("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert(names.includes(MODEL));
  assert((await client.models.retrieve(MODEL)).id === MODEL);
});
const folder = mkdtempSync(join(tmpdir(), "peer-"));
writeFileSync(join(folder, "train.jsonl"), text);
let file;
await check("files_stream", async () => {
  const stream = createReadStream(join(folder, "train.jsonl"));
  file = await client.files.create({ file: stream, purpose: "fine-tune" });
  assert(file.bytes);
});
await check("files_buffer", async () => {
  const made = await toFile(Buffer.from(text + "\n"), "again.jsonl");
  assert((await client.files.create({ file: made, purpose: "fine-tune" })).id);
});
await check("files_list", async () => {
  for await (const one of client.files.list()) assert(one.id);
});
await check("files_content", async () => {
  assert((await (await client.files.content(file.id)).text()) === text);
});
await check("files_wait", async () => assert(await client.files.waitForProcessing(file.id)));
await check("uploads", async () => {
  const bytes = Buffer.byteLength(text);
  const upload = await client.uploads.create({
    bytes, filename: "part.jsonl", mime_type: "text/jsonl", purpose: "fine-tune",
  });
  const data = await toFile(Buffer.from(text), "part");
  const part = await client.uploads.parts.create(upload.id, { data });
  assert((await client.uploads.complete(upload.id, { part_ids: [part.id] })).file.id);
});
let job;
await check("job_create", async () => {
  job = await client.fineTuning.jobs.create({
    model: MODEL, training_file: file.id, suffix: "node",
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 1 } } },
  });
  assert(job.status);
});
await check("job_retrieve", async () => assert((await client.fineTuning.jobs.retrieve(job.id)).id));
await check("job_list", async () => {
  for await (const one of client.fineTuning.jobs.list({ limit: 5 })) assert(one.id);
});
await check("job_events", async () => {
  for await (const event of client.fineTuning.jobs.listEvents(job.id)) assert(event.message);
});
await check("job_finishes_and_answers", async () => {
  for (let i = 0; i < 3000 && !["succeeded", "failed"].includes(job.status); i++) {
    await new Promise((done) => setTimeout(done, 500));
    job = await client.fineTuning.jobs.retrieve(job.id);
  }
  assert(job.status === "succeeded", job.status);
  const asked = { ...short, model: job.fine_tuned_model };
  assert((await client.chat.completions.create(asked)).choices[0].message.content);
});
await check("job_checkpoints", async () => {
  for await (const one of client.fineTuning.jobs.checkpoints.list(job.id)) assert(one.metrics);
});
await check("job_cancel", async () => {
  const next = await client.fineTuning.jobs.create({ model: MODEL, training_file: file.id });
  assert((await client.fineTuning.jobs.cancel(next.id)).status === "cancelled");
});
await check("model_delete", async () => {
  assert((await client.models.delete(job.fine_tuned_model)).deleted);
});
await check("batch", async () => {
  const body = { model: MODEL, messages, max_tokens: 4 };
  const line = { custom_id: "1", method: "POST", url: "/v1/chat/completions", body };
  const made = await toFile(Buffer.from(JSON.stringify(line)), "batch.jsonl");
  const input = await client.files.create({ file: made, purpose: "batch" });
  let batch = await client.batches.create({
    input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h",
  });
  for (let i = 0; i < 1200 && !["completed", "failed"].includes(batch.status); i++) {
    await new Promise((done) => setTimeout(done, 500));
    batch = await client.batches.retrieve(batch.id);
  }
  assert(batch.status === "completed", batch.status);
});
await check("batch_list", async () => {
  for await (const one of client.batches.list()) assert(one.id);
});
await check("error_unknown_model", async () => {
  try {
    await client.chat.completions.create({ ...short, model: "no-such-model" });
  } catch (error) {
    assert(error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
    return;
  }
  throw new Error("no error");
});
await check("error_key", async () => {
  try {
    await new OpenAI({ apiKey: "wrong", maxRetries: 0 }).models.list();
  } catch (error) {
    assert(error instanceof OpenAI.AuthenticationError);
    return;
  }
  throw new Error("no error");
});
