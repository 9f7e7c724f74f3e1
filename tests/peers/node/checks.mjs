// Runs the checks of one client and prints a line of JSON for each.
export const MODEL = process.env.CHAT_MODEL;
export const EMBEDDER = process.env.EMBEDDING_MODEL;
export const URL = process.env.OPENAI_BASE_URL;
export const KEY = process.env.OPENAI_API_KEY;
export const ASKED = "Say hello.";

export async function check(name, run) {
  let said = { check: name, ok: true, why: "" };
  try {
    await run();
  } catch (error) {
    const why = `${error?.name}: ${error?.message}`.replaceAll(KEY, "…").slice(0, 400);
    said = { check: name, ok: false, why };
  }
  console.log("CHECK " + JSON.stringify(said));
}

export function assert(value, text = "empty") {
  if (!value) throw new Error(text);
  return value;
}
